"""
Encoders for whatever the decoders let in, so that a copy carries the headers that its original had.

pamqp 4.0.1 cannot send back what it has received: a string that is no UTF-8 raises, a double becomes a single float (or
raises), a large decimal raises. Whoever forwards such a delivery would fail at it again and again.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from pamqp import encode

SHORT: Final = 255  # bytes of a short string, such as the name of a header
LONGEST_INT: Final = 2**63

_LENGTH: Final = struct.Struct(">I")


def install() -> None:
    """Put the table encoder in place of pamqp's. Idempotent."""
    encode.METHODS["table"] = table


def clipped(text: str) -> str:
    """As much of a text as a short string holds."""
    return text if len(text) < SHORT // 4 else text.encode()[:SHORT].decode("utf-8", "ignore")


def table(fields: Mapping[str, Any] | None) -> bytes:
    """A field table."""
    content = b"".join(_name(name) + _value(value) for name, value in (fields or {}).items())
    return _LENGTH.pack(len(content)) + content


def _name(name: str) -> bytes:
    raw = clipped(name).encode()
    return bytes([len(raw)]) + raw


def _value(value: object) -> bytes:  # noqa: C901, PLR0911  a table of types
    match value:
        case bool():
            return b"t\x01" if value else b"t\x00"
        case int() if -LONGEST_INT <= value < LONGEST_INT:
            return encode.table_integer(value)
        case float():
            return b"d" + struct.pack(">d", value)
        case str():
            return _string(b"S", value.encode("utf-8", "backslashreplace"))
        case bytes():
            return _string(b"S", value)
        case bytearray():
            return _string(b"x", value)
        case None:
            return b"V"
        case datetime():
            return b"T" + struct.pack(">Q", max(0, int(value.timestamp())))
        case Mapping():
            return b"F" + table(value)
        case Sequence():
            return _string(b"A", b"".join(_value(item) for item in value))
        case Decimal():
            return _decimal(value)
        case _:
            return _value(str(value))


def _string(kind: bytes, raw: bytes | bytearray) -> bytes:
    return kind + _LENGTH.pack(len(raw)) + raw


def _decimal(value: Decimal) -> bytes:
    sign, digits, exponent = value.as_tuple()
    number = int("".join(map(str, digits))) * (-1 if sign else 1)
    if not isinstance(exponent, int) or not -SHORT <= exponent <= 0 or not -(2**31) <= number < 2**31:
        return _value(str(value))
    return b"D" + struct.pack(">Bi", -exponent, number)
