"""What publishers may put into properties: read without harm, and written as it was read."""

from __future__ import annotations

import struct
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pamqp import decode, encode, frame
from pamqp.commands import Basic
from pamqp.exceptions import PAMQPException
from pamqp.header import ContentHeader

from bridge.rabbitmq import decoders, encoders
from bridge.rabbitmq.decoders import MAX_DEPTH, MAX_ITEMS
from tests.integration.rabbitmq.lab import POISON, field, nested

decoders.install()
encoders.install()

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary().map(bytearray)
    | st.integers(0, 2**32).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
    | st.decimals(-(2**31), 2**31 - 1, allow_nan=False, places=0)
)
names = st.text(max_size=60)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4))
tables = st.dictionaries(names, values, max_size=6)


def through(table: dict[str, Any]) -> Any:
    """Encode and decode."""
    raw = encoders.table(table)
    used, read = decoders.table(raw)
    assert used == len(raw)
    return read


def test_the_points_where_the_client_is_patched_are_there() -> None:
    """Fails when pamqp moves them: then these tests show whether it still needs patching."""
    assert {"timestamp", "shortstr", "table"} <= decode.METHODS.keys()
    assert {b"T", b"F", b"A", b"S", b"x", b"V"} <= decode.TABLE_MAPPING.keys()
    assert decode.METHODS["table"] is decoders.table
    assert decode.TABLE_MAPPING[b"A"] is decoders.array
    assert encode.METHODS["table"] is encoders.table
    assert decode.by_type(b"\x01\xff", "shortstr") == (2, "\\xff")


@given(tables)
def test_a_table_is_read_as_it_was_written(table: dict[str, Any]) -> None:
    assert through(table) == table


@given(tables)
def test_what_was_read_can_be_sent_by_the_client(table: dict[str, Any]) -> None:
    header = ContentHeader(body_size=0, properties=Basic.Properties(headers=table or None))
    _, channel, read = frame.unmarshal(frame.marshal(header, 7))
    assert isinstance(read, ContentHeader)
    assert (channel, read.properties.headers or {}) == (7, table)


@given(st.binary(max_size=300))
@example(b"\xff" * 8)
@example(field(b"k", b"A", struct.pack(">I", 2**32 - 1)))
@example(field(b"k", b"?", b""))
@example(field(b"k", b"S", b"\x00"))
def test_no_table_is_read_beyond_its_end_or_raises(content: bytes) -> None:
    raw = struct.pack(">I", len(content)) + content
    used, read = decoders.table(raw + b"behind")
    assert used == len(raw)
    encoders.table(read)


def as_frame(properties: bytes) -> bytes:
    """A content header as it comes from the broker."""
    payload = struct.pack(">HHQ", 60, 0, 0) + properties
    return struct.pack(">BHI", 2, 1, len(payload)) + payload + b"\xce"


@given(st.binary(max_size=200))
def test_properties_of_any_bytes_raise_only_what_the_client_catches(raw: bytes) -> None:
    with suppress(PAMQPException):
        frame.unmarshal(as_frame(raw))


@pytest.mark.parametrize("depth", [MAX_DEPTH - 1, MAX_DEPTH, 900, 5_000])
def test_deep_tables_are_cut_off(depth: int) -> None:
    content = nested(depth)
    _, read = decoders.table(struct.pack(">I", len(content)) + content)
    found = 0
    while read:
        found, read = found + 1, read["t"]
    assert found == min(depth, MAX_DEPTH)


def test_long_arrays_and_tables_are_cut_off() -> None:
    array = field(b"k", b"A", struct.pack(">I", 120_000) + b"V" * 120_000)
    _, read = decoders.table(struct.pack(">I", len(array)) + array)
    assert read == {"k": [None] * MAX_ITEMS}
    content = b"".join(field(b"%d" % number, b"V", b"") for number in range(MAX_ITEMS + 5))
    _, read = decoders.table(struct.pack(">I", len(content)) + content)
    assert len(read) == MAX_ITEMS


@pytest.mark.parametrize(
    ("number", "seconds"),
    [
        (0, 0.0),
        (1_760_000_000, 1_760_000_000.0),
        (1_760_000_000_123, 1_760_000_000.123),
        (1_760_000_000_123_456, 1_760_000_000.123456),
        (1_760_000_000_123_456_789, 1_760_000_000.123456789),
    ],
)
def test_timestamps_are_read_in_the_unit_they_are_in(number: int, seconds: float) -> None:
    _, stamp = decoders.timestamp(struct.pack(">Q", number))
    assert stamp.timestamp() == pytest.approx(seconds, abs=1e-5)


def test_a_timestamp_beyond_all_units_is_none() -> None:
    assert decoders.timestamp(b"\xff" * 8) == (8, None)


@given(st.binary(max_size=255))
def test_a_strange_id_is_always_the_same_printable_id(raw: bytes) -> None:
    used, text = decoders.short_string(bytes([len(raw)]) + raw + b"behind")
    assert used == len(raw) + 1
    assert text == raw.decode("utf-8", "backslashreplace")
    text.encode()


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (b"\xff\xfe", b"\xff\xfe"),
        (2**64, "18446744073709551616"),
        (Decimal("1E+40"), "1E+40"),
        (Decimal("12.50"), Decimal("12.50")),
        ("\ud83d", "\\ud83d"),
        ((1, 2), [1, 2]),
        (1 + 2j, "(1+2j)"),
    ],
)
def test_what_amqp_has_no_type_for_is_sent_as_something_near(value: object, sent: object) -> None:
    assert through({"k": value}) == {"k": sent}


@given(st.text(max_size=400))
def test_a_clipped_text_fits_and_keeps_whole_characters(text: str) -> None:
    short = encoders.clipped(text)
    assert len(short.encode()) <= 255
    assert text.startswith(short)
    assert len(text.encode()) > 255 or short == text


@pytest.mark.parametrize("poison", POISON)
def test_every_known_poison_is_read_by_the_client(poison: str) -> None:
    assert isinstance(frame.unmarshal(as_frame(POISON[poison].marshal()))[2], ContentHeader)
