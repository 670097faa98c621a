"""Records of Kafka: headers are bytes, names keep their case, keys and tombstones are Kafka's own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.core.pairs import mapping_of
from bridge.formats.raw import RawSettings
from bridge.formats.shape import Rules
from bridge.model import Envelope
from tests.unit.formats.reading import NOW, delivery, read, refusal

RULES = Rules()
RECORD: dict[str, Any] = {"position": "orders/3/42", "routing_key": "orders", "timestamp": NOW / 1000}
BARE = {"name": "user.created", "data": {}}
TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def raw(body: object, key: bytes | None = None, headers: dict[str, object] | None = None, **settings: Any) -> Envelope:
    made = RawSettings(type="raw", **settings).build_by(RULES)
    (event,) = made.decode(delivery(body, headers, key=key, **RECORD), NOW)
    assert isinstance(event, Envelope), event
    return event


def test_headers_are_read_as_bytes_and_in_any_case() -> None:
    pairs = [("X-Delay", b"5000"), ("X-Deduplication-Header", b"7"), ("TraceParent", TRACE), ("empty", None)]
    event = read(BARE, headers=mapping_of(pairs), **RECORD)
    assert (event.id, event.due_at, event.trace["traceparent"]) == ("7", NOW + 5000, TRACE.decode())


def test_a_name_in_lower_case_wins_over_its_other_spellings() -> None:
    assert read(BARE, headers={"X-Deduplication-Header": b"shouted", "x-deduplication-header": b"said"}).id == "said"


def test_a_record_without_an_id_has_that_of_its_place_and_time() -> None:
    """A topic that is made anew counts its offsets from 0 again."""
    first, again = read(BARE, **RECORD), read(BARE, **RECORD)
    assert first.id == again.id == f"orders/3/42@{NOW}"
    assert read(BARE, **RECORD | {"timestamp": NOW / 1000 + 1}).id != first.id


def test_a_stamp_from_the_future_delays_nothing() -> None:
    event = read(BARE, **RECORD | {"timestamp": NOW / 1000 + 3600})
    assert (event.due_at, event.ts) == (None, NOW)


@pytest.mark.parametrize("format_name", ["auto", "trigger", "sendevent", "zopio", "inngest", "raw"])
def test_a_tombstone_is_no_event(format_name: Any) -> None:
    assert refusal(b"", format_name, **RECORD) == "body is empty: a record without a value (a tombstone) is no event"


def test_raw_events_are_named_by_their_header_or_else_by_their_topic() -> None:
    assert raw({}).name == "orders"
    assert raw({}, headers={"X-Event-Name": b"order.paid"}).name == "order.paid"


def test_the_key_of_a_record_is_of_use_where_the_settings_say_so() -> None:
    assert raw({}, b"k-1", record_key="id").id == "k-1"
    assert raw({}, b"k-1", {"x-deduplication-header": b"7"}, record_key="id").id == "7"
    assert raw({}, b"k-1", record_key="context").context == {"key": "k-1"}
    assert raw({}, b"k-1").context is None
    assert raw({}, None, record_key="id").id == f"orders/3/42@{NOW}"


def test_an_empty_body_is_an_event_where_the_settings_say_so() -> None:
    assert raw(b"", empty="null").data is None


def test_cloudevents_as_the_binding_of_kafka_writes_them() -> None:
    """Examples of section 3 of the Kafka Protocol Binding for CloudEvents 1.0."""
    attributes = {
        "ce_specversion": b"1.0",
        "ce_type": b"com.example.someevent",
        "ce_source": b"/mycontext/subcontext",
        "ce_id": b"1234-1234-1234",
        "ce_time": b"2018-04-05T03:56:24Z",
        "content-type": b"application/avro",
    }
    binary = read(b"\x00\x01", headers=attributes, **RECORD)
    assert (binary.id, binary.name, binary.source) == (
        "1234-1234-1234",
        "com.example.someevent",
        "/mycontext/subcontext",
    )
    body = {name.removeprefix("ce_"): value.decode() for name, value in attributes.items() if name.startswith("ce_")}
    said = {"content-type": b"application/cloudevents+json; charset=UTF-8"}
    structured = read(json.dumps(body).encode(), headers=said, **RECORD)
    assert (structured.id, structured.name, structured.source) == (binary.id, binary.name, binary.source)
