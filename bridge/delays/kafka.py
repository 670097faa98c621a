"""The delay line on Kafka: level topics, as `bridge.core.levels` plans them, which the bridge itself reads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from bridge import tasks
from bridge.core.levels import LEVELS, WINDOW, Levels, level_for, partition_at
from bridge.kafka.options import KafkaConnection, SharedKafkaConnection, needs_client
from bridge.model import Hold, Stage
from bridge.reconnecting import Reconnecting
from bridge.units import Size

if TYPE_CHECKING:
    from bridge.kafka.topics import Topic
    from bridge.kafka.wire import Record

# What is produced shares a request; no level needs it sooner. Seconds.
LINGER = 0.02
SAFE = 3  # replicas, from which on two of them must have what is confirmed


class KafkaDelaySettings(SharedKafkaConnection):
    """Delays at a Kafka."""

    type: Literal["kafka"] = Field(description="Hold delayed events in topics of Kafka, `<namespace>.delay.v1.*`.")
    partitions: int = Field(
        4,
        ge=1,
        le=1_000,
        description="Partitions of each of its topics, at their creation; at least as many as there are instances.",
    )
    replication_factor: int | None = Field(
        None,
        ge=1,
        le=32_767,
        description="Replicas of its topics, at their creation; by default the brokers' own number.",
    )
    group_instance_id: str | None = Field(
        None,
        min_length=1,
        max_length=249,
        pattern=r"^[A-Za-z0-9._-]+$",
        description="A name for this instance that outlives a restart; by default the source's.",
    )
    max_record_bytes: Size = Field(
        8 << 20,
        ge=32 << 10,
        le=1 << 30,
        description="How large a record its topics must take (max.message.bytes): the largest event, its headers and 1 "
        "KiB. What is larger cannot be held, and is buried.",
    )

    def build(self, route: str, source: object = None, window: float = WINDOW) -> KafkaDelayLine:
        """
        Make the line. Raises ConfigError where the client is not installed.

        `source` is the settings of the route's source, whose cluster is used unless another one is named.
        `window` is how many seconds before its time a copy may come back, to wait for the rest in the process.
        """
        connection, levels = self.at(source, f"routes.{route}.delay"), Levels(self.namespace_of(route))
        instance = self.group_instance_id or getattr(source, "group_instance_id", None)
        settings = self.model_copy(update={"group_instance_id": instance})
        return KafkaDelayLine(connection, settings, levels, route=route, window=window)


class KafkaDelayLine:
    """
    Puts copies into the longest level that fits, and reads all levels as one member of a group.

    However many wait, and for however long, only the next few of each partition are in the process. Nothing has to be
    read again when it starts, or when a partition moves to another instance.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        settings: KafkaDelaySettings,
        levels: Levels,
        *,
        route: str,
        window: float = WINDOW,
    ) -> None:
        """Raises ConfigError where the client is not installed."""
        where = f"routes.{route}.delay"
        try:
            from bridge.kafka.producer import Producer
            from bridge.kafka.ripening import Ripening, group_on, levels_session
            from bridge.kafka.sweeping import Sweep
            from bridge.kafka.topics import ensure, establish
        except ImportError:
            raise needs_client(where) from None
        topics = topics_of(levels, settings)

        async def prepare(admin: Any) -> None:
            await establish(admin, topics, settings.topology, where=where)

        def make(_cautious: bool) -> Ripening:  # noqa: FBT001  nobody counts how often Kafka hands something out
            below = levels_session(
                connection,
                levels,
                group,
                window=window,
                prepare=lambda: ensure(connection, topics, settings.topology, where=where),
                seen=seen,
                where=f"{where} (due)",
            )
            return Ripening(below, self._put, window=window, where=where)

        group = group_on(levels, settings.group_instance_id)
        seen: dict[Any, int] = {}
        self._levels = levels
        self._producer = Producer(connection, where=where, prepare=prepare, linger=LINGER)
        self.sweep = Sweep(connection, levels, where=where)
        self._sweeping: asyncio.Task[None] | None = None
        self.due = Reconnecting(make, name=f"{route}.due")

    @property
    def connected(self) -> bool:
        """Whether the producing session stands. It is rebuilt when something is to be held."""
        return self._producer.connected

    @property
    def rebuilds(self) -> int:
        return max(0, self._producer.rebuilds)

    async def open(self) -> None:
        await self._producer.open()
        await self.due.open()
        if self._sweeping is None:
            self._sweeping = asyncio.create_task(self.sweep.run(), name="sweep-levels")

    async def close(self) -> None:
        if self._sweeping is not None:
            await tasks.end(self._sweeping)
        await self.due.close()
        await self._producer.close()

    async def hold(self, items: Sequence[Hold]) -> list[Exception | None]:
        from bridge.kafka import wire

        now = time.time()
        return await self._put([(_level(item, now), wire.held(item)) for item in items])

    async def _put(self, copies: Sequence[tuple[int, Record]]) -> list[Exception | None]:
        """Write records to the levels of so many seconds. Raises Unavailable when nothing of it can be vouched for."""
        from bridge.kafka.producer import Outgoing

        now = time.time_ns() // 1_000_000
        places = {}
        for level in {level for level, _ in copies}:
            topic = self._levels.topic(level)
            places[level] = topic, partition_at(now, await self._producer.partitions(topic))
        return await self._producer.send(
            [Outgoing(places[level][0], *record, partition=places[level][1]) for level, record in copies]
        )


def _level(item: Hold, now: float) -> int:
    """
    Seconds of the level for a copy; 0 where it comes back at once, to wait for the rest in the process.

    A copy that was handed out before found no room in the process. It takes the shortest level, which it leaves when it
    is due: or it would go round and round until then.
    """
    wait = item.ticket.due_at / 1000 - now
    return level_for(wait, 1 if wait > 0 and item.delivery.stage is Stage.DUE else 0)


def topics_of(levels: Levels, settings: KafkaDelaySettings) -> list[Topic]:
    """The topics of the line as they have to be. Raises ImportError where there is no client."""
    from bridge.kafka.topics import BROKERS_DEFAULT, Topic

    replicas = settings.replication_factor or BROKERS_DEFAULT
    safe = {"min.insync.replicas": "2"} if replicas >= SAFE else {}
    return [
        Topic(
            name=levels.topic(level),
            partitions=settings.partitions,
            configs={**levels.configs(level, settings.max_record_bytes), **safe},
            takes=settings.max_record_bytes,
            replicas=replicas,
        )
        for level in LEVELS
    ]
