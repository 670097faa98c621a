"""Dead letters in a topic of Kafka, one a route, for any tool of Kafka's to look at."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from bridge.errors import Unavailable
from bridge.kafka.options import KafkaConnection, SharedKafkaConnection, TopologyMode, needs_client
from bridge.model import Burial
from bridge.units import Size

if TYPE_CHECKING:
    from bridge.kafka.topics import Topic

log = logging.getLogger(__name__)

LEAST_KEPT = 7 * 86_400_000  # ms that a topic which was there before must keep its records


class KafkaDeadLettersSettings(SharedKafkaConnection):
    """Dead letters at a Kafka."""

    type: Literal["kafka"] = Field(description="Bury into a topic of Kafka, `<namespace>.dead.v1`.")
    max_record_bytes: Size = Field(
        8 << 20,
        ge=32 << 10,
        le=1 << 30,
        description="How large a record its topic must take, after compression (max.message.bytes). Of a larger one "
        "that came from Kafka the beginning is buried; one from elsewhere waits until the topic takes more.",
    )
    replication_factor: int | None = Field(
        None, ge=1, le=32_767, description="Replicas of its topic, at its creation; by default the brokers' own number."
    )

    def build(self, route: str, source: object = None) -> KafkaDeadLetters:
        """`source` is the settings of the route's source, whose cluster is used unless another one is named."""
        where = f"routes.{route}.dead_letters"
        try:
            topic = self.topic(route)
        except ImportError:
            raise needs_client(where) from None
        return KafkaDeadLetters(self.at(source, where), topic, topology=self.topology, where=where)

    def topic(self, route: str) -> Topic:
        """The topic of the route's dead letters as it has to be. Raises ImportError where there is no client."""
        from bridge.kafka.topics import BROKERS_DEFAULT, Topic

        return Topic(
            name=f"{self.namespace_of(route)}.dead.v1",
            keeps_ms=LEAST_KEPT,
            takes=self.max_record_bytes,
            replicas=self.replication_factor or BROKERS_DEFAULT,
        )


class KafkaDeadLetters:
    """Sends burials to a topic with one partition, so that they stay in their order, where nothing ever expires."""

    def __init__(self, connection: KafkaConnection, topic: Topic, *, topology: TopologyMode, where: str) -> None:
        from bridge.kafka.producer import Producer
        from bridge.kafka.topics import establish

        async def prepare(admin: Any) -> None:
            await establish(admin, [topic], topology, where=where)

        self._connection = connection
        self._topic = topic.name
        self._where = where
        self._producer = Producer(connection, where=where, prepare=prepare, compression="zstd")

    @property
    def connected(self) -> bool:
        """Whether the session stands. It is rebuilt when something is to be buried."""
        return self._producer.connected

    @property
    def rebuilds(self) -> int:
        return max(0, self._producer.rebuilds)

    async def open(self) -> None:
        await self._producer.open()

    async def close(self) -> None:
        await self._producer.close()

    async def bury(self, items: Sequence[Burial]) -> None:
        from bridge.kafka import wire
        from bridge.kafka.producer import Outgoing

        now = time.time_ns() // 1_000_000
        results = await self._producer.send([Outgoing(self._topic, *wire.buried(item, now)) for item in items])
        for item, error in zip(items, results, strict=True):
            if error is not None:
                await self._bury_the_beginning(item, now, error)

    async def _bury_the_beginning(self, item: Burial, now: int, error: Exception) -> None:
        """
        Bury what fits of an event that does not, where the whole of it stays in the topic that it came from.

        Elsewhere nothing of it would stay, so nothing is settled: raises Unavailable until the topic takes it.
        """
        from bridge.kafka import wire
        from bridge.kafka.producer import Outgoing, TooLarge

        left: Exception | None = error
        if isinstance(error, TooLarge) and item.delivery.position is not None:
            [left] = await self._producer.send([Outgoing(self._topic, *wire.stub(item, now, error.limit))])
        if left is not None:
            raise Unavailable(f"the dead letters do not take an event: {left}")
        details = {"event_id": item.event_id, "position": item.delivery.position, "bytes": len(item.body)}
        log.warning("dead_letter_truncated", extra={"part": self._where, **details})

    async def browse(self, limit: int) -> list[Burial]:
        """The oldest ones, which stay. No group reads them, so nobody else is disturbed."""
        return [burial for _, burial in await self._oldest(limit)]

    @asynccontextmanager
    async def take(self, limit: int) -> AsyncIterator[list[Burial]]:
        """
        The oldest ones, which are deleted when the block ends without an exception, and stay otherwise.

        Nothing keeps a second taker from getting the same ones at the same time. Raises ConfigError before it hands out
        any, where deleting is forbidden.
        """
        from bridge.kafka.reader import delete

        taken = await self._oldest(limit)
        first = {record.partition: record.offset for record, _ in reversed(taken)}
        behind = {record.partition: record.offset + 1 for record, _ in taken}
        if taken:
            await delete(self._connection, self._topic, first, where=self._where)  # none yet, to see whether we may
        yield [burial for _, burial in taken]
        if taken:
            await delete(self._connection, self._topic, behind, where=self._where)

    async def purge(self) -> int:
        """Delete all; return how many there were."""
        from bridge.kafka.reader import bounds, delete

        found = await bounds(self._connection, self._topic, where=self._where)
        filled = {partition: end for partition, (begin, end) in found.items() if begin < end}
        if filled:
            await delete(self._connection, self._topic, filled, where=self._where)
        return sum(end - begin for begin, end in found.values())

    async def _oldest(self, limit: int) -> list[tuple[Any, Burial]]:
        from bridge.kafka.reader import oldest
        from bridge.kafka.wire import exhumed

        records = await oldest(self._connection, self._topic, limit, where=self._where)
        return [(record, exhumed(record)) for record in records]
