"""
Notices that a topic was deleted and made anew under its old name.

Offsets count from the beginning again then. While the new log is shorter than what was read of the old one, the client
notices by itself; once it is as long, it would read on in the middle, and skip what stands before (aiokafka 0.14.0).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final, Protocol

from aiokafka import TopicPartition

from bridge.errors import ConfigError, Disconnected
from bridge.kafka.connection import limited
from bridge.kafka.identity import topic_ids
from bridge.kafka.membership import Membership

log = logging.getLogger(__name__)

LOOK_EVERY: Final = 2.0  # seconds; what is read of a new log within them is read once more


class Books(Protocol):
    """What a session is told."""

    def restart(self, place: TopicPartition, begin: int) -> None:
        """A partition begins anew at this offset: nothing that was known of it counts any more."""

    def expected(self, place: TopicPartition) -> int | None:
        """The offset that is to be read next; None where the partition is not ours."""


class Renewal:
    """Looks at the ids of our topics."""

    def __init__(self, member: Membership, books: Books, *, where: str) -> None:
        self._member = member
        self._books = books
        self._where = where

    async def watch(self) -> None:
        """Look without end."""
        while True:
            try:
                await self._look()
            except (Disconnected, ConfigError) as error:  # others notice when the brokers are away
                log.debug("topics_not_looked_at", extra={"part": self._where, "reason": str(error)})
            await asyncio.sleep(LOOK_EVERY)

    async def _look(self) -> None:
        consumer = self._member.consumer
        topics = {place.topic for place in consumer.assignment()}
        for topic, now in (await topic_ids(consumer._client, topics, where=self._where)).items():  # noqa: SLF001
            if self._member.ids.setdefault(topic, now) != now:
                await self._begin_anew(topic)
                self._member.ids[topic] = now

    async def _begin_anew(self, topic: str) -> None:
        consumer = self._member.consumer
        async with limited(f"beginning topic {topic} anew", where=self._where):
            await consumer._client.force_metadata_update()  # noqa: SLF001  it still knows the old leaders
            begins = await consumer.beginning_offsets([each for each in consumer.assignment() if each.topic == topic])
        for place, begin in begins.items():
            expected = self._books.expected(place)
            if expected is not None and place in consumer.assignment():
                self._member.restarted(place, expected, begin)
                self._books.restart(place, begin)
                consumer.seek(place, begin)
