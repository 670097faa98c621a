"""A delay counts or is refused; none is ever read past, or the event would be sent at once."""

from __future__ import annotations

import pytest

from bridge.errors import PoisonError
from bridge.formats import FormatName
from bridge.model import Envelope
from tests.unit.formats.reading import NOW, read, read_all, refusal

AT = "2026-01-31T09:00:00Z"
AT_MS = 1_769_850_000_000
SENDEVENT = {"name": "a.b", "payload": {}}
INNGEST = {"name": "a.b", "data": {}}
ZOPIO = {"event": "a.b", "payload": {}}
V1 = {"id": "1", "event": SENDEVENT}
V2 = {"event": {"id": "1", **SENDEVENT}, "options": {}}
BULK = {"events": [SENDEVENT]}
CLOUDEVENT = {"specversion": "1.0", "id": "1", "source": "/s", "type": "a.b"}

FLAT = " would delay nothing there: write delay, such as"
TRIGGER = " would delay nothing there: write event.delay, options.deliverAt or options.deliverAfter"
CLOUD = " would delay nothing there: CloudEvents know no delay, send the header x-delay with milliseconds"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({**V1, "deliverAt": AT}, f"deliverAt{TRIGGER}"),
        ({**V1, "deliverAfter": 30}, f"deliverAfter{TRIGGER}"),
        ({"id": "1", "event": {**SENDEVENT, "deliverAt": AT}}, f"event.deliverAt{TRIGGER}"),
        ({"id": "1", "event": {**SENDEVENT, "options": {"deliverAfter": 30}}}, f"event.options.deliverAfter{TRIGGER}"),
        ({"id": "1", "event": {**SENDEVENT, "Delay": {"seconds": 30}}}, f"event.Delay{TRIGGER}"),
        ({**V2, "options": {"delay": "30s"}}, f"options.delay{TRIGGER}"),
        ({**V2, "options": {"deliver_at": AT}}, f"options.deliver_at{TRIGGER}"),
        ({**V2, "deliverAfter": 30}, f"deliverAfter{TRIGGER}"),
        ({"event": {**SENDEVENT, "deliverAfter": 30}, "options": {}}, f"event.deliverAfter{TRIGGER}"),
        ({**BULK, "deliverAt": AT}, f"deliverAt{TRIGGER}"),
        ({**BULK, "options": {"delay": 5}}, f"options.delay{TRIGGER}"),
        ({**SENDEVENT, "options": {"deliverAfter": 30}}, f"options.deliverAfter{FLAT}"),
        ({**SENDEVENT, "options": {"delay": "1h"}}, f"options.delay{FLAT}"),
        ({**SENDEVENT, "deliverAt": AT}, f"deliverAt{FLAT}"),
        ({**SENDEVENT, "x-delay": 5000}, f"x-delay{FLAT}"),
        ({**SENDEVENT, "delay_ms": 5000}, f"delay_ms{FLAT}"),
        ({**ZOPIO, "options": {"deliverAt": AT}}, f"options.deliverAt{FLAT}"),
        ({**ZOPIO, "deliverAfter": 30}, f"deliverAfter{FLAT}"),
        ({**INNGEST, "deliverAt": AT}, f"deliverAt{FLAT}"),
        ({"name": "a.b", "delayUntil": AT}, f"delayUntil{FLAT}"),
        ({**INNGEST, "options": {"delay": 5}}, f"options.delay{FLAT}"),
        ({**CLOUDEVENT, "delay": 5}, f"delay{CLOUD}"),
        ({**CLOUDEVENT, "deliverat": AT}, f"deliverat{CLOUD}"),
        ({**CLOUDEVENT, "delay": {"seconds": 5}}, f"delay{CLOUD}"),
    ],
)
def test_a_delay_where_nothing_reads_it_is_refused_with_the_cure(body: object, reason: str) -> None:
    assert refusal(body).startswith(reason)


@pytest.mark.parametrize("prefix", ["ce_", "ce-", "cloudEvents:", "cloudEvents_"])
def test_so_is_one_among_the_attributes_of_a_binary_cloudevent(prefix: str) -> None:
    headers = {f"{prefix}{name}": value for name, value in {**CLOUDEVENT, "delay": "5"}.items()}
    assert refusal({}, headers=headers) == f"cloudevent.delay{CLOUD}"


def test_of_an_array_only_the_event_with_the_stray_delay_is_refused() -> None:
    good, bad, again = read_all([SENDEVENT, {**SENDEVENT, "deliverAt": AT}, {**INNGEST, "delay": 5}])
    assert isinstance(good, Envelope)
    assert isinstance(again, Envelope)
    assert isinstance(bad, PoisonError)
    assert str(bad).startswith(f"[1].deliverAt{FLAT}")
    assert again.due_at == NOW + 5000
    (inside,) = read_all({"events": [{**SENDEVENT, "deliverAfter": 5}], "options": {"accountId": "a"}})
    assert isinstance(inside, PoisonError)
    assert str(inside) == f"events[0].deliverAfter{TRIGGER}"


@pytest.mark.parametrize(
    ("format_name", "body"),
    [("trigger", V1), ("trigger", V2), ("sendevent", SENDEVENT), ("zopio", ZOPIO), ("inngest", INNGEST)],
)
def test_other_unknown_fields_are_ignored_as_the_servers_ignore_them(format_name: FormatName, body: object) -> None:
    assert isinstance(body, dict)
    more = {"tenant": 7, "delivered": True, "deliverAt": None, "options": body.get("options", {}), "n" * 99: 1}
    assert read({**body, **more}, format_name).due_at is None
    if format_name != "trigger":
        assert read({**body, **more, "options": {"retries": 3}}, format_name).due_at is None


def test_what_is_in_a_payload_is_the_publishers_own() -> None:
    for body in ({"name": "a.b", "payload": {"delay": 5, "deliverAt": AT}}, {"name": "a.b", "data": {"delay": 5}}):
        assert read(body).due_at is None
    assert read({"delay": 5, "deliverAt": AT}, headers={"x-event-name": "a.b"}).due_at is None


@pytest.mark.parametrize("around", [SENDEVENT, ZOPIO])
@pytest.mark.parametrize(
    ("more", "ts", "due_at"),
    [
        ({"ts": NOW + 5000}, NOW + 5000, NOW + 5000),  # Inngest's word for a delay
        ({"ts": NOW - 5000}, NOW - 5000, None),
        ({"ts": AT}, AT_MS, AT_MS),
        ({"ts": NOW + 5000, "timestamp": NOW - 1}, NOW - 1, NOW + 5000),
        ({"ts": NOW + 5000, "delay": 9}, NOW + 5000, NOW + 9000),
        ({"timestamp": AT}, AT_MS, None),  # on no server a delay
    ],
)
def test_a_future_ts_beside_a_payload_delays_and_a_timestamp_never_does(
    around: dict[str, object], more: dict[str, object], ts: int, due_at: int | None
) -> None:
    event = read({**around, **more})
    assert (event.ts, event.due_at) == (ts, due_at)


def test_a_future_ts_delays_inside_and_beside_the_event_of_a_trigger_envelope() -> None:
    assert read({"id": "1", "event": {**SENDEVENT, "ts": NOW + 5000}}).due_at == NOW + 5000
    assert read({**V1, "ts": NOW + 5000}).due_at == NOW + 5000
    assert read({**V1, "ts": NOW - 5000}).due_at is None
    assert [event.due_at for event in read_all({**BULK, "ts": AT}) if isinstance(event, Envelope)] == [AT_MS]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({**SENDEVENT, "ts": 1684274328}, "ts must be epoch milliseconds: this looks like seconds, multiply by 1000"),
        ({**SENDEVENT, "ts": "soon"}, "ts must be an ISO 8601 time"),
        (
            {"event": {**SENDEVENT, "ts": NOW + 5}, "options": {"deliverAfter": 5}},
            "event.ts cannot be combined with options.deliverAfter",
        ),
        ({**V2, "options": {"deliverAfter": 5}, "ts": AT}, "ts cannot be combined with options.deliverAfter"),
    ],
)
def test_a_bad_ts_is_refused_as_well(body: object, reason: str) -> None:
    assert refusal(body).startswith(reason)


def test_one_event_beside_a_list_of_events_is_refused_since_one_of_them_would_be_lost() -> None:
    assert refusal({**V1, "events": [SENDEVENT]}) == "events cannot be combined with event"


@pytest.mark.parametrize(
    ("format_name", "body", "reason"),
    [
        ("trigger", {"event": {"name": "a.b", "data": {}}, "options": {}}, "event.data would be lost: the shape calls"),
        ("zopio", {"event": "a.b", "data": {"n": 1}}, "data would be lost: the shape calls it payload"),
        ("inngest", {"name": "a.b", "payload": {"n": 1}}, "payload would be lost: the shape calls it data"),
    ],
)
def test_data_under_the_name_of_another_shape_is_refused(format_name: FormatName, body: object, reason: str) -> None:
    assert refusal(body, format_name).startswith(reason)
