"""What a broker says, octet by octet, written with `struct` alone."""

from __future__ import annotations

import struct

from bridge.amqp.connection import Connection
from bridge.amqp.events import ChannelOpened, Event, Opened
from bridge.amqp.handshake import Login, Plain

END = b"\xce"
TEXT_ONLY = b"\x10\x00\x02"  # properties: persistent, and nothing else
ROOM = 131_064  # octets that a frame carries where 131,072 are agreed


def short(text: bytes) -> bytes:
    return bytes([len(text)]) + text


def long(text: bytes) -> bytes:
    return struct.pack(">I", len(text)) + text


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + END


def method(channel: int, of_class: int, of_method: int, arguments: bytes = b"") -> bytes:
    return frame(1, channel, struct.pack(">HH", of_class, of_method) + arguments)


def start(properties: bytes = b"", mechanisms: bytes = b"PLAIN AMQPLAIN") -> bytes:
    return method(0, 10, 10, b"\x00\x09" + long(properties) + long(mechanisms) + long(b"en_US"))


def tune(channels: int = 2047, frames: int = 131_072, heartbeat: int = 60) -> bytes:
    return method(0, 10, 30, struct.pack(">HIH", channels, frames, heartbeat))


def close(channel: int, code: int, text: bytes, of_class: int = 0, of_method: int = 0) -> bytes:
    where = (20, 40) if channel else (10, 50)
    arguments = struct.pack(">H", code) + short(text) + struct.pack(">HH", of_class, of_method)
    return method(channel, *where, arguments)


OPEN_OK = method(0, 10, 41, b"\x00")
CLOSE_OK = method(0, 10, 51)
HEARTBEAT = frame(8, 0, b"")


def channel_open_ok(channel: int = 1) -> bytes:
    return method(channel, 20, 11, long(b""))


def deliver(
    channel: int = 1,
    delivery_tag: int = 1,
    *,
    tag: bytes = b"ctag",
    redelivered: int = 0,
    exchange: bytes = b"",
    routing_key: bytes = b"events",
) -> bytes:
    arguments = short(tag) + struct.pack(">QB", delivery_tag, redelivered) + short(exchange) + short(routing_key)
    return method(channel, 60, 60, arguments)


def header(channel: int, size: int, properties: bytes = TEXT_ONLY, of_class: int = 60) -> bytes:
    return frame(2, channel, struct.pack(">HHQ", of_class, 0, size) + properties)


def body(channel: int, content: bytes, room: int = ROOM) -> list[bytes]:
    return [frame(3, channel, content[at : at + room]) for at in range(0, len(content), room)]


def delivery(
    channel: int = 1,
    delivery_tag: int = 1,
    content: bytes = b"{}",
    properties: bytes = TEXT_ONLY,
    *,
    room: int = ROOM,
    **names: bytes,
) -> list[bytes]:
    """The frames of one delivery."""
    parts = body(channel, content, room)
    return [deliver(channel, delivery_tag, **names), header(channel, len(content), properties), *parts]  # type: ignore[arg-type]


def connection(login: Login | None = None, *, max_body: int = 2**29, vhost: str = "/") -> Connection:
    """One that has said nothing yet."""
    properties = {"product": "test"}
    return Connection(
        login or Plain("guest", "secret"), properties=properties, heartbeat=15, vhost=vhost, max_body=max_body
    )


def opened(*channels: int, properties: bytes = b"", max_body: int = 2**29) -> Connection:
    """One that is open, and so are these channels."""
    made = connection(max_body=max_body)
    found: list[Event] = made.receive_data(start(properties) + tune() + OPEN_OK)
    assert isinstance(found[0], Opened)
    for channel in channels:
        made.open_channel(channel)
        assert made.receive_data(channel_open_ok(channel)) == [ChannelOpened(channel)]
    made.data_to_send()
    return made
