from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import PoisonError
from bridge.formats.envelope import checksum, decode, encode
from bridge.formats.fields import LONGEST
from bridge.formats.strictjson import loads
from bridge.model import Envelope, JsonValue
from tests.unit.formats.test_strictjson import json_values, same

labels = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=LONGEST)
texts = st.text(st.characters(exclude_categories=["Cs"]))
TRACE = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate": "a=1"}
whole = st.none() | st.integers(-(2**80), 2**80)
envelopes = st.builds(
    Envelope,
    id=labels,
    name=labels,
    data=json_values,
    user=json_values,
    ts=whole,
    v=st.none() | texts,
    context=json_values,
    source=st.none() | texts,
    due_at=whole,
    trace=st.sampled_from([{}, TRACE, {"traceparent": TRACE["traceparent"]}]),
)


@given(envelopes)
def test_nothing_is_lost_in_the_bridges_own_shape(event: Envelope) -> None:
    again = decode(encode(event))
    assert again == event
    assert same(again.data, event.data)


def test_a_trace_context_is_checked_again_when_it_comes_back() -> None:
    bad = b'{"bridge":1,"id":"1","name":"a","trace":{"traceparent":"00-x\\r\\nevil: 1","other":"b"}}'
    assert decode(bad).trace == {}


def test_the_deepest_data_that_was_let_in_is_written_and_read() -> None:
    deep: JsonValue = 2**70
    for _ in range(400):
        deep = {"a": deep}
    event = Envelope(id="1", name="a.b", data=deep)
    assert decode(encode(event)) == event


def test_the_checksum_is_of_name_and_data_alone_however_they_were_written() -> None:
    def event(body: bytes, **fields: Any) -> Envelope:
        return replace(Envelope(id="1", name="a.b", data=loads(body)), **fields)

    one = checksum(event(b'{"n": 1, "word": "\\u00e9"}'))
    assert one == checksum(event('{"n":1,"word":"é"}'.encode(), id="2", ts=5))
    assert one != checksum(event(b'{"n": 2, "word": "\\u00e9"}'))
    assert one != checksum(event('{"n":1,"word":"é"}'.encode(), name="a.c"))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "body is empty"),
        (b"[]", "body must be an object, not an array"),
        (b'{"id":"1","name":"a"}', "bridge must be 1"),
        (b'{"bridge":2,"id":"1","name":"a"}', "bridge must be 1"),
        (b'{"bridge":1,"name":"a"}', "id is missing"),
        (b'{"bridge":1,"id":"1"}', "name is missing"),
        (b'{"bridge":1,"id":"1","name":"a","ts":1.5}', "ts must be an integer, not a number"),
        (b'{"bridge":1,"id":"1","name":"a","due_at":true}', "due_at must be an integer, not a boolean"),
        (b'{"bridge":1,"id":"1","name":"a","trace":[]}', "trace must be an object, not an array"),
        (b'{"bridge":1,"id":"1","name":"a","v":5}', "v must be a string, not a number"),
    ],
)
def test_anything_else_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(PoisonError) as caught:
        decode(body)
    assert str(caught.value) == reason
