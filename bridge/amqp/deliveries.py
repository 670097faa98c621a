"""
Deliveries out of a stream of bytes: the hot path of the intake.

A delivery is a frame of the method basic.deliver, a frame with its properties and as many frames of its body as it
takes. `Deliveries.run` reads those that stand whole in one piece, one frame of body each, at about a microsecond; it
knows the beginning and the end of the method's frame again by their bytes, since they are the same from delivery to
delivery. Whatever is different (cut by the end of a read, large, empty, of a new consumer, of an interleaved channel,
broken) goes frame by frame through `start`, `head` and `part`, which say no to what is wrong.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple, TypeVar

from bridge.amqp.events import Delivered, Event
from bridge.amqp.frames import BODY, END, HEADER, LEAD, ProtocolError

MAX_BODY: Final = 536_870_912  # octets; what RabbitMQ's `max_message_size` can at most be set to
BASIC: Final = 60  # the class of basic.deliver and of the properties behind it

_FIXED: Final = 12  # octets of a frame of basic.deliver before the consumer tag: lead, class, method, size of the tag
_TAG: Final = struct.Struct(">Q?")  # delivery tag, redelivered
_CONTENT: Final = struct.Struct(">HHQ")  # class, weight, size of the body
_HEAD: Final = struct.Struct(">3sIH2xQ")  # of a whole frame: type and channel, size, class, size of the body
_NEXT: Final = struct.Struct(">B3sI")  # the end of that frame, and of the next one: type and channel, size
_HEAD_BEHIND: Final = LEAD.size + _CONTENT.size  # octets before the properties
_LEAST: Final = _CONTENT.size + 2  # octets in a content header: at least the flags
_REMEMBERED: Final = 1_024  # beginnings and ends of frames

_new = tuple.__new__

T = TypeVar("T")


class _Front(NamedTuple):
    """What the beginning of a frame of basic.deliver says, up to the delivery tag."""

    channel: int
    consumer_tag: str
    behind: int  # octets from the delivery tag to the end of the frame
    head: bytes  # type and channel of the frame that must come next
    body: bytes  # and of the one behind that


class _Pieces:
    """A delivery that is not whole."""

    def __init__(self, consumer_tag: str, tag: tuple[int, bool], names: tuple[str, str]) -> None:
        self.consumer_tag = consumer_tag
        self.tag = tag
        self.names = names
        self.missing = -1  # octets of the body; below 0 before the properties came
        self.properties = b""
        self.parts: list[bytes] = []


class Deliveries:
    """Reads the deliveries of one connection."""

    def __init__(self, max_body: int) -> None:
        """`max_body` is in octets; more announced is refused before any of it is kept."""
        self.room = 0  # octets a frame may carry
        self._max_body = max_body
        self._front_size = _FIXED
        self._fronts: dict[bytes, _Front] = {}
        self._backs: dict[bytes, tuple[str, str]] = {}
        self._open: dict[int, _Pieces] = {}

    def run(self, data: bytes, at: int, events: list[Event]) -> int:
        """Append all deliveries that stand whole in a row from `at`; return where something else begins."""
        if self._open:
            return at
        fronts, backs, front_size = self._fronts, self._backs, self._front_size
        append, tag_from, head_from, next_from = events.append, _TAG.unpack_from, _HEAD.unpack_from, _NEXT.unpack_from
        room = min(self.room, self._max_body)
        try:
            while True:
                behind = at + front_size
                front = fronts.get(data[at:behind])
                if front is None:
                    return at
                channel, consumer_tag, rest, its_head, its_body = front
                delivery_tag, redelivered = tag_from(data, behind)
                here = behind + rest
                back = data[behind + 9 : here]
                exchange, routing_key = backs.get(back) or self._named(back)
                kind, size, of_class, body_size = head_from(data, here)
                if kind != its_head or of_class != BASIC or not _LEAST <= size <= room:
                    return at
                start = here + _HEAD_BEHIND
                here += 7 + size
                end, kind, size = next_from(data, here)
                if end != END or kind != its_body or size != body_size or size > room:
                    return at
                body = here + 8
                behind = body + size
                if data[behind] != END:
                    return at
                append(
                    _new(
                        Delivered,
                        (
                            channel,
                            consumer_tag,
                            delivery_tag,
                            redelivered,
                            exchange,
                            routing_key,
                            data[body:behind],
                            data[start:here],
                        ),
                    )
                )
                at = behind + 1
        except (struct.error, IndexError):  # the read ends within a delivery
            return at

    def start(self, channel: int, data: bytes, at: int, size: int) -> None:
        """Take the frame of a basic.deliver that stands at `at`, with a payload of `size` octets, its end checked."""
        if channel in self._open:
            raise ProtocolError("a delivery began within another one")
        stop = at + 8 + size
        try:
            behind = at + _FIXED + data[at + _FIXED - 1]
            delivery_tag, redelivered = _TAG.unpack_from(data, behind)
            consumer_tag = data[at + _FIXED : behind].decode("utf-8", "backslashreplace")
            names = self._named(data[behind + 9 : stop])
        except (struct.error, IndexError):
            raise ProtocolError("basic.deliver is cut short") from None
        self._remember(data[at:behind], consumer_tag, stop - behind, channel)
        self._open[channel] = _Pieces(consumer_tag, (delivery_tag, redelivered), names)

    def head(self, channel: int, payload: bytes) -> Delivered | None:
        """Take the properties of a delivery; the delivery if it has no body."""
        pieces = self._open.get(channel)
        if pieces is None or pieces.missing >= 0:
            raise ProtocolError("properties came without a delivery")
        if len(payload) < _LEAST:
            raise ProtocolError("a content header is cut short")
        of_class, _, size = _CONTENT.unpack_from(payload)
        if of_class != BASIC:
            raise ProtocolError(f"properties are of class {of_class}, which has no deliveries")
        if size > self._max_body:
            raise ProtocolError(f"a body of {size:,} bytes is announced, more than {self._max_body:,}")
        pieces.missing = size
        pieces.properties = payload[_CONTENT.size :]
        return None if size else self._whole(channel, pieces)

    def part(self, channel: int, payload: bytes) -> Delivered | None:
        """Take a part of a body; the delivery if it is the last one."""
        pieces = self._open.get(channel)
        if pieces is None or pieces.missing < 0:
            raise ProtocolError("a part of a body came without properties")
        pieces.missing -= len(payload)
        if pieces.missing < 0:
            raise ProtocolError("a body is longer than announced")
        pieces.parts.append(payload)
        return None if pieces.missing else self._whole(channel, pieces)

    def within(self, channel: int) -> bool:
        """Whether a delivery on this channel has begun and is not whole."""
        return channel in self._open

    def forget(self, channel: int) -> None:
        """Drop what is known of a channel that is gone."""
        self._open.pop(channel, None)
        self._fronts.clear()

    def forget_all(self) -> None:
        """Drop what is known of all channels."""
        self._open.clear()
        self._fronts.clear()

    def _whole(self, channel: int, pieces: _Pieces) -> Delivered:
        del self._open[channel]
        body = pieces.parts[0] if len(pieces.parts) == 1 else b"".join(pieces.parts)
        return Delivered(channel, pieces.consumer_tag, *pieces.tag, *pieces.names, body, pieces.properties)

    def _named(self, back: bytes) -> tuple[str, str]:
        """Exchange and routing key, of two short strings and the end of the frame. Raises IndexError when cut."""
        middle = 1 + back[0]
        last = middle + 1 + back[middle]
        if last + 1 != len(back) or back[last] != END:
            raise IndexError
        exchange, routing_key = back[1:middle], back[middle + 1 : last]
        names = exchange.decode("utf-8", "backslashreplace"), routing_key.decode("utf-8", "backslashreplace")
        _bounded(self._backs)[back] = names
        return names

    def _remember(self, front: bytes, consumer_tag: str, behind: int, channel: int) -> None:
        number = channel.to_bytes(2, "big")
        kinds = (bytes([HEADER]) + number, bytes([BODY]) + number)
        self._front_size = len(front)
        _bounded(self._fronts)[front] = _Front(channel, consumer_tag, behind, *kinds)


def _bounded(known: dict[bytes, T]) -> dict[bytes, T]:
    """Never more than `_REMEMBERED`: routing keys may be as many as deliveries."""
    if len(known) >= _REMEMBERED:
        known.clear()
    return known
