"""Trigger.dev v1, row by row as it was observed on its own route."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.devserver.wire import Answer
from tests.unit.devserver.asking import BEARER, NOW, Ask, said

URL = "/v1/api/v1/events"


@pytest.fixture
def ask() -> Ask:
    return Ask()


def body(**event: Any) -> dict[str, Any]:
    return {"id": "e1", "event": {"name": "user.created", "payload": {"userId": "12"}, **event}}


def refusal(answer: Answer) -> str:
    assert answer.status == 422
    assert answer.content_type == "application/json; charset=utf-8"
    return str(said(answer)["error"])


@pytest.mark.parametrize(
    ("delay", "wait_ms"),
    [
        ({"seconds": 30}, 30_000),
        ({"minutes": 5}, 300_000),
        ({"hours": 2}, 7_200_000),
        ({"days": 1}, 86_400_000),
        ({"seconds": 3.0}, 3_000),
    ],
)
def test_each_unit_of_delay_is_kept(ask: Ask, delay: Any, wait_ms: int) -> None:
    answer = ask(URL, body(delay=delay), headers=BEARER)
    assert (answer.status, answer.body) == (200, b'{"status":200}')
    assert answer.content_type == "application/json; charset=utf-8"
    assert (ask.only.state, ask.only.due - NOW) == ("scheduled", wait_ms)


@pytest.mark.parametrize("fraction", ["", ".123", ".123456"])
def test_until_ends_in_z_with_any_fraction(ask: Ask, fraction: str) -> None:
    assert ask(URL, body(delay={"until": f"2033-05-18T03:33:20{fraction}Z"}), headers=BEARER).status == 200
    assert ask.only.due == pytest.approx(2_000_000_000_000 + float(fraction or 0) * 1000, abs=0.01)


@pytest.mark.parametrize(
    "until", ["2033-05-18T03:33:20+00:00", "2033-05-18T03:33:20+02:00", "2033-05-18T03:33:20", "2033-05-18", "soon"]
)
def test_until_with_an_offset_or_without_a_zone_is_refused(ask: Ask, until: str) -> None:
    assert refusal(ask(URL, body(delay={"until": until}), headers=BEARER)) == (
        "Code: invalid_string ~ Path: event.delay.until ~ Message: Invalid datetime"
    )


@pytest.mark.parametrize("until", ["2033-05-18T03:33:20+00:00", "2033-05-18"])
def test_a_timestamp_follows_the_same_rule(ask: Ask, until: str) -> None:
    assert refusal(ask(URL, body(timestamp=until), headers=BEARER)) == (
        "Code: invalid_string ~ Path: event.timestamp ~ Message: Invalid datetime"
    )
    assert ask(URL, body(timestamp="2033-05-18T03:33:20.5Z"), headers=BEARER).status == 200


@pytest.mark.parametrize("delay", [{"until": 2_000_000_000}, {}, None, {"weeks": 1}, 30, "30s", {"seconds": "30"}])
def test_a_delay_of_no_known_unit_is_an_invalid_union(ask: Ask, delay: Any) -> None:
    why = "Code: invalid_union ~ Path: event.delay ~ Message: Invalid input"
    assert refusal(ask(URL, body(delay=delay), headers=BEARER)) == why


def test_seconds_must_be_whole(ask: Ask) -> None:
    assert refusal(ask(URL, body(delay={"seconds": 1.5}), headers=BEARER)) == (
        "Code: invalid_type ~ Path: event.delay.seconds ~ Message: Expected integer, received float"
    )


@pytest.mark.parametrize("seconds", [0, -5])
def test_no_delay_and_a_negative_one_are_immediate(ask: Ask, seconds: int) -> None:
    assert ask(URL, body(delay={"seconds": seconds}), headers=BEARER).status == 200
    assert ask.only.state == "delivered"


def test_of_several_units_only_the_first_of_the_union_is_kept(ask: Ask) -> None:
    ask(URL, body(delay={"minutes": 5, "seconds": 30}), headers=BEARER)
    assert ask.only.due - NOW == 30_000


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"id": None}, "Code: invalid_type ~ Path: id ~ Message: Expected string, received null"),
        ({"id": 7}, "Code: invalid_type ~ Path: id ~ Message: Expected string, received number"),
        ({"event": 1}, "Code: invalid_type ~ Path: event ~ Message: Expected object, received number"),
    ],
)
def test_wrong_types_are_named(ask: Ask, change: Any, why: str) -> None:
    assert refusal(ask(URL, body() | change, headers=BEARER)) == why


def test_missing_fields_are_required(ask: Ask) -> None:
    assert refusal(ask(URL, {"event": body()["event"]}, headers=BEARER)) == (
        "Code: invalid_type ~ Path: id ~ Message: Required"
    )
    assert refusal(ask(URL, {}, headers=BEARER)) == (
        "Code: invalid_type ~ Path: id ~ Message: Required | Code: invalid_type ~ Path: event ~ Message: Required"
    )


def test_a_missing_payload_is_refused_and_null_is_none(ask: Ask) -> None:
    assert "event.payload" in refusal(ask(URL, {"id": "e1", "event": {"name": "a"}}, headers=BEARER))
    assert ask(URL, body(payload=None), headers=BEARER).status == 200


def test_an_empty_id_and_extra_keys_pass(ask: Ask) -> None:
    assert ask(URL, body(more=1) | {"id": "", "extra": True}, headers=BEARER).status == 200


@pytest.mark.parametrize("authorization", [None, "bearer tr_dev_1", "Bearer ", "Bearer wrong", "Basic x"])
def test_no_good_key_is_401(authorization: str | None) -> None:
    headers = {"authorization": authorization} if authorization is not None else {}
    answer = Ask("tr_dev_1")(URL, body(), headers=headers)
    assert (answer.status, said(answer)) == (401, {"error": "Invalid or Missing API key"})


@pytest.mark.parametrize("raw", [b"", b"{", b"hello"])
def test_malformed_json_is_500_in_plain_text(ask: Ask, raw: bytes) -> None:
    answer = ask(URL, raw, headers=BEARER)
    assert (answer.status, answer.body) == (500, b"Unexpected Server Error")
    assert (answer.content_type or "").startswith("text/plain")


def test_put_is_200_with_405_in_the_body(ask: Ask) -> None:
    answer = ask(URL, body(), method="PUT", headers=BEARER)
    assert answer.status == 200
    assert said(answer) == {"status": 405, "body": "Method Not Allowed"}
    assert not ask.events


def test_the_same_id_is_answered_alike_and_stored_once(ask: Ask) -> None:
    first, second = ask(URL, body(), headers=BEARER), ask(URL, body(payload=2), headers=BEARER)
    assert first.body == second.body
    assert (ask.only.deliveries, ask.only.conflicts, ask.only.runs) == (2, 1, 1)
    assert ask.only.payload == b'{"userId":"12"}'


def test_ids_are_known_across_environments_for_ever(ask: Ask) -> None:
    ask(URL, body(), headers=BEARER)
    ask.wait(400 * 86_400)
    ask(URL, body(), headers={"authorization": "Bearer other"})
    assert ask.only.duplicates == 1


def test_a_duplicate_with_a_delay_does_not_move_the_first(ask: Ask) -> None:
    ask(URL, body(delay={"seconds": 30}), headers=BEARER)
    ask(URL, body(delay={"seconds": 5}), headers=BEARER)
    ask.wait(10)
    assert ask.only.state == "scheduled"
    ask.wait(20)
    assert (ask.only.state, ask.only.runs) == ("delivered", 1)


def test_the_body_decides_where_no_version_is_named(ask: Ask) -> None:
    assert said(ask("/api/v1/events", body(), headers=BEARER)) == {"status": 200}
    assert "deliverAt" in said(ask("/api/v1/events", {"event": {"name": "a"}}, headers=BEARER))
    assert "deliverAt" in said(ask("/api/v1/events", body() | {"options": {}}, headers=BEARER))


def test_a_poisoned_event_is_422(ask: Ask) -> None:
    ask.fault("poison=nope,id=e1")
    assert refusal(ask(URL, body(), headers=BEARER)) == "nope"
