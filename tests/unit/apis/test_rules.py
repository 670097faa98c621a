from __future__ import annotations

import pytest
from pydantic import ValidationError

from bridge.apis.rules import AnswerRule, value_at
from tests.unit.apis.samples import answer


@pytest.mark.parametrize(
    ("rule", "status", "body", "fits"),
    [
        ({}, 200, b"", True),
        ({}, 299, b"", True),
        ({}, 300, b"", False),
        ({"statuses": [202, "208-210"]}, 202, b"", True),
        ({"statuses": [202, "208-210"]}, 209, b"", True),
        ({"statuses": ["202"]}, 200, b"", False),
        ({"pointer": "/ok"}, 200, {"ok": 0}, True),
        ({"pointer": "/ok"}, 200, {"ok": False}, False),
        ({"pointer": "/ok"}, 200, {"ok": None}, False),
        ({"pointer": "/ok"}, 200, b"no json", False),
        ({"pointer": "/ok", "equals": True}, 200, {"ok": True}, True),
        ({"pointer": "/ok", "equals": True}, 200, {"ok": 1}, False),
        ({"pointer": "/ok", "equals": 1}, 200, {"ok": 1.0}, True),
        ({"pointer": "/error", "equals": None}, 200, {"error": None}, True),
        ({"pointer": "/error", "equals": None}, 200, {"error": "x"}, False),
        ({"pointer": "/FailedEntryCount", "equals": 0}, 200, {"FailedEntryCount": 1}, False),
        ({"pointer": "", "equals": "ok"}, 200, '"ok"', True),
    ],
)
def test_status_and_body_must_fit(rule: dict[str, object], status: int, body: object, fits: bool) -> None:
    assert AnswerRule.model_validate(rule).fits(answer(status, body)) is fits


@pytest.mark.parametrize(
    "rule",
    [
        {"statuses": []},
        {"statuses": [99]},
        {"statuses": [600]},
        {"statuses": ["300-200"]},
        {"statuses": ["2xx"]},
        {"statuses": [True]},
        {"pointer": "ok"},
        {"pointer": "/a~2"},
        {"equals": 1},
    ],
)
def test_rules_that_could_never_fit_are_refused(rule: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AnswerRule.model_validate(rule)


@pytest.mark.parametrize(
    ("pointer", "found"),
    [
        ("", {"a": [{"b": 1}], "x/y": 2, "m~n": 3, "": 4}),
        ("/a/0/b", 1),
        ("/x~1y", 2),
        ("/m~0n", 3),
        ("/", 4),
        ("/a/1", None),
        ("/a/00", None),
        ("/a/-", None),
        ("/a/0/b/c", None),
        ("/nope", None),
    ],
)
def test_pointers_are_followed_as_rfc_6901_says(pointer: str, found: object) -> None:
    assert value_at({"a": [{"b": 1}], "x/y": 2, "m~n": 3, "": 4}, pointer) == found
