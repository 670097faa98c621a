"""Deliveries as a Kafka source makes them: header values are bytes, stamps are ms, the key and the place are known."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.core.pairs import mapping_of
from bridge.errors import PoisonError
from bridge.formats import FormatName, build_format
from bridge.formats.raw import RawSettings
from bridge.model import Envelope
from tests.unit.formats.reading import NOW, delivery, read, read_all, refusal

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
BARE = {"name": "user.created", "data": {}}


def record(**more: object) -> dict[str, Any]:
    place = {"origin": "kafka:orders", "routing_key": "orders", "position": "orders/3/42", "key": b"user-7"}
    return {**place, "timestamp": NOW / 1000, **more}


def test_everything_a_header_may_say_is_read_from_bytes() -> None:
    headers = {
        "x-event-name": b"user.created",
        "x-deduplication-header": b"evt-1",
        "x-delay": b"5000",
        "traceparent": PARENT.encode(),
        "tracestate": b"a=1",
        "x-other": None,
    }
    event = read({"n": 1}, headers=headers, **record())
    assert event == Envelope(
        id="evt-1",
        name="user.created",
        data={"n": 1},
        ts=NOW,
        due_at=NOW + 5000,
        trace={"traceparent": PARENT, "tracestate": "a=1"},
    )


def test_of_a_name_that_repeats_the_last_value_counts_whatever_its_case() -> None:
    pairs = [("x-delay", b"1"), ("x-delay", b"5000")]
    assert read(BARE, headers=mapping_of(pairs), **record()).due_at == NOW + 5000
    pairs = [("X-Delay", b"1"), ("X-Delay", b"5000")]
    assert read(BARE, headers=mapping_of(pairs), **record()).due_at == NOW + 5000


@pytest.mark.parametrize("name", ["x-delay", "x-deduplication-header", "x-event-name", "ce_id", "content-type"])
def test_a_header_without_a_value_says_nothing(name: str) -> None:
    assert read(BARE, headers={name: None}, **record()).name == "user.created"


@pytest.mark.parametrize(
    ("stamp", "now", "base"),
    [
        (NOW, NOW, NOW),
        (NOW - 1, NOW, NOW),
        (NOW - 3_600_000, NOW, NOW - 3_599_999),  # a ms later, because a stamp is cut
        (NOW + 3_600_000, NOW, NOW),
        (NOW * 1000, NOW, NOW),  # microseconds
        (0, NOW, NOW),
        (-1, NOW, NOW),
    ],
)
def test_a_relative_delay_counts_from_the_stamp_to_the_millisecond(stamp: int, now: int, base: int) -> None:
    body = delivery({**BARE, "delay": 5}, **record(timestamp=stamp / 1000))
    (event,) = build_format("auto").decode(body, now)
    assert isinstance(event, Envelope)
    assert event.due_at == base + 5000


@pytest.mark.parametrize("last", range(0, 1000, 37))
def test_no_millisecond_of_a_stamp_is_lost(last: int) -> None:
    stamp = NOW - 10_000 + last
    assert read(BARE, **record(timestamp=stamp / 1000)).ts == stamp


@pytest.mark.parametrize("ahead", [1, 3_600_000, 10**11])
def test_a_stamp_in_the_future_is_no_delay(ahead: int) -> None:
    event = read(BARE, **record(timestamp=(NOW + ahead) / 1000))
    assert (event.ts, event.due_at) == (NOW, None)


def test_without_an_id_place_and_stamp_are_the_id() -> None:
    assert read(BARE, **record()).id == f"orders/3/42@{NOW}"
    assert read(BARE, **record(timestamp=None)).id == "orders/3/42"
    (first, _) = read_all([BARE, BARE], **record())
    assert isinstance(first, Envelope)
    assert first.id == f"orders/3/42@{NOW}/0"


def test_a_topic_made_anew_repeats_no_id() -> None:
    assert read(BARE, **record()).id != read(BARE, **record(timestamp=NOW / 1000 + 60)).id


def test_the_topic_names_raw_events_that_no_header_names() -> None:
    assert read({"n": 1}, "raw", **record()).name == "orders"
    assert read({"n": 1}, "raw", {"x-event-name": b"user.created"}, **record()).name == "user.created"


def raw(body: object, headers: dict[str, object], more: dict[str, object], **settings: object) -> Envelope:
    made = build_format(RawSettings(type="raw", **settings))
    (event,) = made.decode(delivery(body, headers, **more), NOW)
    assert isinstance(event, Envelope)
    return event


def test_the_key_of_a_raw_record_is_its_id_or_goes_along_where_that_is_asked_for() -> None:
    assert raw({}, {}, record()).context is None
    assert raw({}, {}, record(), record_key="context").context == {"key": "user-7"}
    assert raw({}, {}, record(), record_key="id").id == "user-7"
    assert raw({}, {"X-Deduplication-Header": b"evt-1"}, record(), record_key="id").id == "evt-1"
    assert raw({}, {}, record(key=None), record_key="id").id == f"orders/3/42@{NOW}"
    assert raw({}, {}, record(key=None), record_key="context").context is None


@pytest.mark.parametrize(
    ("use", "key", "reason"),
    [
        ("id", b"", "key is empty"),
        ("id", b"\xff", "key is not valid UTF-8"),
        ("context", b"\xff", "key is not valid UTF-8"),
        ("context", b"a\x00", "key must not contain control characters (U+0000 at 1)"),
    ],
)
def test_a_key_that_is_no_text_is_refused_where_it_is_read(use: str, key: bytes, reason: str) -> None:
    with pytest.raises(PoisonError) as caught:
        raw({}, {}, record(key=key), record_key=use)
    assert str(caught.value) == reason
    assert raw({}, {}, record(key=key)).data == {}


@pytest.mark.parametrize("name", ["auto", "trigger", "sendevent", "zopio", "inngest", "cloudevents", "raw"])
def test_a_tombstone_is_no_event(name: FormatName) -> None:
    reason = "body is empty: a record without a value (a tombstone) is no event"
    assert refusal(b"", name, **record()) == reason
    assert "tombstone" not in refusal(b"", name, routing_key="orders")


def test_a_tombstone_is_an_event_with_null_data_where_that_is_asked_for() -> None:
    assert raw(b"", {}, record(), empty="null", record_key="context") == Envelope(
        id=f"orders/3/42@{NOW}", name="orders", data=None, ts=NOW, context={"key": "user-7"}
    )
    with pytest.raises(PoisonError, match=r"^body is not valid JSON"):
        raw(b" x", {}, record(), empty="null")


# Sections 3.2.5 and 3.3.4 of the CloudEvents Kafka protocol binding, 1.0.3
EXAMPLE = {
    "ce_specversion": b"1.0",
    "ce_type": b"com.example.someevent",
    "ce_source": b"/mycontext/subcontext",
    "ce_id": b"1234-1234-1234",
    "ce_time": b"2018-04-05T03:56:24Z",
    "content-type": b"application/avro",
}
EXAMPLE_MS = 1_522_900_584_000


@pytest.mark.parametrize("format_name", ["auto", "cloudevents"])
@pytest.mark.parametrize("content_type", [None, "application/avro"])
def test_the_binary_example_of_the_kafka_binding(format_name: FormatName, content_type: str | None) -> None:
    assert read(b"\x02\x06foo", format_name, EXAMPLE, **record(content_type=content_type)) == Envelope(
        id="1234-1234-1234",
        name="com.example.someevent",
        source="/mycontext/subcontext",
        ts=EXAMPLE_MS,
        data="AgZmb28=",
        context={"time": "2018-04-05T03:56:24Z", "datacontenttype": "application/avro", "data_base64": True},
    )


@pytest.mark.parametrize("format_name", ["auto", "cloudevents"])
@pytest.mark.parametrize("content_type", [None, "application/cloudevents+json; charset=UTF-8"])
@pytest.mark.parametrize("repeated", [False, True])
def test_the_structured_example_of_the_kafka_binding(
    format_name: FormatName, content_type: str | None, repeated: bool
) -> None:
    body = {
        "specversion": "1.0",
        "type": "com.example.someevent",
        "source": "/mycontext/subcontext",
        "id": "1234-1234-1234",
        "time": "2018-04-05T03:56:24Z",
        "datacontenttype": "application/xml",
        "data": "<a/>",
    }
    headers = {**(EXAMPLE if repeated else {}), "content-type": b"application/cloudevents+json; charset=UTF-8"}
    event = read(body, format_name, headers, **record(content_type=content_type))
    assert (event.id, event.name, event.source, event.ts) == (
        "1234-1234-1234",
        "com.example.someevent",
        "/mycontext/subcontext",
        EXAMPLE_MS,
    )
    assert (event.data, event.context) == (
        "<a/>",
        {"time": "2018-04-05T03:56:24Z", "datacontenttype": "application/xml"},
    )


def test_a_binary_cloudevent_without_a_value_is_an_event_without_data() -> None:
    event = read(b"", headers=EXAMPLE, **record())
    assert (event.id, event.data) == ("1234-1234-1234", None)


def test_the_parameters_of_a_content_type_are_kept() -> None:
    headers = {**EXAMPLE, "content-type": b"text/plain; charset=utf-8"}
    event = read("grün".encode(), headers=headers, **record())
    assert (event.data, event.context) == (
        "grün",
        {"time": "2018-04-05T03:56:24Z", "datacontenttype": "text/plain; charset=utf-8"},
    )


def test_the_key_is_no_attribute_of_a_cloudevent_but_partitionkey_is() -> None:
    headers = {**EXAMPLE, "ce_partitionkey": b"user-7"}
    context = read(b"", headers=headers, **record(key=b"other")).context
    assert isinstance(context, dict)
    assert context["partitionkey"] == "user-7"
    assert "partitionkey" not in (read(b"", headers=EXAMPLE, **record()).context or {})  # type: ignore[operator]
