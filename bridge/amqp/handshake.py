"""How a connection begins: who we are, what we can, and the limits that both sides agree on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bridge.amqp import methods
from bridge.amqp.frames import OVERHEAD, ProtocolError

LOCALE: Final = "en_US"  # the one that every broker has, section 1.4.2.2 of the reference
LEAST_FRAME_MAX: Final = 4_096  # bytes; the specification's `frame-min-size`
CAPABILITIES: Final = {
    "authentication_failure_close": True,  # a wrong password is said, not shown by a cut socket
    "basic.nack": True,
    "connection.blocked": True,
    "consumer_cancel_notify": True,
}
CANCEL_OK_WANTED: Final = "accept_consumer_cancel_ok"
"""Brokers with this capability (RabbitMQ from 4.3.7 on) wait for an answer to their cancel; others choke on it."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A user and a password."""

    user: str
    password: str = field(repr=False)

    mechanism = "PLAIN"

    def response(self) -> bytes:
        return b"\0%b\0%b" % (self.user.encode(), self.password.encode())


@dataclass(frozen=True, slots=True)
class External:
    """Whoever the certificate of our TLS connection says we are."""

    mechanism = "EXTERNAL"

    def response(self) -> bytes:
        return b""


Login = Plain | External


@dataclass(frozen=True, slots=True)
class Limits:
    """What one side proposes, or both agreed on."""

    channel_max: int  # the highest number of a channel
    frame_max: int  # bytes
    heartbeat: int  # seconds; 0 for none

    @property
    def room(self) -> int:
        """Bytes that a frame may carry."""
        return self.frame_max - OVERHEAD

    def agreed(self, theirs: Sequence[int]) -> Limits:
        """
        Find the lower of both limits, where 0 is none (section 1.4.2.6 of the reference).

        That holds for heartbeats too, as in RabbitMQ's own clients: who asks for the shorter interval gets it. Raises
        ProtocolError for frames that are too small to speak in.
        """
        channels, frames, seconds = theirs
        if 0 < frames < LEAST_FRAME_MAX:
            raise ProtocolError(f"the broker proposes frames of at most {frames} bytes, less than {LEAST_FRAME_MAX:,}")
        return Limits(
            _lower(self.channel_max, channels), _lower(self.frame_max, frames), _lower(self.heartbeat, seconds)
        )

    def packed(self) -> tuple[bytes, bytes, bytes]:
        return methods.short(self.channel_max), methods.long(self.frame_max), methods.short(self.heartbeat)


def _lower(ours: int, theirs: int) -> int:
    return min(ours, theirs) if ours and theirs else max(ours, theirs)


def start_ok(login: Login, properties: Mapping[str, str]) -> bytes:
    """Encode our answer to the broker's first method. `properties` are what operators see in its list."""
    return methods.method(
        0,
        methods.START_OK,
        methods.field_table({**properties, "capabilities": CAPABILITIES}),
        methods.short_string(login.mechanism),
        methods.long_string(login.response()),
        methods.short_string(LOCALE),
    )


def can(server_properties: Mapping[str, object], capability: str) -> bool:
    """Whether a broker says that it has this capability."""
    found = server_properties.get("capabilities")
    return isinstance(found, Mapping) and found.get(capability) is True
