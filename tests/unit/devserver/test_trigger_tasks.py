"""Trigger.dev tasks (v3, v4), row by row as they stand in the facts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.devserver.asking import BEARER, NOW, Ask, said

URL = "/api/v1/tasks/welcome/trigger"
DAY = 86_400


@pytest.fixture
def ask() -> Ask:
    return Ask()


def body(**options: Any) -> dict[str, Any]:
    return {"payload": {"a": 1}, "options": {"idempotencyKey": "k1", **options}}


def test_a_run_is_answered_with_its_id(ask: Ask) -> None:
    answer = ask(URL, body(), headers=BEARER)
    assert answer.status == 200
    assert said(answer)["id"].startswith("run_")
    assert said(answer)["isCached"] is False
    assert "x-trigger-jwt" in answer.headers
    assert (ask.only.name, ask.only.id, ask.only.payload) == ("welcome", "k1", b'{"a":1}')


def test_the_same_key_is_answered_with_the_same_run(ask: Ask) -> None:
    first, second = (said(ask(URL, body(), headers=BEARER)) for _ in range(2))
    assert (second["id"], second["isCached"]) == (first["id"], True)
    assert (ask.only.duplicates, ask.only.runs) == (1, 1)


def test_keys_belong_to_a_task_and_an_environment(ask: Ask) -> None:
    ask(URL, body(), headers=BEARER)
    other_task = said(ask("/api/v1/tasks/goodbye/trigger", body(), headers=BEARER))
    other_environment = said(ask(URL, body(), headers={"authorization": "Bearer tr_prod_1"}))
    assert not other_task["isCached"]
    assert not other_environment["isCached"]


def test_the_header_wins_over_the_body(ask: Ask) -> None:
    ask(URL, body(), headers=BEARER | {"idempotency-key": "header"})
    assert ask.only.id == "header"


def test_no_key_is_a_new_run_each_time(ask: Ask) -> None:
    runs = {said(ask(URL, {"payload": 1}, headers=BEARER))["id"] for _ in range(2)}
    assert len(runs) == len(ask.events) == 2


@pytest.mark.parametrize(("ttl", "seconds"), [(None, 30 * DAY), ("24h", DAY), ("10s", 10), ("5m", 300)])
def test_a_key_is_forgotten_after_its_ttl(ask: Ask, ttl: str | None, seconds: float) -> None:
    options = {} if ttl is None else {"idempotencyKeyTTL": ttl}
    first = said(ask(URL, body(**options), headers=BEARER))
    ask.wait(seconds - 1)
    assert said(ask(URL, body(**options), headers=BEARER))["isCached"]
    ask.wait(1)
    again = said(ask(URL, body(**options), headers=BEARER))
    assert not again["isCached"]
    assert again["id"] != first["id"]
    assert (ask.only.runs, ask.only.duplicates) == (2, 1)


@pytest.mark.parametrize(
    ("delay", "wait_ms"),
    [
        ("30s", 30_000),
        ("5m", 300_000),
        ("1h30m", 5_400_000),
        ("2d", 172_800_000),
        ("1w", 604_800_000),
        ("2hr", 7_200_000),
        ("30 seconds", 0),
        ("2001-01-01T00:00:00Z", 0),
        (None, 0),
        (NOW + 5_000, 5_000),
    ],
)
def test_delays(ask: Ask, delay: Any, wait_ms: float) -> None:
    assert ask(URL, body(delay=delay), headers=BEARER).status == 200
    assert ask.only.due - NOW == wait_ms


def test_an_iso_date_is_a_delay(ask: Ask) -> None:
    ask(URL, body(delay="2033-05-18T03:33:20Z"), headers=BEARER)
    assert ask.only.due == 2_000_000_000_000


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"delay": {"seconds": 30}}, "delay"),
        ({"tags": ["x" * 129]}, "tags"),
        ({"tags": 7}, "tags"),
        ({"ttl": -1}, "ttl"),
        ({"idempotencyKey": 7}, "idempotencyKey"),
    ],
)
def test_wrong_options_are_a_validation_error(ask: Ask, options: Any, field: str) -> None:
    answer = ask(URL, body(**options), headers=BEARER)
    assert answer.status == 400
    assert said(answer) == {"error": f'Validation error: Invalid input at "options.{field}"'}


def test_unknown_options_are_dropped(ask: Ask) -> None:
    assert ask(URL, body(surprise=1), headers=BEARER).status == 200


def test_a_header_key_over_2048_characters_is_a_headers_error(ask: Ask) -> None:
    answer = ask(URL, body(), headers=BEARER | {"idempotency-key": "k" * 2049})
    assert (answer.status, said(answer)["error"]) == (400, "Headers Error")
    assert said(answer)["details"][0]["path"] == ["idempotency-key"]
    assert ask(URL, body(), headers=BEARER | {"idempotency-key": "k" * 2048}).status == 200


@pytest.mark.parametrize("raw", [b"", b"{", b"hello"])
def test_malformed_json_is_400(ask: Ask, raw: bytes) -> None:
    answer = ask(URL, raw, headers=BEARER)
    assert (answer.status, said(answer)) == (400, {"error": "Invalid JSON"})


@pytest.mark.parametrize("raw", [b"[]", b"7", b'{"options":3}'])
def test_another_shape_is_a_validation_error(ask: Ask, raw: bytes) -> None:
    answer = ask(URL, raw, headers=BEARER)
    assert answer.status == 400
    assert said(answer)["error"].startswith("Validation error: Expected object")


def test_keys_are_checked() -> None:
    ask = Ask("right")
    assert ask(URL, body()).content_type == "application/problem+json"
    answer = ask(URL, body(), headers=BEARER)
    assert (answer.status, said(answer)) == (401, {"error": "Invalid API Key"})


def test_a_body_over_3_mb_or_of_unknown_length_is_413(ask: Ask) -> None:
    for answer in (
        ask(URL, b" " * 3_000_001, headers=BEARER),
        ask(URL, body(), headers=BEARER, chunked=True),
    ):
        assert (answer.status, said(answer)) == (413, {"error": "Request body too large"})


def items(*tasks: str) -> dict[str, Any]:
    return {
        "items": [
            {"task": task, "payload": {"n": n}, "options": {"idempotencyKey": f"k{n}"}} for n, task in enumerate(tasks)
        ]
    }


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_batch_is_202_with_a_run_for_each_item(ask: Ask, version: str) -> None:
    url = f"/api/{version}/tasks/batch"
    answer = ask(url, items("a", "b"), headers=BEARER)
    assert answer.status == 202
    assert [run["taskIdentifier"] for run in said(answer)["runs"]] == ["a", "b"]
    assert [run["isCached"] for run in said(answer)["runs"]] == [False, False]
    assert [run["isCached"] for run in said(ask(url, items("a", "b"), headers=BEARER))["runs"]] == [True, True]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"items": []}, "Batch cannot be triggered with no items"),
        (items(*["a"] * 501), "Batch size of 501 is too large. Maximum allowed batch size is 500."),
        ({}, 'Validation error: Required at "items"'),
        ({"items": [{"payload": 1}]}, 'Validation error: Required at "items[0].task"'),
        (
            {"items": [{"task": "a", "options": {"delay": {}}}]},
            'Validation error: Invalid input at "items[0].options.delay"',
        ),
    ],
)
def test_a_bad_batch_runs_nothing(ask: Ask, body: Any, why: str) -> None:
    answer = ask("/api/v1/tasks/batch", body, headers=BEARER)
    assert (answer.status, said(answer)) == (400, {"error": why})
    assert not ask.events


def test_a_batch_over_1_mb_is_413(ask: Ask) -> None:
    assert ask("/api/v1/tasks/batch", b" " * 1_000_001, headers=BEARER).status == 413


def test_a_poisoned_item_refuses_the_batch(ask: Ask) -> None:
    ask.fault("poison=quota,name=b")
    answer = ask("/api/v1/tasks/batch", items("a", "b"), headers=BEARER)
    assert (answer.status, said(answer)) == (422, {"error": "quota"})
    assert not ask.events


def test_another_method_is_405(ask: Ask) -> None:
    assert ask(URL, method="GET", headers=BEARER).status == 405
