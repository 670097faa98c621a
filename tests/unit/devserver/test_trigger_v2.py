"""Trigger.dev v2, row by row as it was observed on its own routes."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.devserver.wire import Answer, iso
from tests.unit.devserver.asking import BEARER, NOW, Ask, said

URL = "/v2/api/v1/events"


@pytest.fixture
def ask() -> Ask:
    return Ask()


def body(options: Any = None, **event: Any) -> dict[str, Any]:
    given = {} if options is None else {"options": options}
    return {"event": {"id": "e1", "name": "user.created", "payload": {"a": 1}, **event}, **given}


def refusal(answer: Answer) -> str:
    assert answer.status == 422
    return str(said(answer)["message"])


def test_the_answer_is_the_record(ask: Ask) -> None:
    answer = ask(URL, body(), headers=BEARER)
    assert answer.status == 200
    assert answer.content_type == "application/json; charset=utf-8"
    assert said(answer) == {
        "id": "e1",
        "name": "user.created",
        "payload": {"a": 1},
        "context": {},
        "timestamp": iso(NOW),
        "deliverAt": iso(NOW),
        "deliveredAt": None,
        "cancelledAt": None,
    }


def test_an_id_is_made_where_none_is_given(ask: Ask) -> None:
    answer = ask(URL, {"event": {"name": "a"}}, headers=BEARER)
    assert len(said(answer)["id"]) == 26
    assert said(answer)["payload"] == {}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"name": 7}, "Code: invalid_type ~ Path: event.name ~ Message: Expected string, received number"),
        ({"id": None}, "Code: invalid_type ~ Path: event.id ~ Message: Expected string, received null"),
        ({"timestamp": "never"}, "Code: invalid_date ~ Path: event.timestamp ~ Message: Invalid date"),
        ({"payloadType": "XML"}, "Code: invalid_union ~ Path: event.payloadType ~ Message: Invalid input"),
    ],
)
def test_refusals_stand_under_message(ask: Ask, change: Any, why: str) -> None:
    assert refusal(ask(URL, body(**change), headers=BEARER)) == why


def test_a_missing_name_is_required(ask: Ask) -> None:
    assert refusal(ask(URL, {"event": {}}, headers=BEARER)) == (
        "Code: invalid_type ~ Path: event.name ~ Message: Required"
    )


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (
            {"deliverAfter": 1.5},
            "Code: invalid_type ~ Path: options.deliverAfter ~ Message: Expected integer, received float",
        ),
        (
            {"deliverAfter": "5"},
            "Code: invalid_type ~ Path: options.deliverAfter ~ Message: Expected number, received string",
        ),
        ({"deliverAt": "soon"}, "Code: invalid_date ~ Path: options.deliverAt ~ Message: Invalid date"),
        (
            {"accountId": 1},
            "Code: invalid_type ~ Path: options.accountId ~ Message: Expected string, received number",
        ),
    ],
)
def test_wrong_options_are_refused(ask: Ask, options: Any, why: str) -> None:
    assert refusal(ask(URL, body(options), headers=BEARER)) == why


@pytest.mark.parametrize(
    ("options", "due"),
    [
        ({}, NOW),
        ({"deliverAfter": 10}, NOW + 10_000),
        ({"deliverAfter": -10}, NOW),
        ({"deliverAfter": 0}, NOW),
        ({"deliverAt": iso(NOW + 60_000)}, NOW + 60_000),
        ({"deliverAt": NOW + 60_000}, NOW + 60_000),
        ({"deliverAt": iso(NOW + 60_000), "deliverAfter": 10}, NOW + 60_000),
        ({"deliverAt": None}, NOW),
        ({"deliverAt": "2001-01-01"}, NOW),
    ],
)
def test_delays(ask: Ask, options: Any, due: float) -> None:
    assert ask(URL, body(options), headers=BEARER).status == 200
    assert ask.only.due == due


def test_the_delay_of_v1_and_an_outer_id_are_dropped_without_a_word(ask: Ask) -> None:
    answer = ask(URL, {"id": "outer", "event": {"name": "a", "payload": 1, "delay": {"seconds": 30}}}, headers=BEARER)
    assert answer.status == 200
    assert said(answer)["id"] != "outer"
    assert ask.only.state == "delivered"


def test_a_delivered_id_is_answered_with_the_first_record(ask: Ask) -> None:
    ask(URL, body(), headers=BEARER)
    ask.wait(1)
    answer = said(ask(URL, body(payload={"other": 2}), headers=BEARER))
    assert answer["payload"] == {"a": 1}
    assert answer["deliveredAt"] == iso(NOW)
    assert (ask.only.duplicates, ask.only.runs) == (1, 1)


def test_an_id_that_is_due_later_than_5_s_is_updated(ask: Ask) -> None:
    ask(URL, body({"deliverAt": iso(NOW + 60_000)}), headers=BEARER)
    answer = said(ask(URL, body({"deliverAt": iso(NOW + 90_000)}, payload={"b": 2}), headers=BEARER))
    assert (answer["payload"], answer["deliverAt"]) == ({"b": 2}, iso(NOW + 90_000))
    ask.wait(60)
    assert ask.only.state == "scheduled"
    ask.wait(30)
    assert (ask.only.state, ask.only.runs) == ("delivered", 1)


def test_a_resend_without_options_delivers_now(ask: Ask) -> None:
    ask(URL, body({"deliverAfter": 60}), headers=BEARER)
    ask(URL, body(), headers=BEARER)
    assert (ask.only.state, ask.only.runs) == ("delivered", 1)
    ask.wait(60)
    assert ask.only.runs == 1


def test_a_resend_with_a_relative_delay_moves_the_time(ask: Ask) -> None:
    ask(URL, body({"deliverAfter": 60}), headers=BEARER)
    ask.wait(10)
    ask(URL, body({"deliverAfter": 60}), headers=BEARER)
    assert ask.only.due == NOW + 70_000


def test_an_id_that_is_due_within_5_s_is_left_alone(ask: Ask) -> None:
    ask(URL, body({"deliverAfter": 4}), headers=BEARER)
    answer = said(ask(URL, body({"deliverAfter": 60}, payload={"b": 2}), headers=BEARER))
    assert answer["payload"] == {"a": 1}
    assert ask.only.due == NOW + 4_000


def test_a_resend_without_payload_keeps_the_old_one(ask: Ask) -> None:
    ask(URL, body({"deliverAfter": 60}), headers=BEARER)
    again = {"event": {"id": "e1", "name": "user.created"}, "options": {"deliverAfter": 60}}
    assert said(ask(URL, again, headers=BEARER))["payload"] == {"a": 1}


def test_ids_belong_to_the_environment_of_the_key(ask: Ask) -> None:
    ask(URL, body(), headers=BEARER)
    ask(URL, body(), headers={"authorization": "Bearer tr_prod_1"})
    assert [record.duplicates for record in ask.events] == [0, 0]


def test_bulk_answers_with_an_array(ask: Ask) -> None:
    events = [{"id": "e1", "name": "a", "payload": 1}, {"id": "e2", "name": "b", "payload": 2}]
    answer = ask("/api/v1/events/bulk", {"events": events, "options": {"deliverAfter": 9}}, headers=BEARER)
    assert [one["id"] for one in said(answer)] == ["e1", "e2"]
    assert {record.due for record in ask.events} == {NOW + 9_000}


def test_a_schema_failure_refuses_a_whole_bulk(ask: Ask) -> None:
    answer = ask("/api/v1/events/bulk", {"events": [{"name": "a"}, {"id": "e2"}]}, headers=BEARER)
    assert refusal(answer) == "Code: invalid_type ~ Path: events[1].name ~ Message: Required"
    assert not ask.events


def test_a_failure_midway_keeps_the_earlier_ones_of_a_bulk(ask: Ask) -> None:
    ask.fault("poison=x,name=bad")
    answer = ask("/api/v1/events/bulk", {"events": [{"name": "a"}, {"name": "bad"}, {"name": "c"}]}, headers=BEARER)
    assert (answer.status, said(answer)) == (500, {"error": "Failed to create event"})
    assert ask.only.name == "a"


def test_no_authorization_is_401_from_the_limiter_as_problem_json(ask: Ask) -> None:
    answer = ask(URL, body())
    assert (answer.status, answer.content_type) == (401, "application/problem+json")
    assert said(answer)["error"] == "No authorization header provided"


def test_a_wrong_key_is_401_from_the_route() -> None:
    answer = Ask("right")(URL, body(), headers=BEARER)
    assert (answer.status, said(answer)) == (401, {"error": "Invalid or Missing API key"})


@pytest.mark.parametrize("raw", [b"", b"{", b"hello"])
def test_malformed_json_is_500_in_plain_text(ask: Ask, raw: bytes) -> None:
    answer = ask(URL, raw, headers=BEARER)
    assert (answer.status, answer.body) == (500, b"Unexpected Server Error")


def test_put_is_200_with_405_in_the_body(ask: Ask) -> None:
    assert said(ask(URL, body(), method="PUT", headers=BEARER))["status"] == 405


def test_an_event_can_be_read_with_its_runs(ask: Ask) -> None:
    ask(URL, body({"deliverAfter": 60}), headers=BEARER)
    answer = said(ask("/api/v1/events/e1", method="GET", headers=BEARER))
    assert (answer["id"], answer["name"], answer["createdAt"], answer["runs"]) == ("e1", "user.created", iso(NOW), [])
    ask.wait(60)
    assert len(said(ask("/api/v1/events/e1", method="GET", headers=BEARER))["runs"]) == 1


@pytest.mark.parametrize(("path", "method"), [("/api/v1/events/e9", "GET"), ("/api/v1/events/e9/cancel", "POST")])
def test_an_unknown_event_is_404(ask: Ask, path: str, method: str) -> None:
    answer = ask(path, method=method, headers=BEARER)
    assert (answer.status, said(answer)) == (404, {"error": "Event not found"})


def test_a_cancelled_event_never_runs(ask: Ask) -> None:
    ask(URL, body({"deliverAfter": 60}), headers=BEARER)
    answer = said(ask("/api/v1/events/e1/cancel", headers=BEARER))
    assert (answer["cancelledAt"], answer["deliveredAt"]) == (iso(NOW), None)
    ask.wait(60)
    assert (ask.only.state, ask.only.runs) == ("cancelled", 0)


def test_cancelling_what_was_delivered_changes_nothing_but_the_mark(ask: Ask) -> None:
    ask(URL, body(), headers=BEARER)
    answer = said(ask("/api/v1/events/e1/cancel", headers=BEARER))
    assert answer["deliveredAt"] == answer["cancelledAt"] == iso(NOW)
    assert (ask.only.state, ask.only.runs) == ("delivered", 1)


@pytest.mark.parametrize("path", ["/api/v1/events/e1", "/api/v1/events/e1/cancel"])
def test_reading_and_cancelling_need_a_key(ask: Ask, path: str) -> None:
    assert ask(path, headers={}).status == 401
