"""A road from a real Kafka."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from bridge.core.offsets import unpack

from bridge.devserver.app import DevServer
from bridge.devserver.settings import DevServerSettings
from devtools.scratch import free_port
from tests.chaos.process import Bridge
from tests.chaos.road import AnyRoad, settings_of

Body = Mapping[str, object] | Sequence[object] | bytes
Record = tuple[Body, bytes | None, int | None]
"""A body, its key, its partition."""

AT_ONCE = 500  # publishes on their way
LOOK_LIMIT = 10_000  # ms for a question to a broker that may be down


def event(event_id: str, *, name: str = "user.created", **more: Any) -> dict[str, object]:
    """An Inngest-shaped event."""
    return {"id": event_id, "name": name, "data": {"n": event_id}, **more}


@dataclass(kw_only=True)
class KafkaRoad(AnyRoad):
    """Topic, bridge and event API of one test. The namespace is the name of the topic: a node is shared."""

    bootstrap: str
    topic: str

    @property
    def dead_topic(self) -> str:
        return f"{self.topic}.dead.v1"

    async def publish(self, records: Iterable[Body | Record], topic: str | None = None) -> None:
        """Publish; what this has returned for, the broker has taken."""
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, acks="all", enable_idempotence=True)
        await producer.start()
        try:
            items = [record if isinstance(record, tuple) else (record, None, None) for record in records]
            for start in range(0, len(items), AT_ONCE):
                sent = [
                    await producer.send(topic or self.topic, as_bytes(body), key=key, partition=partition)
                    for body, key, partition in items[start : start + AT_ONCE]
                ]
                await asyncio.gather(*sent)
        finally:
            await producer.stop()

    async def events(self, ids: Iterable[str], **more: Any) -> None:
        await self.publish([event(event_id, **more) for event_id in ids])

    async def depths(self) -> dict[str, int]:
        """How many records of each topic the bridge's groups have not done with, where there are any."""
        waiting: Counter[str] = Counter()
        async with self._looking() as (admin, consumer):
            topics = await consumer.topics()
            levels = f"{self.topic}.delay.v1"
            waiting.update(await _waiting(admin, consumer, self.topic, [self.topic]))
            own = [topic for topic in topics if topic.startswith(f"{levels}.")]
            waiting.update(await _waiting(admin, consumer, levels, own))
        return {topic: count for topic, count in waiting.items() if count}

    async def dead_letters(self) -> list[Any]:
        """Everything in the dead letters; it stays there."""
        async with self._looking() as (_, consumer):
            if self.dead_topic not in await consumer.topics():
                return []
            partitions = [TopicPartition(self.dead_topic, n) for n in consumer.partitions_for_topic(self.dead_topic)]
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            ends = await consumer.end_offsets(partitions)
            found: list[Any] = []
            async with asyncio.timeout(30):
                while any(await consumer.position(tp) < end for tp, end in ends.items()):
                    for records in (await consumer.getmany(timeout_ms=200)).values():
                        found += records
            return found

    def another(self, folder: Path) -> Bridge:
        """One more bridge of the same group, with a store and a port of its own."""
        folder.mkdir()
        settings = self.bridge.settings
        admin = settings["admin"] | {"port": free_port()}
        store = {"type": "sqlite", "path": str(folder / "keys.db")}
        return replace(self.bridge, folder=folder, settings=settings | {"admin": admin, "store": store}, starts=0)

    @asynccontextmanager
    async def _looking(self) -> AsyncIterator[tuple[AIOKafkaAdminClient, AIOKafkaConsumer]]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap, request_timeout_ms=LOOK_LIMIT)
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, auto_offset_reset="earliest")
        await admin.start()
        await consumer.start()
        try:
            yield admin, consumer
        finally:
            await consumer.stop()
            await admin.close()


async def _waiting(admin: Any, consumer: Any, group: str, topics: Sequence[str]) -> Counter[str]:
    partitions = [TopicPartition(topic, n) for topic in topics for n in consumer.partitions_for_topic(topic)]
    if not partitions:
        return Counter()
    ends = await consumer.end_offsets(partitions)
    starts = await consumer.beginning_offsets(partitions)
    committed = await admin.list_consumer_group_offsets(group)
    waiting: Counter[str] = Counter()
    for tp in partitions:
        known = committed.get(tp)
        offset = known.offset if known is not None and known.offset >= 0 else starts[tp]
        done = unpack(offset, known.metadata or "") if known is not None else frozenset()
        waiting[tp.topic] += max(0, ends[tp] - max(offset, starts[tp])) - len(done)
    return waiting


def as_bytes(body: Body) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


@asynccontextmanager
async def kafka_road(
    folder: Path,
    bootstrap: str,
    topic: str,
    *,
    partitions: int = 4,
    api: DevServerSettings | None = None,
    **settings: Any,
) -> AsyncIterator[KafkaRoad]:
    """Set up a road: source topic, event API, and a bridge that is not started yet. `settings` are its top level."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, partitions, 1)])
    await admin.close()
    async with DevServer(api or DevServerSettings(port=0)) as server:
        source = {"type": "kafka", "bootstrap_servers": bootstrap, "topics": [topic], "group_id": topic}
        own = {"delay": {"namespace": topic}, "dead_letters": {"namespace": topic}}
        bridge = Bridge(folder, settings_of(folder, source, server) | own | settings)
        try:
            yield KafkaRoad(bridge=bridge, api=server, bootstrap=bootstrap, topic=topic)
        finally:
            if bridge.running:
                await bridge.kill()
