"""A queue of RabbitMQ as a source."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from bridge.core.ladder import DELIVERY_LIMIT, Ladder, Queue, safe_queue
from bridge.core.names import namespace_for
from bridge.rabbitmq.options import ConsumingSettings, TopologyMode, needs_client
from bridge.reconnecting import Reconnecting
from bridge.units import Duration, Size

if TYPE_CHECKING:
    from bridge.rabbitmq.connection import Session
    from bridge.rabbitmq.consumer import Consumer


class RabbitMQSourceSettings(ConsumingSettings):
    """A queue of RabbitMQ 3.10 or later."""

    type: Literal["rabbitmq"] = Field(description="Consume a queue of RabbitMQ.")
    queue: str = Field(min_length=1, max_length=255, description="The queue that publishers fill.")
    prefetch: int = Field(256, ge=1, le=65_535, description="Deliveries the broker hands out before any is settled.")
    prefetch_bytes: Size = Field(
        64 << 20, ge=1 << 20, description="Bytes of deliveries that are not settled, after which no more are taken in."
    )
    watchdog: Duration = Field(
        30.0,
        ge=0,
        description="Seconds without a delivery after which the broker is asked whether it has any; if so, the session "
        "is replaced. 0 turns this off, as a queue with a single active consumer needs.",
    )
    topology: TopologyMode = Field(
        "verify",
        description="The queue: `declare` it where it is missing (durable, quorum), `verify` that it is there, or "
        "trust that (`off`).",
    )
    dead_letter_exchange: str | None = Field(
        None,
        min_length=1,
        max_length=255,
        description="Where a queue declared here sends what was returned 100 times; by default the exchange of the "
        "route's dead letters.",
    )

    def build(self, route: str) -> Reconnecting:
        """Raises ConfigError where the client is not installed."""
        try:
            from bridge.rabbitmq.appetite import Appetite
            from bridge.rabbitmq.connection import checked_url
            from bridge.rabbitmq.consumer import Consumer
            from bridge.rabbitmq.subscription import Place
        except ImportError:
            raise needs_client(f"routes.{route}.source") from None
        where = f"routes.{route}.source"
        checked_url(self.url, where=where)

        place = Place(connection=self, queue=self.queue, where=where, prepare=self._prepare(route))

        def make(cautious: bool) -> Consumer:  # noqa: FBT001  the one thing a new session is told
            appetite = Appetite(self.prefetch, self.prefetch_bytes, cautious=cautious)
            return Consumer(place, appetite=appetite, client=self.client, watchdog=self.watchdog)

        return Reconnecting(make, name=f"{route}.source")

    def queue_to_declare(self, route: str) -> Queue:
        """The queue as the bridge would declare it: what was returned too often goes to the route's dead letters."""
        exchange = self.dead_letter_exchange or Ladder(namespace_for(route)).dead
        return Queue(self.queue, {**safe_queue(exchange), "x-delivery-limit": DELIVERY_LIMIT})

    def _prepare(self, route: str) -> Callable[[Session], Awaitable[None]] | None:
        if self.topology == "off":
            return None

        async def prepare(session: Session) -> None:
            from bridge.rabbitmq.topology import Topology, ensure

            await ensure(session, self.queue_to_declare(route), Topology(self.topology), where=f"routes.{route}.source")

        return prepare
