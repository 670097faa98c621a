"""
Methods of AMQP 0-9-1 that a consumer needs: numbers, layouts, packing and unpacking of arguments.

From amqp0-9-1.extended.xml, with RabbitMQ's extensions (basic.nack, connection.blocked, consumer cancel notification).
A method is known by its class and its number in one integer, as they stand in the first four octets of its frame.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final

from bridge.amqp.frames import METHOD, ProtocolError, frame
from bridge.amqp.properties import table


def _number(of_class: int, of_method: int) -> int:
    return of_class << 16 | of_method


START: Final = _number(10, 10)
START_OK: Final = _number(10, 11)
TUNE: Final = _number(10, 30)
TUNE_OK: Final = _number(10, 31)
OPEN: Final = _number(10, 40)
OPEN_OK: Final = _number(10, 41)
CLOSE: Final = _number(10, 50)
CLOSE_OK: Final = _number(10, 51)
BLOCKED: Final = _number(10, 60)
UNBLOCKED: Final = _number(10, 61)
CHANNEL_OPEN: Final = _number(20, 10)
CHANNEL_OPEN_OK: Final = _number(20, 11)
FLOW: Final = _number(20, 20)
FLOW_OK: Final = _number(20, 21)
CHANNEL_CLOSE: Final = _number(20, 40)
CHANNEL_CLOSE_OK: Final = _number(20, 41)
DECLARE: Final = _number(50, 10)
DECLARE_OK: Final = _number(50, 11)
QOS: Final = _number(60, 10)
QOS_OK: Final = _number(60, 11)
CONSUME: Final = _number(60, 20)
CONSUME_OK: Final = _number(60, 21)
CANCEL: Final = _number(60, 30)
CANCEL_OK: Final = _number(60, 31)
DELIVER: Final = _number(60, 60)
ACK: Final = _number(60, 80)
REFUSE: Final = _number(60, 120)  # with requeue, what the bridge calls giving back

ARGUMENTS: Final[Mapping[int, str]] = {
    START: "BBtll",  # version, version, properties, mechanisms, locales
    TUNE: "HIH",  # channel_max, frame_max, heartbeat
    OPEN_OK: "s",
    CLOSE: "HsHH",  # code, text, class, method
    CLOSE_OK: "",
    BLOCKED: "s",
    UNBLOCKED: "",
    CHANNEL_OPEN_OK: "l",
    FLOW: "B",
    CHANNEL_CLOSE: "HsHH",
    CHANNEL_CLOSE_OK: "",
    DECLARE_OK: "sII",  # queue, deliveries that are ready, consumers
    QOS_OK: "",
    CONSUME_OK: "s",
    CANCEL: "sB",  # tag, whether no answer is wanted
    CANCEL_OK: "s",
}
"""
The arguments of what a broker may say to a consumer; basic.deliver has a reader of its own.

B, H and I are unsigned integers as in `struct`; s is a short string, l a long one, t a table.
"""

ENDINGS: Final = frozenset({CHANNEL_CLOSE, CHANNEL_CLOSE_OK})

NAMES: Final[Mapping[int, str]] = {
    OPEN: "connection.open",
    CHANNEL_OPEN: "channel.open",
    DECLARE: "queue.declare",
    QOS: "basic.qos",
    CONSUME: "basic.consume",
    CANCEL: "basic.cancel",
    ACK: "basic.ack",
    REFUSE: "basic.reject",
}
"""What we say and a broker may object to."""

_INTEGERS: Final = {kind: struct.Struct(">" + kind) for kind in "BHI"}
_ACKNOWLEDGE: Final = struct.Struct(">BHIIQBB")
_MULTIPLE: Final = 1
_REQUEUE: Final = 2


def name_of(of_class: int, of_method: int) -> str:
    """What the method that a broker objects to is called; "" for none."""
    number = _number(of_class, of_method)
    return printed(number) if number else ""


def printed(number: int) -> str:
    """What a method is called in print."""
    return NAMES.get(number, f"method {number >> 16}.{number & 0xFFFF}")


def arguments(number: int, payload: bytes) -> list[Any]:
    """Read the arguments behind the number of a method. Raises ProtocolError when they do not fit its layout."""
    layout = ARGUMENTS.get(number)
    if layout is None:
        raise ProtocolError(f"{printed(number)} is none that a consumer may get")
    found: list[Any] = []
    at = 4
    try:
        for kind in layout:
            at, value = _argument(kind, payload, at)
            found.append(value)
    except (struct.error, IndexError):
        raise ProtocolError(f"{printed(number)} is cut short") from None
    return found


def _argument(kind: str, payload: bytes, at: int) -> tuple[int, Any]:
    if kind in _INTEGERS:
        layout = _INTEGERS[kind]
        return at + layout.size, layout.unpack_from(payload, at)[0]
    size = payload[at] if kind == "s" else int(_INTEGERS["I"].unpack_from(payload, at)[0])
    start = at + (1 if kind == "s" else 4)
    if start + size > len(payload):
        raise IndexError
    raw = payload[start : start + size]
    return start + size, table(raw) if kind == "t" else raw.decode("utf-8", "backslashreplace")


def method(channel: int, number: int, *arguments: bytes) -> bytes:
    """Encode the frame of a method, of arguments that are encoded already."""
    return frame(METHOD, channel, b"".join((number.to_bytes(4, "big"), *arguments)))


def acknowledged(channel: int, delivery_tag: int, multiple: bool) -> bytes:  # noqa: FBT001  of a frame, by position
    """Encode basic.ack."""
    return _ACKNOWLEDGE.pack(METHOD, channel, 13, ACK, delivery_tag, multiple, 0xCE)


def given_back(channel: int, delivery_tag: int, multiple: bool) -> bytes:  # noqa: FBT001  of a frame, by position
    """Encode the method that puts deliveries back into their queue."""
    return _ACKNOWLEDGE.pack(METHOD, channel, 13, REFUSE, delivery_tag, _REQUEUE | multiple * _MULTIPLE, 0xCE)


def reason(code: int, text: str) -> tuple[bytes, ...]:
    """Encode the arguments of a close that objects to no method."""
    return short(code), short_string(text), short(0), short(0)


def octet(value: int) -> bytes:
    return value.to_bytes(1, "big")


def short(value: int) -> bytes:
    return value.to_bytes(2, "big")


def long(value: int) -> bytes:
    return value.to_bytes(4, "big")


def short_string(value: str) -> bytes:
    """Raises ValueError for more than 255 octets."""
    raw = value.encode()
    if len(raw) > 255:  # noqa: PLR2004  its size is one octet
        raise ValueError(f"{value[:20]}... is longer than 255 octets")
    return octet(len(raw)) + raw


def long_string(value: bytes) -> bytes:
    return long(len(value)) + value


def field_table(fields: Mapping[str, object]) -> bytes:
    """Encode a table of texts, truth values and tables; that is all a client has to say about itself."""
    return long_string(b"".join(short_string(name) + _field(value) for name, value in fields.items()))


def _field(value: object) -> bytes:
    if isinstance(value, bool):
        return b"t" + octet(value)
    if isinstance(value, Mapping):
        return b"F" + field_table(value)
    return b"S" + long_string(str(value).encode())
