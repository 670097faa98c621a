"""Reads what is assigned to us, without end: what cannot be decoded stops its own partition only."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import chain
from typing import Any, Final, Protocol

from aiokafka import TopicPartition, errors

from bridge.errors import BridgeError, Disconnected
from bridge.kafka.batches import Run
from bridge.kafka.connection import limited
from bridge.kafka.failures import translated
from bridge.kafka.membership import Membership

log = logging.getLogger(__name__)

POLL_MS: Final = 1_000  # a poll without records; new ones end it at once
LOOK: Final = 0.2  # seconds for records of a partition that is looked at by itself
ALL_LOOKED: Final = LOOK / 4  # seconds between two looks at all of them
OUTSIDE: Final = 30.0  # seconds without a place in the group after which a new session is made
ALONE: Final = 10.0  # seconds after a failure in which each partition is polled by itself
SOME: Final = 100  # records that are read run by run before the next partition is looked at
TRIES: Final = 5  # failures in a row after which a partition is left alone
RETRY_STUCK: Final = 60.0  # seconds until it is looked at again
ASK_AGAIN: Final = 1.0  # seconds between two questions where logs begin
PATIENCE: Final = 10  # times the watchdog's interval that one partition may be silent while others are not

UNREADABLE: Final = (errors.CorruptRecordException, errors.UnsupportedCodecError, errors.RecordTooLargeError)
"""What the client says of records. All else that it raises by a name of its own is about itself, or the group."""


class Books(Protocol):
    """What a session is told of what is read."""

    def take_in(self, place: TopicPartition, records: Sequence[Any]) -> None:
        """Enter records, in the order of their offsets."""

    def restart(self, place: TopicPartition, begin: int) -> None:
        """A partition begins anew at this offset: nothing that was known of it counts any more."""

    def expected(self, place: TopicPartition) -> int | None:
        """The offset that is to be read next; None where the partition is not ours."""


class Reading:
    """
    Polls a consumer all the time, or the group would go on without it.

    When a poll fails, the client forgets what it has read of other partitions in the same poll, and the good records
    before the bad one (aiokafka 0.14.0). So after each failure every partition is read again from where its books say.
    """

    def __init__(self, member: Membership, books: Books, *, where: str) -> None:
        self._member = member
        self._books = books
        self._where = where
        self._held: Collection[TopicPartition] = ()
        self._alone = 0.0  # loop time until which each partition is polled by itself
        self._failures: Counter[TopicPartition] = Counter()
        self._gaps: list[tuple[TopicPartition, int, int]] = []  # what was expected, and what came instead
        self._ask_at = 0.0
        self._quiet: set[TopicPartition] = set()  # partitions that no broker answers for
        self._heard: dict[TopicPartition, float] = {}  # loop time since which a partition has been read
        self.stuck: dict[TopicPartition, float] = {}  # partitions that are left alone -> loop time of the next try

    async def poll(self) -> None:
        """Read for ever. Raises Disconnected or ConfigError."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                if loop.time() < self._alone:
                    await self._poll_alone()
                else:
                    for place, runs in (await self._member.consumer.getmany(timeout_ms=POLL_MS)).items():
                        self._enter(place, runs)
                await self._explain_gaps()
            except BridgeError:
                raise
            except Exception as error:
                if not _of_a_record(error):
                    raise translated(error, "reading", self._where, needs="Read") from error
                log.warning("poll_failed", extra={"part": self._where, "reason": f"{type(error).__name__}: {error}"})
                self._rewind(self._member.consumer.assignment())
                self._alone = loop.time() + ALONE
            if any(at <= loop.time() for at in self.stuck.values()):
                self._try_again(loop.time())

    async def watch(self, interval: float) -> None:
        """
        Look whether the group knows us, and whether somebody answers. Raises Disconnected.

        A consumer that was not polled for long leaves its group without a word. `interval` is in seconds; 0 for no
        look at the answers.
        """
        loop = asyncio.get_running_loop()
        known_at = loop.time()
        while True:
            await asyncio.sleep(1.0)
            if self._member.known:
                known_at = loop.time()
            elif loop.time() - known_at > OUTSIDE:
                raise Disconnected("the group does not know us any more")
            if interval and self._member.known:  # in the middle of a rebalance nothing is read
                self._listen(interval, loop.time())

    def hold_back(self, places: Collection[TopicPartition]) -> None:
        """Read exactly what is not among these."""
        self._held = places
        consumer = self._member.consumer
        paused = consumer.paused()
        now = asyncio.get_running_loop().time()
        for place in consumer.assignment():
            wanted = place in places or place in self.stuck
            if wanted and place not in paused:
                consumer.pause(place)
            elif not wanted and place in paused:
                consumer.resume(place)
                self._heard[place] = now

    def forget(self, places: Collection[TopicPartition]) -> None:
        """These were assigned anew: what was wrong with them may be right."""
        now = asyncio.get_running_loop().time()
        for place in places:
            self.stuck.pop(place, None)
            self._failures.pop(place, None)
            self._heard[place] = now

    def end_of(self, place: TopicPartition) -> int | None:
        """The offset that the next record will have, as far as the brokers have said."""
        consumer = self._member.consumer
        if consumer is None or place not in consumer.assignment():
            return None
        end: int | None = consumer.highwater(place)
        return end

    def _enter(self, place: TopicPartition, runs: Sequence[Run]) -> None:
        """Enter what was just read. Waiting before that could bring it into the books of another assignment."""
        expected = self._books.expected(place)
        if expected is None or not runs:
            return
        records = runs[0] if len(runs) == 1 else list(chain.from_iterable(runs))
        first = records[0].offset
        if first < expected:
            self._member.restarted(place, expected, first)
            self._books.restart(place, first)
        elif first > expected:
            self._gaps.append((place, expected, first))
        self._books.take_in(place, records)

    async def _explain_gaps(self) -> None:
        """Usually compacted records or marks of transactions; but if a log begins later, events are gone."""
        now = asyncio.get_running_loop().time()
        if not self._gaps or now < self._ask_at:
            return
        self._ask_at = now + ASK_AGAIN
        consumer = self._member.consumer
        gaps = [gap for gap in self._gaps if gap[0] in consumer.assignment()]
        try:
            async with limited("asking where logs begin", where=self._where):
                begins = await consumer.beginning_offsets(list({place for place, _, _ in gaps}))
        except Disconnected:
            return  # the brokers are away: asked again later
        self._gaps.clear()
        for place, expected, first in gaps:
            self._member.truncated(place, expected, min(first, begins[place]))

    async def _poll_alone(self) -> None:
        """One look at each partition by itself, so that a failure has a place."""
        consumer = self._member.consumer
        for place in consumer.assignment() - consumer.paused():
            look = self._look_closely if place in self._failures else self._look
            try:
                found = await look(place)
            except Exception as error:
                if not _of_a_record(error):
                    raise
                self._failed(place, error)
            else:
                if found:
                    self._failures.pop(place, None)
        await asyncio.sleep(ALL_LOOKED)

    async def _look(self, place: TopicPartition) -> int:
        found = (await self._member.consumer.getmany(place, timeout_ms=0)).get(place, [])
        self._enter(place, found)
        return len(found)

    async def _look_closely(self, place: TopicPartition) -> int:
        """Read one record after the other, so that those before a bad one are delivered; return how many."""
        consumer, found = self._member.consumer, 0
        try:
            async with asyncio.timeout(LOOK):
                while found < SOME and place not in consumer.paused():
                    run = await consumer.getone(place)
                    self._enter(place, [run])
                    found += len(run)
        except TimeoutError:
            pass  # no more has come
        except Exception:
            if not found:
                raise
        return found

    def _failed(self, place: TopicPartition, error: Exception) -> None:
        self._rewind([place])
        now = asyncio.get_running_loop().time()
        self._alone = now + ALONE
        self._failures[place] += 1
        if self._failures[place] < TRIES:
            return
        self.stuck[place] = now + RETRY_STUCK
        found = {"topic": place.topic, "partition": place.partition, "offset": self._books.expected(place)}
        cure = "look at the records there; to go on without them, set the group's offset behind them"
        reason = f"{type(error).__name__}: {error}"
        log.error("partition_stuck", extra={"part": self._where, **found, "reason": reason, "cure": cure})
        self.hold_back(self._held)

    def _try_again(self, now: float) -> None:
        self.stuck = {place: at for place, at in self.stuck.items() if at > now}
        self._alone = now + ALONE
        self.hold_back(self._held)

    def _rewind(self, places: Collection[TopicPartition]) -> None:
        for place in places:
            expected = self._books.expected(place)
            if expected is not None and place in self._member.consumer.assignment():
                self._member.consumer.seek(place, expected)

    def _listen(self, interval: float, now: float) -> None:
        """Raises Disconnected where no broker says anything, or one has said nothing of a partition for very long."""
        consumer = self._member.consumer
        asked = {place: self._silence(place, now) for place in consumer.assignment() - consumer.paused()}
        quiet = {place for place, seconds in asked.items() if seconds > interval}
        for place in sorted(quiet - self._quiet) if quiet < asked.keys() else ():
            found = {"topic": place.topic, "partition": place.partition}
            log.warning("partition_silent", extra={"part": self._where, **found, "cure": "look for its leader"})
        self._quiet = quiet
        if quiet and (quiet == asked.keys() or max(asked.values()) > PATIENCE * interval):
            place = max(quiet, key=lambda each: asked[each])
            raise Disconnected(f"no answer about {place.topic}/{place.partition} for {asked[place]:.0f} s")

    def _silence(self, place: TopicPartition, now: float) -> float:
        """For how many seconds no broker has said anything of a partition, although it was asked."""
        stamp = self._member.consumer.last_poll_timestamp(place)  # epoch ms of the last answer, empty or not
        asked = now - self._heard.get(place, now)
        return asked if stamp is None else min(asked, time.time() - stamp / 1000)


def _of_a_record(error: Exception) -> bool:
    """Whether it says that a record cannot be decoded, rather than that the client or the group is of no more use."""
    return isinstance(error, UNREADABLE) or not isinstance(error, BridgeError | errors.KafkaError | OSError)
