"""The reader of control envelopes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.control import Control, Op
from bridge.errors import PoisonError
from bridge.formats import build_format
from bridge.formats.control import ControlReader
from bridge.formats.shape import MAX_EVENT_BYTES
from bridge.formats.strictjson import MAX_DEPTH
from bridge.model import Delivery

NOW = 1_763_690_000_000
READER = ControlReader(build_format("auto"), MAX_EVENT_BYTES, MAX_DEPTH)
STRICT = ControlReader(build_format("auto", missing_id="reject"), MAX_EVENT_BYTES, MAX_DEPTH)


def read(body: object, reader: ControlReader = READER, **delivery: Any) -> Control | None:
    return reader.read(Delivery(body=json.dumps(body).encode(), **delivery), NOW)


def order(op: str = "reschedule", **fields: Any) -> dict[str, object]:
    return {"op": op, "id": "e1", **fields}


def test_a_cancel_is_an_op_and_an_id() -> None:
    assert read(order("cancel")) == Control(op=Op.CANCEL, id="e1")
    assert read(order("cancel", source="/shop")) == Control(op=Op.CANCEL, id="e1", source="/shop")


@pytest.mark.parametrize(
    ("when", "due_at"),
    [
        ({"until": NOW + 5}, NOW + 5),
        ({"until": "2025-11-21T01:53:20.005Z"}, NOW + 5),
        ({"delay": 60}, NOW + 60_000),
        ({"delay": {"minutes": 1, "seconds": 1}}, NOW + 61_000),
        ({"delay": "PT1M"}, NOW + 60_000),
        ({"delay": 60, "until": None, "event": None}, NOW + 60_000),
    ],
)
def test_a_reschedule_says_when(when: dict[str, Any], due_at: int) -> None:
    assert read(order(**when)) == Control(op=Op.RESCHEDULE, id="e1", due_at=due_at)


def test_a_relative_time_counts_from_the_publishing_of_what_is_delivered_again() -> None:
    found = read(order(delay=60), redelivered=True, timestamp=NOW / 1000 - 30)
    assert found is not None
    assert found.due_at == NOW + 31_000


@pytest.mark.parametrize("reader", [READER, STRICT], ids=["derive", "reject"])
@pytest.mark.parametrize(
    "event",
    [
        {"name": "a.b", "payload": {"n": 1}},
        {"id": "e1", "name": "a.b", "payload": {"n": 1}},
        {"id": "e1", "event": {"name": "a.b", "payload": {"n": 1}}},
        {"name": "a.b", "payload": {"n": 1}, "delay": {"hours": 5}},
    ],
)
def test_the_event_inside_is_of_the_orders_id_and_time(event: dict[str, object], reader: ControlReader) -> None:
    found = read(order(until=NOW + 5, event=event), reader, message_id="of the order")
    assert found is not None
    assert found.event is not None
    assert (found.event.id, found.event.name, found.event.data, found.event.due_at) == ("e1", "a.b", {"n": 1}, NOW + 5)


def test_a_cloudevent_inside_brings_its_source() -> None:
    event = {"specversion": "1.0", "id": "e1", "type": "a.b", "source": "/shop"}
    found = read(order(delay=1, event=event))
    assert found is not None
    assert found.source == "/shop"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (order("cancel", until=NOW), "until is no field of a control envelope that says cancel; it has id, op, source"),
        (order(until=NOW, name="a.b"), "name is no field of a control envelope that says reschedule"),
        ({"op": "cancel"}, "id is missing"),
        (order("cancel", id=7), "id must be a string"),
        (order("cancel", id=""), "id is empty"),
        (order("cancel", source=7), "source must be a string"),
        (order(), "until and delay: give one of the two"),
        (order(until=NOW, delay=1), "until and delay: give one of the two"),
        (order(until="soon"), "until "),
        (order(until="2025-11-21T01:53:20"), "until "),
        (order(delay={"fortnights": 1}), "delay.fortnights is no unit of delay"),
        (order(delay=1, event=[]), "event must be an object"),
        (order(delay=1, event={"payload": {}}), "event."),
        (order(delay=1, event={"id": "e2", "name": "a.b", "payload": {}}), "event.id is not that of the control"),
        (
            order(delay=1, source="/x", event={"specversion": "1.0", "id": "e1", "type": "a.b", "source": "/shop"}),
            "event.source is not that of the control envelope",
        ),
        (
            order(delay=1, event={"id": "e1", "events": [{"name": "a.b", "payload": {}}] * 2}),
            "event",
        ),
    ],
)
def test_an_order_that_is_not_right_names_the_field(body: dict[str, object], reason: str) -> None:
    with pytest.raises(PoisonError) as poison:
        read(body)
    assert str(poison.value).startswith(reason)


@pytest.mark.parametrize(
    "body",
    [
        {"op": "create", "id": "e1"},
        {"op": ["cancel"], "id": "e1"},
        {"op": None},
        {"name": "a.b", "payload": {"op": "cancel", "id": "e1"}},
        [{"op": "cancel", "id": "e1"}],
        "op",
    ],
)
def test_what_says_something_else_is_an_event(body: object) -> None:
    assert read(body) is None


def test_what_is_no_json_is_left_to_the_format() -> None:
    assert READER.read(Delivery(body=b'"op" is a word'), NOW) is None
    assert READER.read(Delivery(body=b'{"op":"cancel","op":"cancel","id":"e1"}'), NOW) is None


def test_what_is_too_large_is_left_to_the_format() -> None:
    small = ControlReader(build_format("auto"), 20, MAX_DEPTH)
    assert read(order("cancel"), small) is None


@pytest.mark.parametrize("header", ["ce-id", "Ce_Id", "cloudEvents:id", "cloudEvents_id"])
def test_the_data_of_a_binary_cloudevent_is_no_order(header: str) -> None:
    assert read(order("cancel"), headers={header: "e1"}) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
fields = st.sampled_from(["op", "id", "source", "until", "delay", "event"])


@given(st.dictionaries(fields, json_values | st.sampled_from(["cancel", "reschedule", "e1"])))
def test_whatever_comes_is_an_order_an_event_or_poison(body: dict[str, object]) -> None:
    try:
        found = read(body)
    except PoisonError:
        return
    assert found is None or found.id == body["id"]
