"""A queue of RabbitMQ as a source."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from bridge.core.ladder import DELIVERY_LIMIT, Queue
from bridge.rabbitmq.options import ConnectionSettings, TopologyMode, needs_client
from bridge.reconnecting import Reconnecting

if TYPE_CHECKING:
    from bridge.rabbitmq.connection import Session
    from bridge.rabbitmq.consumer import Consumer


class RabbitMQSourceSettings(ConnectionSettings):
    """A queue of RabbitMQ 3.10 or later."""

    type: Literal["rabbitmq"] = Field(description="Consume a queue of RabbitMQ.")
    queue: str = Field(min_length=1, max_length=255, description="The queue that publishers fill.")
    prefetch: int = Field(256, ge=1, le=65_535, description="Deliveries the broker hands out before any is settled.")
    topology: TopologyMode = Field(
        "verify",
        description="The queue: `declare` it (durable, quorum), `verify` that it is there, or trust that (`off`).",
    )

    def build(self, route: str) -> Reconnecting:
        """Raises ConfigError where the client is not installed."""
        try:
            from bridge.rabbitmq.connection import checked_url
            from bridge.rabbitmq.consumer import Consumer
        except ImportError:
            raise needs_client(f"routes.{route}.source") from None
        where = f"routes.{route}.source"
        checked_url(self.url, where=where)

        def make(cautious: bool) -> Consumer:  # noqa: FBT001  the one thing a new session is told
            prefetch = 1 if cautious else self.prefetch
            return Consumer(self, self.queue, prefetch=prefetch, where=where, prepare=self._prepare(where))

        return Reconnecting(make, name=f"{route}.source")

    def queue_to_declare(self) -> Queue:
        """The queue as the bridge would declare it."""
        return Queue(self.queue, {"x-queue-type": "quorum", "x-delivery-limit": DELIVERY_LIMIT})

    def _prepare(self, where: str) -> Callable[[Session], Awaitable[None]]:
        async def prepare(session: Session) -> None:
            from bridge.rabbitmq.topology import Topology, establish

            await establish(session, [self.queue_to_declare()], Topology(self.topology), where=where)

        return prepare
