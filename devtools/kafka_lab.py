"""What tests see of a Kafka broker and do to it from outside, by the client that the bridge uses too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError, for_code
from aiokafka.protocol.admin import DeleteGroupsRequest

from bridge.kafka.ending import close, noted

LIMIT = 20.0
"""Seconds for each call, of which most take some milliseconds."""

Headers = Sequence[tuple[str, bytes | None]]

C = TypeVar("C", AIOKafkaConsumer, AIOKafkaProducer, AIOKafkaAdminClient)


@asynccontextmanager
async def opened(client: C) -> AsyncIterator[C]:
    """
    A client that has started, and of which nothing is left afterwards, whatever happens; its own `async with` leaks.

    Raises KafkaError or TimeoutError.
    """
    noted(client)
    try:
        async with asyncio.timeout(LIMIT):
            await client.start()
        yield client
    finally:
        await close(client, where="lab", limit=LIMIT)


@dataclass(frozen=True)
class Committed:
    """What a group has stored of a partition."""

    offset: int
    metadata: str


class Lab:
    """
    A view of one broker, open within `async with`.

    All calls have a time limit (TimeoutError) and raise KafkaError where the broker refuses. Further arguments are
    those of aiokafka's clients, for instance for TLS.
    """

    def __init__(self, bootstrap: str, **client: Any) -> None:
        self._client = {"bootstrap_servers": bootstrap, "client_id": "lab", **client}
        self._admin = AIOKafkaAdminClient(**self._client)
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._open.enter_async_context(opened(self._admin))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def _within(self, call: Awaitable[Any]) -> Any:
        return await asyncio.wait_for(call, LIMIT)

    async def create_topic(
        self, name: str, partitions: int = 1, configs: Mapping[str, str] | None = None, *, replication: int = 1
    ) -> str:
        """Create a topic, wait until its partitions can be used, and return its name."""
        topic = NewTopic(name, partitions, replication, topic_configs=dict(configs or {}))
        self._check(await self._within(self._admin.create_topics([topic])))
        await self.until(lambda: self._has(name, partitions), f"{name} has {partitions} partitions")
        return name

    async def delete_topic(self, *names: str) -> None:
        """Delete topics, and wait until they are gone."""
        self._check(await self._within(self._admin.delete_topics(list(names))))

        async def gone() -> bool:
            return not set(names) & set(await self.topics())

        await self.until(gone, f"{names} are deleted")

    async def topics(self) -> list[str]:
        """Return the names of all topics but Kafka's own."""
        names = await self._within(self._admin.list_topics())
        return [name for name in names if not name.startswith("__")]

    async def add_partitions(self, topic: str, total: int) -> None:
        """Let a topic have that many partitions, and wait until they can be used."""
        await self._within(self._admin.create_partitions({topic: NewPartitions(total)}))
        await self.until(lambda: self._has(topic, total), f"{topic} has {total} partitions")

    async def partitions(self, topic: str) -> list[TopicPartition]:
        """Return the partitions of a topic, in order. Raises KafkaError where there is no such topic."""
        numbers = [part["partition"] for part in await self._described(topic)]
        if not numbers:
            raise UnknownTopicOrPartitionError(topic)
        return [TopicPartition(topic, number) for number in sorted(numbers)]

    async def configs(self, topic: str) -> dict[str, str | None]:
        """Return all settings of a topic, those that nobody set too."""
        asked = [ConfigResource(ConfigResourceType.TOPIC, topic)]
        (answer,) = await self._within(self._admin.describe_configs(asked))
        ((code, text, _, _, entries),) = answer.resources
        if code:
            raise for_code(code)(text)
        return {entry[0]: entry[1] for entry in entries}

    async def configure(self, topic: str, configs: Mapping[str, str]) -> None:
        """Let a topic have these settings, and no others of its own."""
        asked = [ConfigResource(ConfigResourceType.TOPIC, topic, configs=dict(configs))]
        for answer in await self._within(self._admin.alter_configs(asked)):
            for code, text, *_ in answer.resources:
                if code:
                    raise for_code(code)(text)

    async def produce(
        self,
        topic: str,
        values: Sequence[bytes | None],
        *,
        keys: Sequence[bytes | None] | None = None,
        headers: Headers = (),
        partition: int | None = None,
        timestamp_ms: int | None = None,
        **producer: Any,
    ) -> list[tuple[int, int]]:
        """
        Write records, all with the same headers, and return the (partition, offset) of each once they are safe.

        `producer` are arguments of aiokafka's producer, for instance compression_type="zstd".
        """
        settings: dict[str, Any] = {"acks": "all", "linger_ms": 5, **self._client, **producer}
        async with opened(AIOKafkaProducer(**settings)) as sender:
            waiting = [
                await sender.send(topic, value, key, partition, timestamp_ms, list(headers))
                for value, key in zip(values, keys or [None] * len(values), strict=True)
            ]
            done = await self._within(asyncio.gather(*waiting))
        return [(record.partition, record.offset) for record in done]

    async def records(self, topic: str) -> list[Any]:
        """Return all records (aiokafka's ConsumerRecord) that a topic holds now, partition by partition."""
        ends = await self.ends(topic)
        async with opened(AIOKafkaConsumer(**self._client, auto_offset_reset="earliest")) as reader:
            parts = [TopicPartition(topic, number) for number in ends]
            reader.assign(parts)
            found: list[Any] = []
            deadline = time.monotonic() + LIMIT
            while parts := [part for part in parts if await self._within(reader.position(part)) < ends[part.partition]]:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{topic} could not be read within {LIMIT} s")
                for batch in (await reader.getmany(*parts, timeout_ms=500)).values():
                    found += batch
        return sorted(found, key=lambda record: (record.partition, record.offset))

    async def ends(self, topic: str) -> dict[int, int]:
        """Return the offset that each partition's next record will have."""
        return {number: offset for (_, number), offset in (await self.all_ends([topic])).items()}

    async def all_ends(self, topics: Sequence[str]) -> dict[tuple[str, int], int]:
        """Return that offset of many topics' partitions, by (topic, partition)."""
        return await self._offsets(topics, "end_offsets")

    async def starts(self, topic: str) -> dict[int, int]:
        """Return the offset of each partition's first record that is still there."""
        return {number: offset for (_, number), offset in (await self.all_starts([topic])).items()}

    async def all_starts(self, topics: Sequence[str]) -> dict[tuple[str, int], int]:
        """Return that offset of many topics' partitions, by (topic, partition)."""
        return await self._offsets(topics, "beginning_offsets")

    async def _offsets(self, topics: Sequence[str], which: str) -> dict[tuple[str, int], int]:
        parts = [part for topic in topics for part in await self.partitions(topic)]
        async with opened(AIOKafkaConsumer(**self._client)) as reader:
            found = await self._within(getattr(reader, which)(parts))
        return {(part.topic, part.partition): offset for part, offset in found.items()}

    async def delete_records(self, topic: str, before: Mapping[int, int]) -> None:
        """Delete, by partition, the records before an offset; -1 deletes all."""
        wanted = {TopicPartition(topic, number): RecordsToDelete(offset) for number, offset in before.items()}
        await self._within(self._admin.delete_records(wanted))

    async def groups(self) -> list[str]:
        """Return the names of all consumer groups."""
        return [name for name, *_ in await self._within(self._admin.list_consumer_groups())]

    async def members(self, group: str) -> int:
        """Return how many consumers a group has, 0 where there is no such group."""
        (answer,) = await self._within(self._admin.describe_consumer_groups([group]))
        return sum(len(found[5]) for found in answer.groups)

    async def committed(self, group: str) -> dict[tuple[str, int], Committed]:
        """Return what a group has committed, by (topic, partition)."""
        found = await self._within(self._admin.list_consumer_group_offsets(group))
        return {(part.topic, part.partition): Committed(at.offset, at.metadata) for part, at in found.items()}

    async def delete_group(self, *names: str) -> None:
        """Delete consumer groups. Raises KafkaError where one has members."""
        for name in names:
            coordinator = await self._within(self._admin.find_coordinator(name))
            request = DeleteGroupsRequest([name])
            answer = await self.ask(request, coordinator)
            for _, code in answer.results:
                if code:
                    raise for_code(code)(name)

    async def ask(self, request: Any, node: int | None = None) -> Any:
        """Send a request that the admin client has no method for, by default to any broker, and return the answer."""
        return await self._within(self._admin._send_request(request, node))  # noqa: SLF001  there is no other way

    async def until(self, condition: Callable[[], Awaitable[bool]], what: str) -> None:
        """Look every 20 ms until it is so. Raises TimeoutError, naming `what`."""
        deadline = time.monotonic() + LIMIT
        while not await condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: not within {LIMIT} s")
            await asyncio.sleep(0.02)

    async def _has(self, topic: str, partitions: int) -> bool:
        usable = [part for part in await self._described(topic) if part["error_code"] == 0 and part["leader"] >= 0]
        return len(usable) == partitions

    async def _described(self, topic: str) -> list[dict[str, int]]:
        """Return what is known of each partition. All topics are asked for: asking for an absent one may create it."""
        found = await self._within(self._admin.describe_topics())
        return [part for each in found if each["topic"] == topic for part in each["partitions"]]

    def _check(self, answer: Any) -> None:
        """Raise what the admin client keeps silent about: the errors by topic."""
        for field in ("topic_errors", "topic_error_codes"):
            for topic, code, *_ in getattr(answer, field, ()):
                if code:
                    raise for_code(code)(topic)


def sweep(bootstrap: str) -> bool:
    """
    Delete all topics and groups, and tell whether that worked: not where a group still has a member. Blocks.

    Groups go first: a consumer whose topic is gone may try for ever to commit what it has read of it.
    """

    async def delete_all() -> None:
        async with Lab(bootstrap) as lab:
            await lab.delete_group(*await lab.groups())
            if topics := await lab.topics():
                await lab.delete_topic(*topics)

    try:
        asyncio.run(delete_all())
    except (KafkaError, TimeoutError):
        return False
    return True
