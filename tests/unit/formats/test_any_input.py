"""Whatever publishers send, a format answers with events or with a reason, never with another error."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.due import FARTHEST
from bridge.errors import PoisonError
from bridge.formats import FormatName, build_format
from bridge.formats.envelope import decode, encode
from bridge.formats.fields import check_label, check_text
from bridge.model import Delivery, Envelope
from tests.unit.formats.reading import NOW
from tests.unit.formats.test_settings import KINDS
from tests.unit.formats.test_strictjson import json_values

KEYS = [
    "id",
    "event",
    "events",
    "name",
    "payload",
    "data",
    "user",
    "ts",
    "v",
    "delay",
    "options",
    "deliverAt",
    "deliverAfter",
    "accountId",
    "context",
    "timestamp",
    "specversion",
    "source",
    "type",
    "time",
    "data_base64",
    "datacontenttype",
    "seconds",
    "until",
    "traceparent",
]
HEADERS = [
    "x-delay",
    "x-deduplication-header",
    "x-event-name",
    "traceparent",
    "tracestate",
    "content-type",
    "ce-specversion",
    "ce-id",
    "ce-type",
    "ce_source",
    "cloudEvents:time",
]

words = st.sampled_from(["a.b", "1.0", "PT5M", "2026-01-31T09:00:00Z", "application/json", "text/plain", ""])
values = st.recursive(
    json_values | words,
    lambda inner: st.dictionaries(st.sampled_from(KEYS), inner, max_size=6) | st.lists(inner, max_size=3),
    max_leaves=12,
)
bodies = (
    st.binary(max_size=40)
    | values.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(st.sampled_from(KEYS), values).map(lambda value: json.dumps(value).encode())
)
header_values = (
    words | st.text() | st.binary() | st.integers() | st.floats() | st.booleans() | st.none() | st.lists(words)
)
deliveries = st.builds(
    Delivery,
    body=bodies,
    headers=st.dictionaries(st.sampled_from(HEADERS) | st.text(max_size=5), header_values, max_size=6),
    timestamp=st.none() | st.floats(),
    message_id=st.none() | st.text(),
    content_type=st.none() | words | st.sampled_from(["application/cloudevents+json", "application/cloudevents-x"]),
    routing_key=st.text(max_size=5),
    position=st.none() | st.just("t/0/1"),
    redelivered=st.booleans(),
)


def outcome(name: FormatName, delivery: Delivery) -> list[Envelope | PoisonError]:
    try:
        return build_format(name).decode(delivery, NOW)
    except PoisonError as error:
        return [error]


@pytest.mark.parametrize("name", KINDS)
@given(delivery=deliveries)
def test_any_delivery_becomes_sound_events_or_reasons(name: FormatName, delivery: Delivery) -> None:
    events = outcome(name, delivery)
    assert events
    for event in events:
        if isinstance(event, PoisonError):
            assert event.field
            assert str(event).isprintable()
            continue
        assert check_text(event.id, "id")
        assert check_label(event.name, "name")
        assert event.due_at is None or 0 <= event.due_at <= FARTHEST
        assert decode(encode(event)) == event


@given(delivery=deliveries)
def test_a_delivery_reads_the_same_a_second_time(delivery: Delivery) -> None:
    first, second = outcome("auto", delivery), outcome("auto", delivery)
    assert [str(event) for event in first] == [str(event) for event in second]


@given(values, st.integers(-10, 10**9))
def test_a_header_delay_is_never_early(payload: object, wait: int) -> None:
    headers: Mapping[str, object] = {"x-delay": wait, "x-event-name": "a.b"}
    (event,) = outcome("auto", Delivery(body=json.dumps(payload).encode(), headers=headers))
    assert isinstance(event, Envelope)
    assert event.due_at == NOW + max(0, wait)
