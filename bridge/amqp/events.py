"""
What a connection tells its caller, in the order in which the broker said it.

A delivery is a NamedTuple, since there are many; the rest are frozen dataclasses. Texts of the broker are UTF-8 with
what is none escaped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Delivered(NamedTuple):
    """One delivery, whole."""

    channel: int
    consumer_tag: str
    delivery_tag: int
    redelivered: bool
    exchange: str
    routing_key: str
    body: bytes
    properties: bytes
    """The property flags and list of the content header, as they came: `bridge.amqp.properties` reads them."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The connection is open, and channels may be opened. Both sides agreed on these limits."""

    heartbeat: int  # seconds; 0 for none
    frame_max: int  # bytes
    channel_max: int  # the highest number of a channel
    server_properties: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Refused:
    """
    The broker did not open the connection; it is over.

    `during` is the step that it refused: `login` (who we are), `tune` (the limits) or `vhost`. The code is AMQP's, 403
    for a wrong password, 530 for a virtual host that is not there or not ours; 0 when it was not even asked, since it
    takes no login of our kind.
    """

    code: int
    text: str
    during: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The broker closed the connection; its close is answered already."""

    code: int
    text: str
    during: str  # the method that it objects to, "basic.ack"; "" for none


@dataclass(frozen=True, slots=True)
class CloseOk:
    """The broker agreed to our close."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """The broker takes no publishes of this connection."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unblocked:
    """The broker takes publishes again."""


@dataclass(frozen=True, slots=True)
class ChannelOpened:
    channel: int


@dataclass(frozen=True, slots=True)
class ChannelClosed:
    """A channel is gone, by the broker's will, or by ours: then the code is 0. Its number may be used again."""

    channel: int
    code: int = 0
    text: str = ""
    during: str = ""  # the method that the broker objects to, "basic.consume"; "" for none


@dataclass(frozen=True, slots=True)
class PrefetchSet:
    channel: int


@dataclass(frozen=True, slots=True)
class Consuming:
    """Deliveries for this consumer may come from now on."""

    channel: int
    consumer_tag: str


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The consumer that we cancelled gets nothing any more. What it got before is still ours to settle."""

    channel: int
    consumer_tag: str


@dataclass(frozen=True, slots=True)
class CancelledByServer:
    """The broker ended the consumer: its queue is deleted or moved."""

    channel: int
    consumer_tag: str


@dataclass(frozen=True, slots=True)
class QueueFound:
    """The answer to a passive declaration."""

    channel: int
    queue: str
    ready: int  # deliveries that wait in the queue
    consumers: int


Event = (
    Delivered
    | Opened
    | Refused
    | Closed
    | CloseOk
    | Blocked
    | Unblocked
    | ChannelOpened
    | ChannelClosed
    | PrefetchSet
    | Consuming
    | Cancelled
    | CancelledByServer
    | QueueFound
)
