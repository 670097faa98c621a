"""Reads a topic from its beginning, in no group, and deletes what is done with; for people's tools."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition, errors
from aiokafka.admin import RecordsToDelete

from bridge.errors import ConfigError, Disconnected
from bridge.kafka import batches
from bridge.kafka.connection import CALL_LIMIT, client_options, close, limited, start
from bridge.kafka.options import KafkaConnection
from bridge.kafka.topics import administrator

log = logging.getLogger(__name__)

LOOK_MS: Final = 500  # how long one look for records waits


async def oldest(connection: KafkaConnection, topic: str, limit: int, *, where: str) -> list[Any]:
    """
    The oldest records, at most `limit`; by their time, but those of one partition always in their own order.

    Raises Disconnected or ConfigError.
    """
    async with _consumer(connection, where) as consumer:
        ends = {place: end for place, (begin, end) in (await _bounds(consumer, topic, where)).items() if begin < end}
        found = await _read(consumer, ends, limit, where) if ends else {}
    return list(heapq.merge(*found.values(), key=lambda record: record.timestamp))[:limit]


async def bounds(connection: KafkaConnection, topic: str, *, where: str) -> dict[int, tuple[int, int]]:
    """The first offset of each partition, and the one that its next record will have."""
    async with _consumer(connection, where) as consumer:
        return {place.partition: found for place, found in (await _bounds(consumer, topic, where)).items()}


async def delete(connection: KafkaConnection, topic: str, before: Mapping[int, int], *, where: str) -> None:
    """Delete what stands before an offset of each partition, for good. Raises Disconnected or ConfigError."""
    async with (
        administrator(connection, where=where) as admin,
        limited(f"deleting from topic {topic}", where=where),
    ):
        try:
            await admin.delete_records(
                {TopicPartition(topic, partition): RecordsToDelete(offset) for partition, offset in before.items()}
            )
        except errors.TopicAuthorizationFailedError:
            cure = f"Give this user the ACL Delete on topic {topic}"
            raise ConfigError(where, f"deleting from topic {topic} is forbidden", cure) from None


@asynccontextmanager
async def _consumer(connection: KafkaConnection, where: str) -> AsyncIterator[Any]:
    batches.install()
    options = client_options(connection, where=where, client_id=f"event-bridge {where} (reader)")
    consumer = AIOKafkaConsumer(**options, group_id=None, enable_auto_commit=False, auto_offset_reset="earliest")
    await start(consumer, where=where)
    try:
        yield consumer
    finally:
        await close(consumer, where=where)


async def _bounds(consumer: Any, topic: str, where: str) -> dict[TopicPartition, tuple[int, int]]:
    async with limited(f"looking at topic {topic}", where=where):
        metadata = await consumer._client.fetch_all_metadata()  # noqa: SLF001  asking for one could create it
        partitions = metadata.partitions_for_topic(topic)
        if not partitions:
            raise ConfigError(where, f"there is no topic {topic}", "Start the bridge once, which creates it")
        places = [TopicPartition(topic, partition) for partition in partitions]
        consumer.assign(places)
        begins, ends = await asyncio.gather(consumer.beginning_offsets(places), consumer.end_offsets(places))
        return {place: (begins[place], ends[place]) for place in places}


async def _read(
    consumer: Any, ends: Mapping[TopicPartition, int], limit: int, where: str
) -> dict[TopicPartition, list[Any]]:
    """Up to `limit` records of each partition, none behind where it ended when this began."""
    consumer.assign(list(ends))
    await consumer.seek_to_beginning(*ends)
    found: dict[TopicPartition, list[Any]] = {place: [] for place in ends}
    loop = asyncio.get_running_loop()
    deadline = loop.time() + CALL_LIMIT
    while open_places := [
        place for place, end in ends.items() if len(found[place]) < limit and _next(found[place]) < end
    ]:
        async with limited("reading", where=where):
            came = await consumer.getmany(*open_places, timeout_ms=LOOK_MS)
        for place, records in came.items():
            found[place] += [record for record in records if record.offset < ends[place]]
        if came:
            deadline = loop.time() + CALL_LIMIT
        elif loop.time() > deadline:
            raise Disconnected(f"topic {open_places[0].topic} says that it holds more than it hands out")
    return found


def _next(records: list[Any]) -> int:
    return records[-1].offset + 1 if records else -1
