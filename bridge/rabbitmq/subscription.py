"""What a consumer needs of a connection to RabbitMQ, whichever client speaks on it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from bridge.model import Delivery
from bridge.rabbitmq.options import ConnectionSettings

if TYPE_CHECKING:
    from bridge.rabbitmq.connection import Session

Arrived: TypeAlias = Callable[[list[Delivery]], None]
"""Told what came, in the broker's order. It does not wait and does not raise."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Place:
    """Which queue to consume, and how to get there."""

    connection: ConnectionSettings
    queue: str
    where: str  # in the settings
    prepare: Callable[[Session], Awaitable[None]] | None = None  # looks after the topology
    due: bool = False  # whether it holds our own copies that have come due


class Subscription(Protocol):
    """
    One connection, one channel, and at most one consumer at a time. It lives once.

    The token of each delivery is the pair of the subscription and the broker's tag for it. Every call ends within the
    limits of `bridge.rabbitmq.connection` and raises Disconnected, or ConfigError where a person must change something.
    """

    lost: asyncio.Future[str]
    """Done, with the reason, once it is of no further use."""

    @property
    def alive(self) -> bool:
        """Whether it still stands."""

    async def open(self) -> None:
        """Connect, look after the topology, and open the channel."""

    async def consume(self, width: int) -> None:
        """
        Have a consumer with this prefetch in place of the one before, or none for 0.

        A prefetch applies to new consumers only (quorum queues know no other), so each change means another one.
        """

    async def ack(self, up_to: int | None, singly: Sequence[int]) -> None:
        """Ack everything up to a tag in one go, and then some tags one by one. Calls keep their order."""

    async def give_back(self, tags: Sequence[int]) -> None:
        """Return deliveries to the queue."""

    async def depth(self) -> int:
        """How many deliveries the queue has ready."""

    def lose(self, reason: str) -> None:
        """Give this subscription up."""

    async def close(self) -> None:
        """Close, within `CLOSE_LIMIT` seconds and a moment. May be called twice, and unopened."""
