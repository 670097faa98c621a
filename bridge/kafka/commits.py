"""Commits what is safe: of each partition the offset below which all is done, and what is done above it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from aiokafka import TopicPartition, errors

from bridge.errors import ConfigError, Disconnected
from bridge.kafka.connection import limited
from bridge.kafka.membership import Membership, Start
from bridge.kafka.partition import Partition
from bridge.kafka.shelf import Shelf

log = logging.getLogger(__name__)

PATIENCE: Final = 90.0  # seconds of commits that fail; a rebalance may take 60 of them
WARN_EVERY: Final = 30.0  # seconds between two complaints

REBALANCED: Final = (errors.CommitFailedError, errors.IllegalStateError)
"""The group has moved on. What was not committed comes again; nothing is wrong."""


class Commits:
    """The only place that commits, one commit after the other."""

    def __init__(self, member: Membership, shelf: Shelf, *, where: str) -> None:
        self._member = member
        self._shelf = shelf
        self._where = where
        self._told: dict[TopicPartition, tuple[int, str]] = {}  # what the brokers know
        self._one_at_a_time = asyncio.Lock()
        self._metadata = True
        self._warn_at = 0.0

    def begin(self, place: TopicPartition, start: Start, part: Partition) -> None:
        """Books were opened. Where they begin is committed too, unless it was: `latest` means another place later."""
        if start.committed:
            self._told[place] = part.committable()
        else:
            self._told.pop(place, None)

    async def run(self, every: float) -> None:
        """Commit every so many seconds. Raises Disconnected when a new session may be better at it."""
        loop = asyncio.get_running_loop()
        good = loop.time()
        while True:
            await asyncio.sleep(every)
            if await self.commit():
                good = loop.time()
            elif loop.time() - good > PATIENCE:
                raise Disconnected(f"nothing could be committed for {PATIENCE:g} s")

    async def commit(self) -> bool:
        """Commit what has changed. Where it fails (False), the next time does."""
        async with self._one_at_a_time:
            news = {
                place: state for place, part in self._shelf if (state := part.committable()) != self._told.get(place)
            }
            done = not news or await self._send(news)
            if done:
                self._told |= news
            return done

    async def _send(self, news: Mapping[TopicPartition, tuple[int, str]]) -> bool:
        consumer = self._member.consumer
        assigned = consumer.assignment()
        offers = {
            place: (offset, done if self._metadata else "")
            for place, (offset, done) in news.items()
            if place in assigned
        }
        try:
            async with limited("committing", where=self._where):
                await consumer.commit(offers)
        except (Disconnected, ConfigError) as error:
            # Usual while the group rebalances. What is not committed can be repeated, never lost.
            self._complain(error)
            return False
        return len(offers) == len(news)

    def _complain(self, error: Exception) -> None:
        found = {"part": self._where, "reason": str(error)}
        now = asyncio.get_running_loop().time()
        if isinstance(error.__cause__, REBALANCED):
            log.info("commit_overtaken", extra=found)
        elif isinstance(error.__cause__, errors.OffsetMetadataTooLargeError):
            self._metadata = False
            cure = "set offset.metadata.max.bytes to 4096 or more; until then more is repeated after a crash"
            log.warning("no_commit_metadata", extra={"part": self._where, "cure": cure})
        elif now >= self._warn_at:
            self._warn_at = now + WARN_EVERY
            log.warning("not_committed", extra=found)
