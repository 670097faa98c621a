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

from aiokafka import AIOKafkaProducer

from bridge.core.offsets import unpack
from bridge.devserver.app import DevServer
from bridge.devserver.settings import DevServerSettings
from devtools.kafka_lab import Committed, Lab, opened
from devtools.scratch import free_port
from tests.chaos.process import Bridge
from tests.chaos.road import AnyRoad, settings_of

Body = Mapping[str, object] | Sequence[object] | bytes
Record = tuple[Body, bytes | None, int | None]
"""A body, its key, its partition."""

AT_ONCE = 500  # publishes on their way


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
        async with self.producer() as producer:
            await self.send(producer, records, topic)

    @asynccontextmanager
    async def producer(self) -> AsyncIterator[AIOKafkaProducer]:
        """One that outlives what happens to the broker meanwhile, if there is one at the beginning and the end."""
        made = AIOKafkaProducer(bootstrap_servers=self.bootstrap, acks="all", enable_idempotence=True)
        async with opened(made) as producer:
            yield producer

    async def send(
        self, producer: AIOKafkaProducer, records: Iterable[Body | Record], topic: str | None = None
    ) -> None:
        items = [record if isinstance(record, tuple) else (record, None, None) for record in records]
        for start in range(0, len(items), AT_ONCE):
            sent = [
                await producer.send(topic or self.topic, as_bytes(body), key=key, partition=partition)
                for body, key, partition in items[start : start + AT_ONCE]
            ]
            await asyncio.gather(*sent)

    async def events(self, ids: Iterable[str], **more: Any) -> None:
        await self.publish([event(event_id, **more) for event_id in ids])

    async def depths(self) -> dict[str, int]:
        """
        How many records of each topic the bridge's groups have not done with, where there are any.

        A held copy may move from topic to topic while this looks, and be seen in neither. So what was written
        meanwhile counts as well.
        """
        async with Lab(self.bootstrap) as lab:
            before = await self._ends(lab)
            starts = await lab.all_starts(sorted({topic for topic, _ in before}))
            committed = await lab.committed(self.topic) | await lab.committed(self._levels)
            waiting = {part: _waiting(committed.get(part), starts[part], end) for part, end in before.items()}
            after = await self._ends(lab)
        depths: Counter[str] = Counter()
        for part, end in after.items():
            depths[part[0]] += waiting.get(part, 0) + end - before.get(part, 0)
        return {topic: depth for topic, depth in depths.items() if depth}

    @property
    def _levels(self) -> str:
        return f"{self.topic}.delay.v1"

    async def _ends(self, lab: Lab) -> dict[tuple[str, int], int]:
        levels = [name for name in await lab.topics() if name.startswith(self._levels)]
        return await lab.all_ends([self.topic, *levels])

    async def dead_letters(self) -> list[Any]:
        """Everything in the dead letters; it stays there."""
        async with Lab(self.bootstrap) as lab:
            return await lab.records(self.dead_topic) if self.dead_topic in await lab.topics() else []

    def another(self, folder: Path) -> Bridge:
        """One more bridge of the same group, with a store and a port of its own."""
        folder.mkdir()
        settings = self.bridge.settings
        admin = settings["admin"] | {"port": free_port()}
        store = {"type": "sqlite", "path": str(folder / "keys.db")}
        return replace(self.bridge, folder=folder, settings=settings | {"admin": admin, "store": store}, starts=0)


def _waiting(known: Committed | None, start: int, end: int) -> int:
    if known is None:
        return end - start
    return max(0, end - max(start, known.offset)) - len(unpack(known.offset, known.metadata))


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
    async with Lab(bootstrap) as lab:
        await lab.create_topic(topic, partitions)
    async with DevServer(api or DevServerSettings(port=0)) as server:
        source = {"type": "kafka", "bootstrap_servers": bootstrap, "topics": [topic], "group_id": topic}
        own = {"delay": {"namespace": topic}, "dead_letters": {"namespace": topic}}
        bridge = Bridge(folder, settings_of(folder, source, server) | own | settings)
        try:
            yield KafkaRoad(bridge=bridge, api=server, bootstrap=bootstrap, topic=topic)
        finally:
            if bridge.running:
                await bridge.kill()
