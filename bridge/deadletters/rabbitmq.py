"""Dead letters in a quorum queue of RabbitMQ, for any AMQP tool to look at."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from bridge.core.ladder import Ladder
from bridge.errors import Unavailable
from bridge.model import Burial
from bridge.rabbitmq.options import ConnectionSettings, SharedConnectionSettings, needs_client

if TYPE_CHECKING:
    from bridge.rabbitmq.connection import Session


class RabbitMQDeadLettersSettings(SharedConnectionSettings):
    """Dead letters at a RabbitMQ."""

    type: Literal["rabbitmq"] = Field(description="Bury into a queue of RabbitMQ.")

    def build(self, route: str, source: object = None) -> RabbitMQDeadLetters:
        """`source` is the settings of the route's source, whose broker is used unless there is a `url`."""
        where = f"routes.{route}.dead_letters"
        return RabbitMQDeadLetters(
            self.at(source, where), Ladder(self.namespace_of(route)), topology=self.topology, where=where
        )


class RabbitMQDeadLetters:
    """Publishes burials with confirms, to an exchange of their own and from there to one durable queue."""

    def __init__(self, connection: ConnectionSettings, ladder: Ladder, *, topology: str, where: str) -> None:
        """Raises ConfigError where the client is not installed."""
        try:
            from bridge.rabbitmq.connection import checked_url, connect
            from bridge.rabbitmq.publisher import Publisher
            from bridge.rabbitmq.topology import Topology, establish
        except ImportError:
            raise needs_client(where) from None
        checked_url(connection.url, where=where)
        self._exchange = ladder.dead

        async def session() -> Session:
            return await connect(
                connection.url,
                name=f"event-bridge {where}",
                where=where,
                heartbeat=connection.heartbeat,
                ca_file=connection.ca_file,
            )

        async def prepare(made: Session) -> None:
            await establish(made, ladder.dead_items(), Topology(topology), where=where)

        self._publisher = Publisher(session, prepare, where=where)

    @property
    def connected(self) -> bool:
        """Whether the publishing session stands. It is rebuilt when something is to be buried."""
        return self._publisher.connected

    @property
    def rebuilds(self) -> int:
        return max(0, self._publisher.rebuilds)

    async def open(self) -> None:
        await self._publisher.open()

    async def close(self) -> None:
        await self._publisher.close()

    async def bury(self, items: Sequence[Burial]) -> None:
        from bridge.rabbitmq import wire
        from bridge.rabbitmq.publisher import Outgoing

        now = time.time_ns() // 1_000_000
        outgoing = [Outgoing(self._exchange, "", *wire.buried(item, now)) for item in items]
        for error in await self._publisher.publish(outgoing):
            if error is not None:
                # It came from this broker, or one that took it: only a lowered limit can be the reason.
                raise Unavailable(f"the dead letters do not take an event: {error}")
