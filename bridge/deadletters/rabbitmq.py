"""Dead letters in a quorum queue of RabbitMQ, for any AMQP tool to look at."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from bridge.core.ladder import Ladder
from bridge.errors import Unavailable
from bridge.model import Burial
from bridge.rabbitmq.options import ConnectionSettings, SharedConnectionSettings, needs_client

if TYPE_CHECKING:
    from aiormq.abc import AbstractChannel

    from bridge.rabbitmq.connection import Session

log = logging.getLogger(__name__)


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
        self._place = ladder.dead  # of the exchange and of the queue
        self._where = where

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
        self._connect = session

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
        results = await self._publisher.publish([Outgoing(self._place, "", *wire.buried(item, now)) for item in items])
        for item, error in zip(items, results, strict=True):
            left = error
            if error is not None and item.delivery.position is not None:
                # A record of Kafka may be larger than what this broker takes; the whole of it stays in its topic.
                [left] = await self._publisher.publish([Outgoing(self._place, "", *wire.stub(item, now))])
                log.warning(
                    "dead_letter_truncated", extra={"position": item.delivery.position, "bytes": len(item.body)}
                )
            if left is not None:
                # It came from this broker, or one that took it: only a lowered limit can be the reason.
                raise Unavailable(f"the dead letters do not take an event: {left}")

    async def browse(self, limit: int) -> list[Burial]:
        """The oldest ones, which stay: a look counts as a return, of which this queue allows a billion."""
        async with self._reading() as channel:
            return [burial for _, burial in await self._get(channel, limit)]

    @asynccontextmanager
    async def take(self, limit: int) -> AsyncIterator[list[Burial]]:
        """The oldest ones, which are gone when the block ends without an exception, and stay otherwise."""
        from bridge.rabbitmq.connection import limited

        async with self._reading() as channel:
            taken = await self._get(channel, limit)
            yield [burial for _, burial in taken]
            if taken:
                async with limited(f"settling in {self._place}", where=self._where):
                    await channel.basic_ack(taken[-1][0], multiple=True)

    async def purge(self) -> int:
        """Delete all; return how many there were."""
        from bridge.rabbitmq.connection import limited

        async with self._reading() as channel, limited(f"purging {self._place}", where=self._where):
            return int((await channel.queue_purge(self._place)).message_count or 0)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AbstractChannel]:
        """A channel of a connection of its own; what was got on it and not settled goes back when it closes."""
        session = await self._connect()
        try:
            async with session.scratch() as channel:
                yield channel
        finally:
            await session.close()

    async def _get(self, channel: AbstractChannel, limit: int) -> list[tuple[int, Burial]]:
        from bridge.rabbitmq import wire
        from bridge.rabbitmq.connection import limited

        got: list[tuple[int, Burial]] = []
        while len(got) < limit:
            async with limited(f"reading {self._place}", where=self._where):
                received = await channel.basic_get(self._place)
            if received.delivery_tag is None:
                break
            got.append((received.delivery_tag, wire.exhumed(received, f"rabbitmq:{self._place}")))
        return got
