"""
Property decoders that no publisher can break.

RabbitMQ hands on properties that pamqp 4.0.1 cannot read (a timestamp in microseconds, a message id that is no UTF-8,
a table nested a thousand deep). There the client raises in its frame reader, drops the connection, gets the same
delivery again, and so on for ever. These decoders read what can be read, leave out the rest, and always move on by the
right number of bytes, so that the delivery arrives and can be settled.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from pamqp import decode

MAX_DEPTH: Final = 32
MAX_ITEMS: Final = 1_000  # of one table or array; what comes after is left out

_LENGTH: Final = struct.Struct(">I")
_LENGTH_SHORT: Final = struct.Struct("B")
_TIMESTAMP: Final = struct.Struct(">Q")
_SCALES: Final = (1, 1_000, 1_000_000, 1_000_000_000)  # seconds, ms, us, ns
_YEAR_2500: Final = 16_725_225_600  # epoch seconds; a larger number is of a finer unit

Decoded = tuple[int, Any]
_SIMPLE: dict[bytes, Callable[[bytes], Decoded]] = {}


def install() -> None:
    """Put these decoders in place of pamqp's. Idempotent."""
    _SIMPLE.update({kind: read for kind, read in decode.TABLE_MAPPING.items() if kind not in (b"F", b"A", b"T")})
    decode.METHODS.update({"timestamp": timestamp, "shortstr": short_string, "table": table})
    decode.TABLE_MAPPING.update({b"T": timestamp, b"F": table, b"A": array})


def timestamp(value: bytes) -> Decoded:
    """Eight bytes of epoch seconds as AMQP wants them, or of ms, us or ns as some send them; None when absurd."""
    (number,) = _TIMESTAMP.unpack_from(value)
    for scale in _SCALES:
        if number / scale < _YEAR_2500:
            return 8, datetime.fromtimestamp(number / scale, tz=UTC)
    return 8, None


def short_string(value: bytes) -> Decoded:
    """Up to 255 bytes; what is no UTF-8 is kept, escaped, so that a strange id is still that id."""
    (length,) = _LENGTH_SHORT.unpack_from(value)
    return length + 1, bytes(value[1 : length + 1]).decode("utf-8", "backslashreplace")


def table(value: bytes, depth: int = 0) -> Decoded:
    """A field table; deeper than `MAX_DEPTH` it is left empty."""
    end = 4 + _LENGTH.unpack_from(value)[0]
    fields: dict[str, Any] = {}
    at = 4
    while at < end and depth < MAX_DEPTH and len(fields) < MAX_ITEMS:
        used, key = short_string(value[at : at + 256])
        at += used
        used, fields[key] = _value(value, at, end, depth)
        if not used:
            break
        at += used
    return end, fields


def array(value: bytes, depth: int = 0) -> Decoded:
    """A field array; deeper than `MAX_DEPTH` it is left empty."""
    end = 4 + _LENGTH.unpack_from(value)[0]
    items: list[Any] = []
    at = 4
    while at < end and depth < MAX_DEPTH and len(items) < MAX_ITEMS:
        used, item = _value(value, at, end, depth)
        if not used:
            break
        items.append(item)
        at += used
    return end, items


def _value(value: bytes, at: int, end: int, depth: int) -> Decoded:
    """One typed value that starts at `at`; (0, None) when it cannot be read, and with it nothing behind it."""
    kind = bytes(value[at : at + 1])
    try:
        if kind in (b"F", b"A"):
            size = 4 + _LENGTH.unpack_from(value, at + 1)[0]
            if at + 1 + size > end:
                return 0, None
            inner = value[at + 1 : at + 1 + size]
            return 1 + size, (table if kind == b"F" else array)(inner, depth + 1)[1]
        if kind == b"T":
            return 9, timestamp(value[at + 1 : at + 9])[1]
        # Long strings and byte arrays say their length; everything else is at most nine bytes.
        stop = end if kind in (b"S", b"x") else at + 10
        used, found = _SIMPLE[kind](value[at + 1 : stop])
    except (ValueError, KeyError, IndexError, struct.error, OverflowError):
        return 0, None
    return 1 + used, found
