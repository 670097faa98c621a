"""
Properties of a delivery, read late and without fail.

Brokers hand on what publishers wrote: timestamps in any unit, texts that are no UTF-8, tables nested a thousand deep.
Whatever can be read is read, the rest is left out, and nothing here raises. The layout of properties is section 4.2.6.1
of the specification, the kinds of values are those of RabbitMQ's errata (amqp-0-9-1-errata.html, section 3).
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final

MAX_DEPTH: Final = 32  # tables and arrays within each other; deeper ones are left empty
MAX_ITEMS: Final = 1_000  # of one table or array; what comes after is left out

_YEAR_2500: Final = 16_725_225_600  # epoch seconds; a larger number is of a finer unit
_SCALES: Final = (1, 1_000, 1_000_000, 1_000_000_000)  # seconds, ms, us, ns

_LONG: Final = struct.Struct(">I")
_TIMESTAMP: Final = struct.Struct(">Q")
_DECIMAL: Final = struct.Struct(">Bi")
_NUMBERS: Final = {
    ord(kind): struct.Struct(layout)
    for kind, layout in {
        "t": ">?",
        "b": ">b",
        "B": ">B",
        "s": ">h",
        "u": ">H",
        "I": ">i",
        "i": ">I",
        "l": ">q",
        "L": ">q",
        "f": ">f",
        "d": ">d",
    }.items()
}
_TEXT: Final = ord("S")
_BYTES: Final = ord("x")
_TABLE: Final = ord("F")
_ARRAY: Final = ord("A")
_TIME: Final = ord("T")
_SCALED: Final = ord("D")
_NOTHING: Final = frozenset(b"V\x00")  # the second is in no text, but on some wires
_UNREADABLE: Final = -1

_SHORT_STRING: Final = 0
_OCTET: Final = 1
_EPOCH: Final = 2
_HEADERS: Final = 3
_LAYOUT: Final = (
    ("content_type", _SHORT_STRING),
    ("content_encoding", _SHORT_STRING),
    ("table", _HEADERS),
    ("delivery_mode", _OCTET),
    ("priority", _OCTET),
    ("correlation_id", _SHORT_STRING),
    ("reply_to", _SHORT_STRING),
    ("expiration", _SHORT_STRING),
    ("message_id", _SHORT_STRING),
    ("timestamp", _EPOCH),
    ("type", _SHORT_STRING),
    ("user_id", _SHORT_STRING),
    ("app_id", _SHORT_STRING),
    ("cluster_id", _SHORT_STRING),
)
"""From the highest flag down, which is also the order of the values."""


class Properties:
    """The properties of one delivery; None, or b"" for the table, of what it does not have."""

    content_type: str | None = None
    content_encoding: str | None = None
    table: bytes = b""
    """The headers as they came, without their length: `table()` reads them."""
    delivery_mode: int | None = None
    priority: int | None = None
    correlation_id: str | None = None
    reply_to: str | None = None
    expiration: str | None = None
    message_id: str | None = None
    timestamp: float | None = None  # epoch seconds, whatever unit it came in; None too when absurd
    type: str | None = None
    user_id: str | None = None
    app_id: str | None = None
    cluster_id: str | None = None


@lru_cache(maxsize=256)
def _plan(flags: int) -> tuple[tuple[str, int], ...]:
    """What stands in properties with these flags."""
    return tuple(item for place, item in enumerate(_LAYOUT) if flags & 0x8000 >> place)


def decode(raw: bytes) -> Properties:
    """Read what `Delivered.properties` holds. Never raises: what is cut short ends there."""
    found = Properties()
    values = found.__dict__
    try:
        flags = raw[0] << 8 | raw[1]
        at = 2
        if flags & 1:
            at = _after_flags(raw)
        for name, kind in _plan(flags):
            if kind == _SHORT_STRING:
                end = at + 1 + raw[at]
                values[name] = raw[at + 1 : end].decode("utf-8", "backslashreplace")
                at = end
            elif kind == _OCTET:
                values[name] = raw[at]
                at += 1
            elif kind == _EPOCH:
                values[name] = epoch(_TIMESTAMP.unpack_from(raw, at)[0])
                at += 8
            else:
                end = at + 4 + int(_LONG.unpack_from(raw, at)[0])
                values[name] = raw[at + 4 : end]
                at = end
    except (IndexError, struct.error):
        pass
    return found


def _after_flags(raw: bytes) -> int:
    """Where the values begin: each word of flags says in its last bit whether another follows."""
    at = 0
    while raw[at + 1] & 1:
        at += 2
    return at + 2


def epoch(number: int) -> float | None:
    """Epoch seconds, to the microsecond, of a number of s, ms, us or ns; None when it is none of them."""
    if number < _YEAR_2500:
        return float(number)
    moment = _moment(number)
    return None if moment is None else moment.timestamp()


def table(content: bytes) -> dict[str, object]:
    """
    Read the fields of a table, given without its length.

    Values are bool, int, float, str (bytes where it is no UTF-8), bytearray, Decimal, datetime (UTC), None, and lists
    and dicts of them. Never raises: a field that cannot be read is None, and what is behind it is left out.
    """
    return _fields(content, 0, len(content), 0)


def _fields(raw: bytes, at: int, end: int, depth: int) -> dict[str, object]:
    fields: dict[str, object] = {}
    while at < end and len(fields) < MAX_ITEMS:
        start = at + 1
        at = start + raw[at]
        if at >= end:
            fields[raw[start:end].decode("utf-8", "backslashreplace")] = None
            break
        name = raw[start:at].decode("utf-8", "backslashreplace")
        start = at + 5
        if raw[at] == _TEXT and start <= end:  # nearly all are texts, so these take the shortest way
            at = start + _LONG.unpack_from(raw, at + 1)[0]
            value = raw[start : at if at < end else end]  # noqa: FURB136  min() costs a call
            try:
                fields[name] = value.decode()
            except UnicodeDecodeError:
                fields[name] = value
            continue
        at, fields[name] = _value(raw, at, end, depth)
        if at == _UNREADABLE:
            break
    return fields


def _items(raw: bytes, at: int, end: int, depth: int) -> list[object]:
    items: list[object] = []
    while at < end and len(items) < MAX_ITEMS:
        at, item = _value(raw, at, end, depth)
        if at == _UNREADABLE:
            break
        items.append(item)
    return items


def _value(raw: bytes, at: int, end: int, depth: int) -> tuple[int, object]:
    """One value from its kind on, and where the next thing stands; `_UNREADABLE` when nobody can tell."""
    if at >= end:
        return _UNREADABLE, None
    kind = raw[at]
    at += 1
    if kind in _NOTHING:
        return at, None
    if kind in _NUMBERS:
        layout = _NUMBERS[kind]
        behind = at + layout.size
        return (behind, layout.unpack_from(raw, at)[0]) if behind <= end else (_UNREADABLE, None)
    if kind == _TIME:
        return (at + 8, _moment(_TIMESTAMP.unpack_from(raw, at)[0])) if at + 8 <= end else (_UNREADABLE, None)
    if kind == _SCALED:
        return (at + 5, _decimal(raw, at)) if at + 5 <= end else (_UNREADABLE, None)
    return _sized(kind, raw, at, end, depth)


def _sized(kind: int, raw: bytes, at: int, end: int, depth: int) -> tuple[int, object]:
    """A value that says how long it is. A text may be cut short, a table or an array may not."""
    start = at + 4
    if start > end:
        return _UNREADABLE, None
    behind = start + int(_LONG.unpack_from(raw, at)[0])
    if kind == _TEXT:
        return behind, _text(raw[start : min(behind, end)])
    if kind == _BYTES:
        return behind, bytearray(raw[start : min(behind, end)])
    if behind > end or kind not in (_TABLE, _ARRAY):
        return _UNREADABLE, None
    deeper = depth + 1
    if deeper >= MAX_DEPTH:
        return behind, {} if kind == _TABLE else []
    return behind, (_fields if kind == _TABLE else _items)(raw, start, behind, deeper)


def _text(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _moment(number: int) -> datetime | None:
    for scale in _SCALES:
        if number / scale < _YEAR_2500:
            return datetime.fromtimestamp(number / scale, tz=UTC)
    return None


def _decimal(raw: bytes, at: int) -> Decimal:
    places, digits = _DECIMAL.unpack_from(raw, at)
    return Decimal(digits).scaleb(-places)
