from __future__ import annotations

import pytest

from bridge.errors import PoisonError
from bridge.formats.auto import AutoSettings
from bridge.model import Envelope
from tests.unit.formats.reading import NOW, delivery, read, read_all, refusal


def test_a_name_header_makes_any_json_raw_whatever_its_keys() -> None:
    event = read({"name": "Ada", "data": {}}, headers={"x-event-name": "person.saved"}, message_id="m")
    assert event == Envelope(id="m", name="person.saved", data={"name": "Ada", "data": {}})


def test_an_empty_name_header_does_not() -> None:
    assert read({"name": "a.b"}, headers={"x-event-name": ""}).name == "a.b"


def test_the_name_header_can_be_another() -> None:
    auto = AutoSettings(name_header="type").build(max_event_bytes=99, max_depth=9, missing_id="derive")
    (event,) = auto.decode(delivery([1], {"type": b"a.b"}), NOW)
    assert isinstance(event, Envelope)
    assert (event.name, event.data) == ("a.b", [1])


def test_elements_of_an_array_are_judged_one_by_one() -> None:
    events = read_all(
        [
            {"name": "a.inngest", "data": {}},
            {"name": "a.sendevent", "payload": {}},
            {"event": "a.zopio"},
            {"id": "1", "event": {"name": "a.trigger", "payload": {}}},
            {"specversion": "1.0", "id": "1", "source": "/s", "type": "a.cloudevent"},
            {"what": 1},
            {"events": [{"name": "a.b"}]},
            "text",
        ]
    )
    assert [event.name if isinstance(event, Envelope) else event.field for event in events] == [
        "a.inngest",
        "a.sendevent",
        "a.zopio",
        "a.trigger",
        "a.cloudevent",
        "[5]",
        "[6].event",
        "[7]",
    ]


@pytest.mark.parametrize(
    ("body", "shapes"),
    [
        ({"name": "a", "payload": {}, "data": {}}, ["sendevent", "inngest"]),
        ({"event": "a", "name": "b"}, ["zopio", "inngest"]),
        ({"event": "a", "name": "b", "payload": {}}, ["zopio", "sendevent"]),
        ({"event": {"name": "a"}, "name": "b", "payload": {}}, ["trigger", "sendevent"]),
        ({"events": [], "event": "a"}, ["trigger", "zopio"]),
    ],
)
def test_an_object_that_fits_two_shapes_is_refused(body: object, shapes: list[str]) -> None:
    reason = refusal(body)
    assert reason.startswith("body is ambiguous, it could be ")
    assert [shape for shape in ("trigger", "zopio", "sendevent", "inngest") if f"{shape} (" in reason] == shapes
    assert reason.endswith(": set the route's format")


@pytest.mark.parametrize("body", [{}, {"id": "1"}, {"payload": {}}, {"event": 5}, {"event": None}, {"events": {}}])
def test_an_object_that_fits_none_is_told_what_each_needs(body: object) -> None:
    assert refusal(body) == (
        "body has no known shape: trigger needs `event` (an object) or `events` (an array); zopio needs `event` "
        "(a string); sendevent needs `name` and `payload`; inngest needs `name`, with or without `data`; cloudevents "
        "needs `specversion`; raw needs the header x-event-name or the route's format"
    )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "body is empty"),
        (b"hello", "body is not valid JSON at line 1, column 1"),
        (b"5", "body must be an object, not a number"),
        (b"null", "body must be an object, not null"),
        (b"[]", "body is an empty array"),
        (b"[" + b"1," * 10_000 + b"1]", "body has 10001 events, more than 10000"),
        (b"[" * 101 + b"]" * 101, "body is nested deeper than 100 levels"),
    ],
)
def test_bodies_that_are_no_objects(body: bytes, reason: str) -> None:
    assert refusal(body).startswith(reason)


def test_a_depth_limit_holds_for_the_whole_body() -> None:
    with pytest.raises(PoisonError, match="deeper than 3 levels"):
        AutoSettings().build(max_event_bytes=999, max_depth=3, missing_id="derive").decode(
            delivery([{"name": "a", "data": {"b": [{}]}}]), NOW
        )


def test_a_delivery_may_have_10_000_events() -> None:
    assert len(read_all(b"[" + b'{"name":"a"},' * 9_999 + b'{"name":"a"}]')) == 10_000
