"""
One connection to an AMQP broker, as a consumer: bytes in, events out, commands in, bytes out.

It reaches for no socket and no clock: whoever has them passes on what comes, writes what is to be sent, counts the
silence, and sends the heartbeats.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bridge.amqp import frames, methods
from bridge.amqp.deliveries import MAX_BODY, Deliveries
from bridge.amqp.dialogue import ChannelState, Dialogue, State
from bridge.amqp.events import Event
from bridge.amqp.frames import LEAD, OVERHEAD, ProtocolError
from bridge.amqp.handshake import Limits, Login

FRAME_MAX: Final = 131_072  # bytes; RabbitMQ's default
CHANNEL_MAX: Final = 31
SUCCESS: Final = 200  # the code of a goodbye without a reason


class Misplaced(RuntimeError):
    """A command where it has no place: on a connection or a channel that is not open. Nothing was queued."""


class Connection:
    """
    The state of one connection, from the first octet to the last.

    Methods that a consumer does not get (of publishing, transactions, confirmations) end it with a ProtocolError, as
    the specification wants: nobody could tell whether content follows them. What comes for a channel that we are
    closing is skipped, as is all that comes behind a close of the connection.
    """

    def __init__(
        self,
        login: Login,
        *,
        properties: Mapping[str, str],
        heartbeat: int,
        vhost: str = "/",
        frame_max: int = FRAME_MAX,
        channel_max: int = CHANNEL_MAX,
        max_body: int = MAX_BODY,
    ) -> None:
        """`properties` tell operators who we are. `heartbeat` is in seconds, `frame_max` and `max_body` in bytes."""
        self._inbox = frames.Inbox()
        self._deliveries = Deliveries(max_body)
        limits = Limits(channel_max, frame_max, heartbeat)
        self._dialogue = Dialogue(login, properties, vhost, limits, self._deliveries)

    def data_to_send(self) -> bytes:
        """Take all that is to be written now."""
        out = self._dialogue.out
        data = b"".join(out)
        out.clear()
        return data

    def receive_data(self, data: bytes) -> list[Event]:
        """
        Take what came from the broker, cut anywhere, and say what it means.

        Raises ProtocolError for what is no AMQP, or has no place here: then cut the socket. What was whole in the same
        data is dropped with it, unsettled, so that the broker delivers it again.
        """
        found: list[Event] = []
        data = self._inbox.take(data)
        at, size = 0, len(data)
        dialogue, run = self._dialogue, self._deliveries.run
        while at < size and dialogue.state is not State.CLOSED:
            at = run(data, at, found)
            left = size - at
            if left < LEAD.size:
                self._inbox.keep(data[at:], OVERHEAD - left)
                break
            kind, channel, length = LEAD.unpack_from(data, at)
            self._check(kind, length, data, at)
            if left < length + OVERHEAD:
                self._inbox.keep(data[at:], length + OVERHEAD - left)
                break
            if data[at + LEAD.size + length] != frames.END:
                raise ProtocolError("a frame does not end where it says")
            if (event := self._take(kind, channel, data, at, length)) is not None:
                found.append(event)
            at += length + OVERHEAD
        return found

    def heartbeat(self) -> None:
        """Say that we are alive."""
        self._dialogue.out.append(frames.HEARTBEAT_FRAME)

    def close(self, code: int = SUCCESS, text: str = "") -> None:
        """Say goodbye. What comes from now on is skipped, but for `CloseOk`. Does nothing the second time."""
        if self._dialogue.state not in (State.CLOSING, State.CLOSED):
            self._dialogue.say(0, methods.CLOSE, *methods.reason(code, text))
            self._dialogue.leave_all(State.CLOSING)

    def open_channel(self, channel: int) -> None:
        """Open a channel; `ChannelOpened` follows. Raises Misplaced, also for a number in use or too high."""
        dialogue = self._dialogue
        fits = 1 <= channel <= dialogue.limits.channel_max and channel not in dialogue.channels
        if dialogue.state is not State.OPEN or not fits:
            raise Misplaced(f"channel {channel} cannot be opened now")
        dialogue.channels[channel] = ChannelState.OPENING
        dialogue.say(channel, methods.CHANNEL_OPEN, methods.short_string(""))

    def close_channel(self, channel: int, code: int = SUCCESS, text: str = "") -> None:
        """Close a channel; the broker takes back what is unsettled, and `ChannelClosed` follows. Raises Misplaced."""
        self._say(channel, methods.CHANNEL_CLOSE, *methods.reason(code, text))
        self._dialogue.channels[channel] = ChannelState.CLOSING
        self._dialogue.leave(channel)

    def qos(self, channel: int, prefetch: int) -> None:
        """How many deliveries later consumers may have unsettled; `PrefetchSet` follows. Raises Misplaced."""
        self._say(channel, methods.QOS, methods.long(0), methods.short(prefetch), methods.octet(0))

    def consume(self, channel: int, queue: str, consumer_tag: str = "") -> None:
        """Start a consumer, by default of a tag that the broker makes up; `Consuming` follows. Raises Misplaced."""
        names = (methods.short_string(queue), methods.short_string(consumer_tag))
        self._say(channel, methods.CONSUME, methods.short(0), *names, methods.octet(0), methods.field_table({}))

    def cancel(self, channel: int, consumer_tag: str) -> None:
        """End a consumer; deliveries may still come until `Cancelled`. Raises Misplaced."""
        self._say(channel, methods.CANCEL, methods.short_string(consumer_tag), methods.octet(0))

    def declare_passively(self, channel: int, queue: str) -> None:
        """Ask how a queue stands; `QueueFound` follows, or `ChannelClosed` with 404. Raises Misplaced."""
        passive = methods.octet(1)
        name = methods.short_string(queue)
        self._say(channel, methods.DECLARE, methods.short(0), name, passive, methods.field_table({}))

    def ack(self, channel: int, delivery_tag: int, *, multiple: bool = False) -> None:
        """Settle a delivery, or with `multiple` all of the channel up to it. Raises Misplaced."""
        self._require(channel)
        self._dialogue.out.append(methods.acknowledged(channel, delivery_tag, multiple))

    def give_back(self, channel: int, delivery_tag: int, *, multiple: bool = False) -> None:
        """Put a delivery back into its queue, or with `multiple` all of the channel up to it. Raises Misplaced."""
        self._require(channel)
        self._dialogue.out.append(methods.given_back(channel, delivery_tag, multiple))

    def _require(self, channel: int) -> None:
        if channel not in self._dialogue.usable:
            raise Misplaced(f"channel {channel} is not open")

    def _say(self, channel: int, number: int, *arguments: bytes) -> None:
        self._require(channel)
        self._dialogue.say(channel, number, *arguments)

    def _check(self, kind: int, length: int, data: bytes, at: int) -> None:
        """Raises ProtocolError for the beginning of what cannot be a frame."""
        if kind not in frames.KINDS:
            if data[at : at + 4] == frames.PREAMBLE[:4]:
                raise ProtocolError("the broker speaks another AMQP than 0-9-1")
            raise ProtocolError(f"this is no AMQP: a frame of type {kind}")
        most = self._dialogue.limits.frame_max
        if length + OVERHEAD > most:
            raise ProtocolError(f"a frame of {length + OVERHEAD:,} bytes, more than the {most:,} agreed")

    def _take(self, kind: int, channel: int, data: bytes, at: int, length: int) -> Event | None:
        """Take one whole frame."""
        start = at + LEAD.size
        number = int.from_bytes(data[start : start + 4], "big") if kind == frames.METHOD else 0
        if kind == frames.METHOD and length < 4:  # noqa: PLR2004  octets of a number
            raise ProtocolError("a method without a number")
        if kind == frames.HEARTBEAT:
            if channel or length:
                raise ProtocolError("a heartbeat with a channel or a payload")
            return None
        if channel == 0:
            if kind != frames.METHOD:
                raise ProtocolError("content outside of a channel")
            return self._dialogue.take_own(data[start : start + length])
        if self._skipped(channel, number):
            return None
        if number == methods.DELIVER:
            self._deliveries.start(channel, data, at, length)
            return None
        payload = data[start : start + length]
        if kind == frames.METHOD:
            if self._deliveries.within(channel) and number != methods.CHANNEL_CLOSE:
                raise ProtocolError(f"{methods.printed(number)} within a delivery")
            return self._dialogue.take(channel, payload)
        return (self._deliveries.head if kind == frames.HEADER else self._deliveries.part)(channel, payload)

    def _skipped(self, channel: int, number: int) -> bool:
        """Whether a frame is of no interest any more. Raises ProtocolError for a channel that nobody opened."""
        if self._dialogue.state is State.CLOSING:
            return True
        state = self._dialogue.channels.get(channel)
        if state is None:
            raise ProtocolError(f"a frame for channel {channel}, which is not open")
        if state is ChannelState.OPENING and number == methods.DELIVER:
            raise ProtocolError(f"a delivery on channel {channel}, which is not open yet")
        return state is ChannelState.CLOSING and number not in methods.ENDINGS
