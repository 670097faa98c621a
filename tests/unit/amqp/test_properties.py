"""Properties of a delivery, against what another client reads from the same bytes with our decoders."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pamqp import frame
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from bridge.amqp import properties
from bridge.amqp.properties import MAX_DEPTH, MAX_ITEMS
from bridge.rabbitmq import decoders, encoders
from tests.integration.rabbitmq.lab import POISON, field, nested
from tests.unit.rabbitmq.test_codec import as_frame, tables

decoders.install()
encoders.install()

FIELDS = [name for name in Basic.Properties.__slots__ if name not in ("headers", "message_type", "timestamp")]
KINDS = b"tbBsuIilLfdDSATFVx\x00"


def size(content: bytes) -> bytes:
    return struct.pack(">I", len(content))


texts = st.binary(max_size=20).map(lambda raw: size(raw) + raw)
lying = st.tuples(st.integers(0, 2**32 - 1), st.binary(max_size=10)).map(
    lambda pair: struct.pack(">I", pair[0]) + pair[1]
)
payloads = st.binary(max_size=12) | texts | lying
fields = st.builds(
    lambda name, kind, value: field(name, bytes([kind]), value),
    st.binary(max_size=10),
    st.sampled_from(KINDS) | st.integers(0, 255),
    payloads,
)
contents = st.recursive(
    st.lists(fields, max_size=4).map(b"".join) | st.binary(max_size=60),
    lambda inner: st.lists(
        st.builds(lambda name, content: field(name, b"F", size(content) + content), st.binary(max_size=5), inner)
        | st.builds(
            lambda name, content: field(name, b"A", size(b"F" + content) + content), st.binary(max_size=5), inner
        )
        | fields,
        max_size=4,
    ).map(b"".join),
)


LONGER = field(b"k", b"S", struct.pack(">I", 6) + b"cut")  # a text that goes beyond the table that it is in


def same(one: object, other: object) -> bool:
    """Whether two values are equal and of the same kinds, where no number is equal to itself."""
    return repr(one) == repr(other) or (one == other and type(one) is type(other))


@given(contents)
@example(b"\xff" * 8)
@example(field(b"k", b"A", struct.pack(">I", 2**32 - 1)))
@example(field(b"k", b"D", b"\xff" + struct.pack(">I", 2**32 - 1)))
@example(field(b"k", b"D", b"\x02" + struct.pack(">I", 12_345)))
@example(field(b"k", b"?", b""))
@example(field(b"k", b"S", b"\x00"))
@example(field(b"t", b"F", size(LONGER) + LONGER) + field(b"behind", b"S", size(b"text") + b"text"))
@example(field(b"k", b"f", b"\x7f\xc0\x00\x00"))
@example(nested(MAX_DEPTH - 1))
@example(nested(MAX_DEPTH))
@example(b"".join(field(b"%d" % number, b"V", b"") for number in range(MAX_ITEMS + 5)))
@example(field(b"k", b"A", struct.pack(">I", 5_000) + b"V" * 5_000))
def test_a_table_is_read_as_by_the_decoders_of_the_other_client(content: bytes) -> None:
    _, expected = decoders.table(size(content) + content)
    assert same(properties.table(content), expected)


@given(st.binary(max_size=300))
def test_any_bytes_are_some_table(content: bytes) -> None:
    assert same(properties.table(content), decoders.table(size(content) + content)[1])


def compared(raw: bytes) -> None:
    """Check that both clients read the same from these bytes."""
    _, _, header = frame.unmarshal(as_frame(raw))
    assert isinstance(header, ContentHeader)
    theirs, ours = header.properties, properties.decode(raw)
    for name in FIELDS:
        assert (getattr(ours, name) or None) == (getattr(theirs, name) or None), name
    assert ours.type == theirs.message_type
    stamp = theirs.timestamp
    assert ours.timestamp == (stamp.timestamp() if isinstance(stamp, datetime) else None)
    assert same(properties.table(ours.table), decoders.table(size(ours.table) + ours.table)[1])


shorts = st.binary(max_size=20).map(lambda raw: bytes([len(raw)]) + raw)
octets = st.binary(min_size=1, max_size=1)
stamps = st.binary(min_size=8, max_size=8) | st.integers(0, 2 * 10**18).map(lambda number: struct.pack(">Q", number))
headers = contents.map(lambda content: size(content) + content)
LAYOUT = (shorts, shorts, headers, octets, octets, shorts, shorts, shorts, shorts, stamps, *[shorts] * 4)


@st.composite
def lists(draw: st.DrawFn) -> bytes:
    """Properties, with a value for each flag that is set."""
    flags = draw(st.integers(0, 2**14 - 1)) << 2
    values = [draw(values) for place, values in enumerate(LAYOUT) if flags & 0x8000 >> place]
    return struct.pack(">H", flags) + b"".join(values)


@given(lists())
def test_properties_are_read_as_by_the_other_client(raw: bytes) -> None:
    compared(raw)


@given(tables, st.text(max_size=60), st.integers(0, 2**33), st.integers(0, 255))
def test_properties_as_another_client_writes_them_are_read(
    table: dict[str, Any], text: str, stamp: int, number: int
) -> None:
    written = Basic.Properties(
        content_type="application/json",
        headers=table or None,
        message_id=text or None,
        priority=number,
        timestamp=datetime.fromtimestamp(stamp, UTC),
    )
    raw = written.marshal()
    found = properties.decode(raw)
    assert (found.content_type, found.message_id) == ("application/json", text or None)
    assert (found.priority, found.timestamp) == (number, float(stamp))
    assert properties.table(found.table) == table
    compared(raw)


@pytest.mark.parametrize("poison", POISON)
def test_every_known_poison_is_read_as_by_the_other_client(poison: str) -> None:
    compared(POISON[poison].marshal())


@given(st.binary(max_size=200), st.integers(0, 200))
def test_properties_of_any_bytes_are_read_as_far_as_they_go(raw: bytes, end: int) -> None:
    whole, part = vars(properties.decode(raw)), vars(properties.decode(raw[:end]))
    assert part.keys() <= whole.keys()


def test_a_table_is_not_read_beyond_its_end() -> None:
    """Where the other client reads on, in what belongs to the next property."""
    raw = struct.pack(">H", 0x3000) + size(b"\x01") + b"\x01" + b"k"
    _, _, header = frame.unmarshal(as_frame(raw))
    assert isinstance(header, ContentHeader)
    assert header.properties.headers == {"k": None}
    assert properties.table(properties.decode(raw).table) == {"": None}
    assert properties.decode(raw).delivery_mode == ord("k")


def test_further_words_of_flags_are_skipped() -> None:
    raw = struct.pack(">HHH", 0x1001, 0x0001, 0x8000) + b"\x02"
    assert vars(properties.decode(raw)) == {"delivery_mode": 2}
    assert vars(properties.decode(raw[:3])) == {}


@given(st.integers(0, 2**64 - 1))
def test_a_number_is_the_epoch_that_the_other_client_reads(number: int) -> None:
    _, stamp = decoders.timestamp(struct.pack(">Q", number))
    assert properties.epoch(number) == (stamp and stamp.timestamp())
