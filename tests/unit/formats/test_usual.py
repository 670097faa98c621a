"""The short way through a shape gives what the long way gives, for whatever it does not leave to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import PoisonError
from bridge.formats.auto import AnyShape
from bridge.formats.cloudevents import CloudEventShape
from bridge.formats.fields import Fields
from bridge.formats.inngest import InngestShape
from bridge.formats.sendevent import SendEventShape
from bridge.formats.shape import EventReader, Rules
from bridge.formats.strictjson import dumps, loads
from bridge.formats.trigger import TriggerShape
from bridge.formats.zopio import ZopioShape
from bridge.model import Delivery, Envelope, JsonValue
from tests.unit.formats.reading import NOW, read, read_all
from tests.unit.formats.test_strictjson import json_values

READERS: dict[str, EventReader] = {
    "trigger": TriggerShape(),
    "sendevent": SendEventShape(),
    "zopio": ZopioShape(),
    "inngest": InngestShape(),
    "cloudevents": CloudEventShape(Rules()),
    "auto": AnyShape(Rules()),
}

DATA: dict[str, JsonValue] = {"a": [1, 2.5, "ü"]}
USUAL: list[tuple[str, dict[str, JsonValue]]] = [
    ("inngest", {"id": "e1", "name": "a.b", "data": DATA}),
    ("inngest", {"id": "e1", "name": "a.b", "data": DATA, "ts": NOW}),
    ("inngest", {"id": "e1", "name": "a.b", "data": DATA, "ts": NOW - 1, "user": {"id": 1}, "v": "2"}),
    ("sendevent", {"id": "e1", "name": "a.b", "payload": None}),
    ("sendevent", {"id": "e1", "name": "a.b", "payload": 1, "timestamp": NOW + 9, "context": [1]}),
    ("zopio", {"event": "a.b", "payload": DATA}),
    ("zopio", {"id": "e1", "event": "a.b", "payload": DATA, "timestamp": "2025-11-21T04:40:00Z"}),
    ("trigger", {"id": "e1", "event": {"name": "a.b", "payload": DATA}}),
    ("trigger", {"id": "e1", "event": {"name": "a.b", "payload": None, "context": {"x": 1}}, "options": {}}),
    ("trigger", {"event": {"id": "e1", "name": "a.b", "payload": DATA, "timestamp": NOW}}),
    ("trigger", {"event": {"name": "a.b", "payload": DATA}, "options": {}}),
    ("cloudevents", {"specversion": "1.0", "id": "e1", "source": "/s", "type": "a.b"}),
    (
        "cloudevents",
        {
            "specversion": "1.0",
            "id": "e1",
            "source": "/s",
            "type": "a.b",
            "time": "2025-11-21T04:40:00.123Z",
            "subject": "x",
            "datacontenttype": "application/json",
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "data": DATA,
        },
    ),
]


@pytest.mark.parametrize(("shape", "value"), USUAL)
def test_what_nearly_all_events_are_goes_the_short_way(shape: str, value: dict[str, JsonValue]) -> None:
    body = orjson.dumps(value)
    long = carefully(READERS[shape], Delivery(body=body))
    for reader in (READERS[shape], READERS["auto"]):
        event = reader.usual(value, NOW, body)
        assert event is not None
        assert replace(event, id=event.id or long.id) == long


labels = st.sampled_from(["e1", "user.created", "ü", "x" * 512])
odd_labels = st.sampled_from(["", "x" * 513, "a\x00b", "\x85", "\u2028", "a b"])
times = st.sampled_from([NOW, NOW - 1, NOW + 1, 0, -1, 1, 315_532_799_999, 315_532_800_000, 2**63, 10**30, 1.5, True])
texts_of_time = st.sampled_from(
    ["2025-11-21T04:40:00Z", "2025-11-21T04:40:00.123Z", "2025-W47-5T04:40:00Z", "2025-11-21T04:40:60Z", "PT5S", "soon"]
)
odd: Any = st.sampled_from(
    [None, False, [], {}, {"a": 1}, {"deliverAt": "2030-01-01T00:00:00Z"}, "1.0", "application/json"]
)
values = labels | labels | odd_labels | times | texts_of_time | odd | json_values
KEYS = (
    *("id", "name", "data", "ts", "user", "v", "payload", "context", "timestamp", "event", "events", "options"),
    *("delay", "deliverAt", "x-delay", "ID", "specversion", "source", "type", "time", "subject", "datacontenttype"),
    *("data_base64", "traceparent", "dataschema", "extension", "Bad"),
)
changes: Any = st.dictionaries(st.sampled_from(KEYS), values, max_size=2)
dropped = st.lists(st.sampled_from(KEYS), max_size=1)


@st.composite
def nearly_usual(draw: st.DrawFn) -> dict[str, JsonValue]:
    """A usual object with some fields replaced, added or left out; those of the inner event too."""
    _, value = draw(st.sampled_from(USUAL))
    made: dict[str, JsonValue] = {**value, **draw(changes)}
    inner = made.get("event")
    if isinstance(inner, dict) and draw(st.booleans()):
        made["event"] = {**inner, **draw(changes)}
    for key in draw(dropped):
        made.pop(key, None)
    return made


stamps = st.sampled_from([None, None, NOW / 1000 - 5, NOW / 1000 + 5, 0.0])
headers = st.sampled_from([{}, {}, {"x-delay": 500}, {"x-deduplication-header": "h"}, {"x": "1"}])


@given(st.sampled_from(sorted(READERS)), nearly_usual(), stamps, headers)
def test_the_short_way_gives_what_the_long_way_gives(
    shape: str, value: dict[str, JsonValue], stamp: float | None, said: dict[str, object]
) -> None:
    reader = READERS[shape]
    delivery = Delivery(body=dumps(value), headers=said, timestamp=stamp)
    read_again: Any = loads(delivery.body)
    event = reader.usual(read_again, NOW, delivery.body)
    if event is not None:
        assert event.raw is None or event.raw_as is not None
        given = Rules().given(delivery, NOW)
        assert given.complete(event) == carefully(reader, delivery)


@given(st.lists(nearly_usual(), min_size=1, max_size=4), stamps)
def test_elements_of_an_array_are_read_like_single_events(
    values: list[dict[str, JsonValue]], stamp: float | None
) -> None:
    body = dumps([*values])
    for index, event in enumerate(read_all(body, timestamp=stamp)):
        try:
            alone: Envelope | str = carefully(READERS["auto"], Delivery(body=body, timestamp=stamp), index)
        except PoisonError as error:
            alone = str(error)
        assert (event if isinstance(event, Envelope) else str(event)) == alone


def carefully(reader: EventReader, delivery: Delivery, index: int | None = None) -> Envelope:
    value: Any = loads(delivery.body)
    given = Rules().given(delivery, NOW)
    if index is not None:
        return reader.read(Fields(value[index], f"[{index}]", index), given)
    (event,) = reader.read_body(Fields(value), given)
    assert isinstance(event, Envelope)
    return event


@pytest.mark.parametrize(
    ("shape", "value", "raw_as"),
    [
        ("inngest", {"id": "e1", "name": "a.b", "data": DATA, "ts": NOW}, "inngest"),
        ("trigger", {"id": "e1", "event": {"name": "a.b", "payload": DATA}}, "trigger v1"),
        ("trigger", {"event": {"id": "e1", "name": "a.b", "payload": DATA}, "options": {}}, "trigger v2"),
        ("zopio", {"event": "a.b", "payload": DATA}, "zopio"),
        ("cloudevents", USUAL[-1][1], "cloudevent"),
    ],
)
def test_what_says_all_of_an_event_and_nothing_else_is_kept(shape: Any, value: JsonValue, raw_as: str) -> None:
    body = orjson.dumps(value)
    event = read(body, shape)
    assert (event.raw, event.raw_as) == (body, raw_as)


def test_a_copy_that_was_changed_is_no_longer_what_was_written() -> None:
    event = read(orjson.dumps(USUAL[0][1]))
    assert event.raw is not None
    assert replace(event, due_at=NOW).raw is None


@pytest.mark.parametrize(
    "body",
    [
        b'{"id": "e1","name":"a.b","data":{}}',  # a space
        b'{"id":"e1","name":"a.b","data":{}}\n',
        b'{"id":"e1","\\u006eame":"a.b","data":{}}',  # a letter in other words
        b'{"id":"e1","name":"a.b","data":{"n":1.0e2}}',  # a number in other words
        b'{"id":"e1","name":"a.b","data":{"n":123456789012345678901}}',
        b'{"id":"e1","name":"a.b","data":{},"x":1}',  # more than the shape knows
        b'{"id":"e1","name":"a.b","data":{},"ID":"e2"}',  # which some servers take for the id
        b'{"id":"e1","name":"a.b","data":{},"v":null}',
        b'{"name":"a.b","data":{}}',  # an id that is derived
        b'{"id":"e1","name":"a.b","data":{},"ts":1763700000001}',  # a delay
        b'[{"id":"e1","name":"a.b","data":{}}]',
    ],
)
def test_what_could_be_read_in_two_ways_is_written_anew(body: bytes) -> None:
    (event,) = read_all(body, "inngest")
    assert isinstance(event, Envelope)
    assert event.raw is None


@pytest.mark.parametrize(
    "said", [{"timestamp": NOW / 1000 - 5}, {"headers": {"x-delay": 5}}], ids=["a stamp", "a delay"]
)
def test_an_event_that_gets_a_time_from_elsewhere_is_written_anew(said: dict[str, Any]) -> None:
    assert read(b'{"id":"e1","name":"a.b","data":{}}', "inngest", **said).raw is None
