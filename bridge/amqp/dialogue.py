"""What broker and consumer say to each other by methods, and where they stand after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Any, Final

from bridge.amqp import events as e
from bridge.amqp import frames, handshake, methods
from bridge.amqp.deliveries import Deliveries
from bridge.amqp.frames import ProtocolError
from bridge.amqp.handshake import Limits, Login

_REASONS: Final = 120  # characters of what a peer made up that are worth repeating


class State(Enum):
    """Where the connection stands."""

    HELLO = auto()  # until the broker says which logins it takes
    LOGIN = auto()  # until it proposes limits
    VHOST = auto()  # until it lets us in
    OPEN = auto()
    CLOSING = auto()  # we said goodbye
    CLOSED = auto()


class ChannelState(Enum):
    """Where a channel stands, from the moment we asked for it."""

    OPENING = auto()
    OPEN = auto()
    CLOSING = auto()


class Dialogue:
    """The methods of one connection, both ways."""

    def __init__(
        self, login: Login, properties: Mapping[str, str], vhost: str, limits: Limits, deliveries: Deliveries
    ) -> None:
        self.state = State.HELLO
        self.limits = limits
        self.channels: dict[int, ChannelState] = {}
        self.usable: set[int] = set()
        self.out = [frames.PREAMBLE]
        self._login = login
        self._properties = properties
        self._vhost = vhost
        self._deliveries = deliveries
        self._server_properties: Mapping[str, object] = {}
        self._of_connection: dict[int, Callable[[list[Any]], e.Event | None]] = {
            methods.START: self._started,
            methods.TUNE: self._tuned,
            methods.OPEN_OK: self._opened,
            methods.CLOSE: self._closed,
            methods.CLOSE_OK: self._close_agreed,
            methods.BLOCKED: lambda found: e.Blocked(found[0]),
            methods.UNBLOCKED: lambda _: e.Unblocked(),
        }
        self._of_channel: dict[int, Callable[[int, list[Any]], e.Event | None]] = {
            methods.CHANNEL_OPEN_OK: self._channel_opened,
            methods.CHANNEL_CLOSE: self._channel_closed,
            methods.CHANNEL_CLOSE_OK: self._channel_close_agreed,
            methods.FLOW: self._flowing,
            methods.QOS_OK: lambda channel, _: e.PrefetchSet(channel),
            methods.CONSUME_OK: lambda channel, found: e.Consuming(channel, found[0]),
            methods.CANCEL: self._cancelled,
            methods.CANCEL_OK: lambda channel, found: e.Cancelled(channel, found[0]),
            methods.DECLARE_OK: lambda channel, found: e.QueueFound(channel, *found),
        }

    def say(self, channel: int, number: int, *arguments: bytes) -> None:
        """Queue a method."""
        self.out.append(methods.method(channel, number, *arguments))

    def leave(self, channel: int) -> None:
        """Nothing more is said or heard on this channel but its end."""
        self.usable.discard(channel)
        self._deliveries.forget(channel)

    def leave_all(self, state: State) -> None:
        """Nothing more is said or heard on any channel."""
        self.state = state
        self.channels.clear()
        self.usable.clear()
        self._deliveries.forget_all()

    def take_own(self, payload: bytes) -> e.Event | None:
        """Take a method of the connection itself."""
        number = int.from_bytes(payload[:4], "big")
        if self.state is State.CLOSING and number not in (methods.CLOSE, methods.CLOSE_OK):
            return None
        found = methods.arguments(number, payload)
        act = self._of_connection.get(number)
        if act is None:
            raise ProtocolError(f"{methods.printed(number)} outside of a channel")
        return act(found)

    def take(self, channel: int, payload: bytes) -> e.Event | None:
        """Take a method of a channel that was opened, other than basic.deliver."""
        number = int.from_bytes(payload[:4], "big")
        state = self.channels[channel]
        found = methods.arguments(number, payload)
        act = self._of_channel.get(number)
        early = (state is ChannelState.OPENING) != (number == methods.CHANNEL_OPEN_OK)
        if act is None or (early and number not in methods.ENDINGS):
            raise ProtocolError(f"{methods.printed(number)} on channel {channel}, where it has no place")
        return act(channel, found)

    def _expect(self, state: State, what: str) -> None:
        if self.state is not state:
            raise ProtocolError(f"{what} came when it had no place")

    def _started(self, found: list[Any]) -> e.Event | None:
        self._expect(State.HELLO, "connection.start")
        *_, self._server_properties, mechanisms, _ = found
        if self._login.mechanism not in mechanisms.split():
            self.leave_all(State.CLOSED)
            text = f"the broker takes {mechanisms[:_REASONS]}, not {self._login.mechanism}"
            return e.Refused(0, text, "login")
        self.out.append(handshake.start_ok(self._login, self._properties))
        self.state = State.LOGIN
        return None

    def _tuned(self, found: list[Any]) -> None:
        self._expect(State.LOGIN, "connection.tune")
        self.limits = self.limits.agreed(found)
        self._deliveries.room = self.limits.room
        self.say(0, methods.TUNE_OK, *self.limits.packed())
        self.say(0, methods.OPEN, methods.short_string(self._vhost), methods.short_string(""), methods.octet(0))
        self.state = State.VHOST

    def _opened(self, _: list[Any]) -> e.Event:
        self._expect(State.VHOST, "connection.open-ok")
        self.state = State.OPEN
        limits = self.limits
        return e.Opened(limits.heartbeat, limits.frame_max, limits.channel_max, self._server_properties)

    def _closed(self, found: list[Any]) -> e.Event:
        code, text, of_class, of_method = found
        before = self.state
        self.leave_all(State.CLOSED)
        self.say(0, methods.CLOSE_OK)
        if before in (State.HELLO, State.LOGIN, State.VHOST):
            tuning = (of_class << 16 | of_method) == methods.TUNE_OK
            return e.Refused(code, text, "tune" if tuning else "vhost" if before is State.VHOST else "login")
        return e.Closed(code, text, methods.name_of(of_class, of_method))

    def _close_agreed(self, _: list[Any]) -> e.Event:
        self._expect(State.CLOSING, "connection.close-ok")
        self.leave_all(State.CLOSED)
        return e.CloseOk()

    def _channel_opened(self, channel: int, _: list[Any]) -> e.Event:
        self.channels[channel] = ChannelState.OPEN
        self.usable.add(channel)
        return e.ChannelOpened(channel)

    def _channel_closed(self, channel: int, found: list[Any]) -> e.Event:
        code, text, of_class, of_method = found
        self.leave(channel)
        del self.channels[channel]
        self.say(channel, methods.CHANNEL_CLOSE_OK)
        return e.ChannelClosed(channel, code, text, methods.name_of(of_class, of_method))

    def _channel_close_agreed(self, channel: int, _: list[Any]) -> e.Event | None:
        if self.channels[channel] is not ChannelState.CLOSING:
            return None  # of a close that crossed the broker's own, after which the number was used again
        del self.channels[channel]
        return e.ChannelClosed(channel)

    def _flowing(self, channel: int, found: list[Any]) -> None:
        """Agree: it is publishing that the broker wants us to stop, and there is none."""
        self.say(channel, methods.FLOW_OK, methods.octet(found[0]))

    def _cancelled(self, channel: int, found: list[Any]) -> e.Event:
        # Whether an answer is wanted does not stand in the method: all brokers say no there (RabbitMQ 4.3.7).
        if handshake.can(self._server_properties, handshake.CANCEL_OK_WANTED):
            self.say(channel, methods.CANCEL_OK, methods.short_string(found[0]))
        return e.CancelledByServer(channel, found[0])
