"""Deletes what has left the levels, which nothing else would ever do."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from bridge.core.levels import Levels
from bridge.errors import BridgeError, ConfigError
from bridge.kafka.connection import limited
from bridge.kafka.options import KafkaConnection
from bridge.kafka.topics import administrator

log = logging.getLogger(__name__)

EVERY: Final = 60.0  # seconds, more or less: instances should not all sweep at once


class Sweep:
    """
    Deletes the records behind what the group has committed, on every partition, whoever has it.

    That is housekeeping: where it fails it is counted, and tried again. Where it is forbidden that is said once, since
    nothing but disk is lost by it.
    """

    def __init__(self, connection: KafkaConnection, levels: Levels, *, where: str) -> None:
        self._connection = connection
        self._levels = levels
        self._where = where
        self._swept: dict[TopicPartition, int] = {}  # up to which offset
        self._told = False
        self.failures = 0

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            await asyncio.sleep(EVERY * random.uniform(0.8, 1.2))  # noqa: S311  spreads load, protects nothing
            await self.sweep()

    async def sweep(self) -> None:
        """Delete once. Raises nothing."""
        try:
            async with administrator(self._connection, where=self._where) as admin:
                await self._sweep(admin)
        except ConfigError as error:
            self.failures += 1
            if not self._told:
                self._told = True
                cure = f"give this user the ACL Delete on the topics {self._levels.group}.*"
                log.warning("levels_not_swept", extra={"part": self._where, "reason": str(error), "cure": cure})
        except BridgeError as error:
            self.failures += 1
            log.info("levels_not_swept", extra={"part": self._where, "reason": str(error)})

    async def _sweep(self, admin: Any) -> None:
        async with limited("reading what is committed", where=self._where):
            committed = await admin.list_consumer_group_offsets(self._levels.group)
        topics = self._levels.topics()
        behind = {
            place: entry.offset
            for place, entry in committed.items()
            if place.topic in topics and entry.offset > self._swept.get(place, 0)
        }
        if behind:
            async with limited("deleting what has left its level", where=self._where, needs="Delete"):
                await admin.delete_records({place: RecordsToDelete(offset) for place, offset in behind.items()})
            self._swept |= behind
