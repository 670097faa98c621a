"""The delay exchange on a stock RabbitMQ: binary levels of quorum queues, as `bridge.core.ladder` plans them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from bridge.core.ladder import WINDOW, Ladder, plan, routing_key
from bridge.model import Hold, Stage
from bridge.rabbitmq.options import (
    Client,
    ConnectionSettings,
    ConsumingSettings,
    SharedConnectionSettings,
    needs_client,
)
from bridge.reconnecting import Reconnecting

if TYPE_CHECKING:
    from bridge.rabbitmq.connection import Session
    from bridge.rabbitmq.consumer import Consumer

DUE_PREFETCH = 2_000  # what came back within the window before its time waits in the process, unsettled


class RabbitMQDelaySettings(SharedConnectionSettings):
    """Delays at a RabbitMQ, without any plugin."""

    type: Literal["rabbitmq"] = Field(description="Hold delayed events in queues of RabbitMQ.")
    client: Client | None = Field(
        None,
        description="What speaks AMQP for what comes due: `native` or `aio-pika`, by default as the source has it.",
    )

    def build(self, route: str, source: object = None, window: float = WINDOW) -> RabbitMQDelayLine:
        """
        Make the line. Raises ConfigError where the client is not installed.

        `source` is the settings of the route's source, whose broker is used unless there is a `url`. `window` is how
        many seconds before its time a copy may come back, to wait for the rest in the process.
        """
        connection, ladder = self.at(source, f"routes.{route}.delay"), Ladder(self.namespace_of(route))
        inherited = source.client if isinstance(source, ConsumingSettings) else "native"
        return RabbitMQDelayLine(
            connection,
            ladder,
            topology=self.topology,
            route=route,
            window=window,
            client=self.client or inherited,
        )


class RabbitMQDelayLine:
    """
    Publishes copies into the ladder, and consumes the queue at its foot.

    A wait that is longer than the ladder (48 days) goes round again: the copy comes back early, and whoever receives
    it holds it once more.
    """

    def __init__(
        self,
        connection: ConnectionSettings,
        ladder: Ladder,
        *,
        topology: str,
        route: str,
        window: float = WINDOW,
        client: Client = "native",
    ) -> None:
        """Raises ConfigError where the client is not installed."""
        where = f"routes.{route}.delay"
        try:
            from bridge.rabbitmq.appetite import Appetite
            from bridge.rabbitmq.connection import checked_url, connect
            from bridge.rabbitmq.consumer import Consumer
            from bridge.rabbitmq.publisher import Publisher
            from bridge.rabbitmq.subscription import Place
            from bridge.rabbitmq.topology import Topology, establish
        except ImportError:
            raise needs_client(where) from None
        checked_url(connection.url, where=where)
        self._ladder = ladder
        self._window = window

        async def session() -> Session:
            return await connect(
                connection.url,
                name=f"event-bridge {where}",
                where=where,
                heartbeat=connection.heartbeat,
                ca_file=connection.ca_file,
            )

        async def prepare(made: Session) -> None:
            # The due queue dead-letters into the dead letters' exchange, so that must be there too.
            items = [*ladder.dead_items(), *ladder.items()]
            await establish(made, items, Topology(topology), where=where)

        place = Place(connection=connection, queue=ladder.due, where=f"{where} (due)", due=True)

        def make(cautious: bool) -> Consumer:  # noqa: FBT001  the one thing a new session is told
            return Consumer(place, appetite=Appetite(DUE_PREFETCH, cautious=cautious), client=client)

        self._publisher = Publisher(session, prepare, where=where)
        self.due = Reconnecting(make, name=f"{route}.due")

    @property
    def connected(self) -> bool:
        """Whether the publishing session stands. It is rebuilt when something is to be held."""
        return self._publisher.connected

    @property
    def rebuilds(self) -> int:
        return max(0, self._publisher.rebuilds)

    async def open(self) -> None:
        await self._publisher.open()
        await self.due.open()

    async def close(self) -> None:
        await self.due.close()
        await self._publisher.close()

    async def hold(self, items: Sequence[Hold]) -> list[Exception | None]:
        from bridge.rabbitmq import wire
        from bridge.rabbitmq.publisher import Outgoing

        now = time.time()
        outgoing = []
        for item in items:
            steps = self._steps(item, now)
            outgoing.append(Outgoing(self._ladder.entry(steps), routing_key(steps), *wire.held(item)))
        return await self._publisher.publish(outgoing)

    def _steps(self, item: Hold, now: float) -> int:
        """
        Seconds for the ladder to hold it; 0 goes to the due queue at once, from where it is waited for in the process.

        A copy that comes from there found no room in the process. It takes the shortest level, although it may be a
        second late by that: or it would go round and round until it is due.
        """
        wait = item.ticket.due_at / 1000 - now
        shortest = 1 if wait > 0 and item.delivery.stage is Stage.DUE else 0
        return plan(wait, self._window) or shortest
