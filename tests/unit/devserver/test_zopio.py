"""Zopio's /trigger, row by row as it was observed on its own route."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.devserver.wire import iso
from tests.unit.devserver.asking import NOW, Ask, said


@pytest.fixture
def ask() -> Ask:
    return Ask()


def test_an_event_is_sent_on_without_a_key(ask: Ask) -> None:
    answer = ask("/trigger", {"event": "test.event", "payload": {"a": 1}})
    assert (answer.status, answer.content_type) == (200, "application/json")
    assert said(answer) == {
        "success": True,
        "message": "Event test.event sent to Trigger.dev",
        "result": {
            "id": ask.only.id,
            "name": "test.event",
            "payload": {"a": 1},
            "context": {},
            "timestamp": iso(NOW),
            "deliverAt": iso(NOW),
            "deliveredAt": None,
            "cancelledAt": None,
        },
    }


def test_no_payload_passes(ask: Ask) -> None:
    answer = ask("/trigger", {"event": "a"})
    assert answer.status == 200
    assert "payload" not in said(answer)["result"]


@pytest.mark.parametrize("body", [{}, {"payload": 1}, {"event": None}, {"event": ""}, {"event": 0}, [], [1], None])
def test_no_event_is_400(ask: Ask, body: Any) -> None:
    answer = ask("/trigger", body)
    assert (answer.status, said(answer)) == (400, {"error": "Missing required fields"})
    assert answer.content_type == "application/json"


@pytest.mark.parametrize("raw", [b"", b'{"event"', b'{"event":"a'])
def test_a_cut_body_is_500(ask: Ask, raw: bytes) -> None:
    answer = ask("/trigger", raw)
    assert answer.status == 500
    assert said(answer) == {"error": "Failed to process event", "message": "Unexpected end of JSON input"}


def test_another_malformed_body_is_500_in_v8s_words(ask: Ask) -> None:
    answer = ask("/trigger", b"hello")
    assert (answer.status, said(answer)["message"]) == (500, "Unexpected token 'h', \"hello\" is not valid JSON")


def test_id_and_delay_are_ignored(ask: Ask) -> None:
    for _ in range(2):
        ask("/trigger", {"event": "a", "id": "x", "delay": {"seconds": 30}, "payload": 1})
    assert [record.state for record in ask.events] == ["delivered", "delivered"]
    assert [record.duplicates for record in ask.events] == [0, 0]


@pytest.mark.parametrize(("event", "text"), [({"a": 1}, "[object Object]"), ([1, None, "b"], "1,,b"), (True, "true")])
def test_an_event_of_another_type_is_written_as_javascript_does(ask: Ask, event: Any, text: str) -> None:
    assert said(ask("/trigger", {"event": event}))["message"] == f"Event {text} sent to Trigger.dev"


def test_another_method_is_405(ask: Ask) -> None:
    assert ask("/trigger", method="GET").status == 405


def test_a_poisoned_event_fails_as_its_upstream_would(ask: Ask) -> None:
    ask.fault("poison=fetch failed,name=a")
    answer = ask("/trigger", {"event": "a"})
    assert (answer.status, said(answer)["message"]) == (500, "fetch failed")
