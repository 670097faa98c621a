from __future__ import annotations

import json

import pytest

from bridge.errors import PoisonError
from bridge.model import Envelope
from tests.unit.formats.reading import NOW, read, read_all, refusal

USER = {"name": "user.created", "payload": {"userId": "123456"}}
V1 = {"id": "evt-1", "event": USER}
AT = "2026-01-31T09:00:00Z"
AT_MS = 1_769_850_000_000


@pytest.mark.parametrize("format_name", ["auto", "trigger"])
def test_v1_as_its_guide_sends_it(format_name: str) -> None:
    assert read(V1, format_name) == Envelope(id="evt-1", name="user.created", data={"userId": "123456"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("delay", "due_at"),
    [
        ({"seconds": 30}, NOW + 30_000),
        ({"minutes": 5}, NOW + 300_000),
        ({"hours": 1, "days": 1}, NOW + 90_000_000),
        ({"until": AT}, AT_MS),
        (None, None),
    ],
)
def test_v1_delays(delay: object, due_at: int | None) -> None:
    assert read({"id": "1", "event": {**USER, "delay": delay}}).due_at == due_at


def test_v1_context_and_timestamp() -> None:
    event = read({"id": "1", "event": {**USER, "context": {"a": 1}, "timestamp": AT}})
    assert (event.context, event.ts, event.due_at) == ({"a": 1}, AT_MS, None)


@pytest.mark.parametrize("payload", [None, 0, "text", [1], {}])
def test_v1_takes_any_payload_even_null(payload: object) -> None:
    assert read({"id": "1", "event": {"name": "a.b", "payload": payload}}).data == payload


@pytest.mark.parametrize(
    ("options", "due_at"),
    [
        ({}, None),
        ({"deliverAt": AT}, AT_MS),
        ({"deliverAt": AT_MS}, AT_MS),
        ({"deliverAfter": 30}, NOW + 30_000),
        ({"deliverAfter": -30}, NOW),
        ({"deliverAt": AT, "deliverAfter": 30}, AT_MS),  # as on the server
        ({"deliverAt": None, "deliverAfter": 30}, NOW + 30_000),
    ],
)
def test_v2_options(options: object, due_at: int | None) -> None:
    event = read({"event": {"id": "evt-1", **USER}, "options": options})
    assert (event.id, event.name, event.due_at) == ("evt-1", "user.created", due_at)


def test_v2_needs_neither_id_nor_payload() -> None:
    event = read({"event": {"name": "user.created"}, "options": {}}, message_id="m")
    assert (event.id, event.data) == ("m", None)


def test_v2_account_becomes_the_user() -> None:
    assert read({"event": USER, "options": {"accountId": "acc-1"}}).user == {"accountId": "acc-1"}


def test_a_delay_inside_a_v2_event_counts_although_the_server_drops_it() -> None:
    assert read({"event": {**USER, "delay": {"hours": 24}}, "options": {}}).due_at == NOW + 86_400_000


def test_a_delay_counts_wherever_it_stands() -> None:
    assert read({"id": "1", "event": USER, "delay": {"hours": 24}}).due_at == NOW + 86_400_000
    assert read({"event": USER, "options": {"accountId": "a"}, "delay": 5}).due_at == NOW + 5000
    events = read_all({"events": [USER, {"payload": 1}], "delay": "PT5S"})
    assert isinstance(events[0], Envelope)
    assert events[0].due_at == NOW + 5000
    assert isinstance(events[1], PoisonError)
    assert json.loads(events[1].element or b"") == {"event": {"payload": 1}, "options": {}, "delay": "PT5S"}


def test_an_id_counts_wherever_it_stands() -> None:
    assert read({"id": "1", "event": USER, "options": {}}).id == "1"
    assert read({"id": "1", "event": {"id": "1", **USER}}).id == "1"


def test_v2_bulk_shares_its_options() -> None:
    events = read_all({"events": [{"id": "1", **USER}, USER], "options": {"deliverAfter": 5}}, message_id="m")
    assert [(event.id, event.due_at) for event in events if isinstance(event, Envelope)] == [
        ("1", NOW + 5000),
        ("m/1", NOW + 5000),
    ]


def test_a_bad_event_of_a_bulk_stands_alone_with_the_options_it_had() -> None:
    good, bad, _ = read_all({"events": [USER, {"payload": 1}, USER], "options": {"deliverAfter": 5, "x": "y" * 99}})
    assert isinstance(good, Envelope)
    assert isinstance(bad, PoisonError)
    assert str(bad) == "events[1].name is missing"
    assert json.loads(bad.element or b"") == {"event": {"payload": 1}, "options": {"deliverAfter": 5}}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"id": "1", "event": {}}, "event.payload is missing"),
        ({"id": "1", "event": {"payload": {}}}, "event.name is missing"),
        ({"id": "1", "event": {"name": "a"}}, "event.payload is missing"),
        ({"id": None, "event": {**USER, "delay": {"seconds": 1}}}, "id is missing"),
        ({"event": {**USER, "delay": {"seconds": 1}}}, "id is missing"),
        ({"id": 7, "event": USER}, "id must be a string, not a number"),
        ({"id": "", "event": USER}, "id is empty"),
        ({"id": "x" * 513, "event": USER}, "id has 513 characters, more than 512"),
        ({"id": "a\x7f", "event": USER}, "id must not contain control characters (U+007F at 1)"),
        ({"id": "1", "event": {**USER, "name": 5}}, "event.name must be a string, not a number"),
        ({"id": "1", "event": {**USER, "name": ""}}, "event.name is empty"),
        ({"id": "1", "event": {**USER, "name": "a\nb"}}, "event.name must not contain control characters"),
        ({"id": "1", "event": {**USER, "timestamp": "yesterday"}}, "event.timestamp must be an ISO 8601 time"),
        ({"id": "1", "event": {**USER, "timestamp": True}}, "event.timestamp must be an ISO 8601 time or epoch"),
        ({"id": "1", "event": {**USER, "delay": {"weeks": 1}}}, "event.delay.weeks is no unit of delay"),
        ({"id": "1", "event": {**USER, "delay": {}}}, "event.delay is empty"),
        ({"id": "1", "event": {"id": "2", **USER}}, "event.id differs from id: give one of them"),
        ({"event": USER, "options": []}, "options must be an object, not an array"),
        ({"event": USER, "options": {"deliverAt": "soon"}}, "options.deliverAt must be an ISO 8601 time"),
        ({"event": USER, "options": {"deliverAfter": "5"}}, "options.deliverAfter must be a number, not a string"),
        ({"event": USER, "options": {"accountId": 5}}, "options.accountId must be a string, not a number"),
        (
            {"event": {**USER, "delay": {"seconds": 1}}, "options": {"deliverAfter": 5}},
            "event.delay cannot be combined with options.deliverAfter",
        ),
        ({"event": {**USER, "delay": 1}, "id": "1", "delay": 1}, "event.delay cannot be combined with delay"),
        ({"event": USER, "delay": 1, "options": {"deliverAfter": 5}}, "delay cannot be combined with options.deliverA"),
        ({"event": USER, "delay": {"weeks": 1}}, "delay.weeks is no unit of delay"),
        ({"events": []}, "events is an empty array"),
        ({"events": [USER], "options": {"deliverAt": "soon"}}, "options.deliverAt must be an ISO 8601 time"),
        ({"events": [USER] * 10_001}, "events has 10001 events, more than 10000"),
    ],
)
def test_what_is_wrong_is_named(body: object, reason: str) -> None:
    assert refusal(body).startswith(reason)
    assert refusal(body, "trigger").startswith(reason)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "event is missing"),
        ({"event": None}, "event is missing"),
        ({"event": "user.created"}, "event must be an object, not a string"),
        ({"events": {}}, "events must be an array, not an object"),
        ([], "body is an empty array"),
        ("text", "body must be an object, not a string"),
    ],
)
def test_other_bodies_are_no_trigger_envelopes(body: object, reason: str) -> None:
    assert refusal(body, "trigger") == reason
