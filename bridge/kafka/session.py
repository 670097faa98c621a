"""One session of consuming topics in a group. It lives once: `bridge.reconnecting` makes the next one."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from aiokafka import TopicPartition

from bridge import tasks
from bridge.errors import BridgeError, Disconnected, EndOfSource
from bridge.kafka.commits import Commits
from bridge.kafka.ending import CLOSE_LIMIT
from bridge.kafka.membership import Membership, Start
from bridge.kafka.options import KafkaConnection
from bridge.kafka.pace import Pace, Topics
from bridge.kafka.partition import Partition, place_of
from bridge.kafka.reading import Reading
from bridge.kafka.renewal import Renewal
from bridge.kafka.shelf import Ripening, Shelf
from bridge.model import Backlog, Delivery, Verdict

log = logging.getLogger(__name__)

Read = Callable[[Sequence[Any], TopicPartition, object], list[Delivery]]
"""Turns records of a partition into deliveries, with tokens of this object and the record's offset."""


class Session:
    """
    One consumer of a group, which polls all the time and keeps a bounded number of records of each partition.

    Offsets are committed under the watermark of each partition, with what is done above it as their metadata. When a
    partition is taken away, what is handed out of it may be settled for a few seconds more; whatever is settled
    later is `forgotten`, since its next owner gets it again.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        topics: Topics,
        *,
        read: Read,
        where: str,
        pace: Pace,
        ripening: Ripening | None = None,
        prepare: Callable[[], Awaitable[None]] | None = None,
        seen: dict[TopicPartition, int] | None = None,
    ) -> None:
        """Make one. `ripening` says from when on a record may be handed out; each partition waits for its head."""
        self._read = read
        self._where = where
        self._pace = pace
        self._prepare = prepare
        self._shelf = Shelf(pace.bounds, ripening, {} if seen is None else seen)
        self._member = Membership(connection, topics, pace.fetch, where=where, owner=self)
        self._reading = Reading(self._member, self, where=where)
        self._commits = Commits(self._member, self._shelf, where=where)
        self._arrived = asyncio.Event()
        self._settled = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._paused = False
        self._stopped = False
        self._fault: str | None = "not open"
        self._tasks: list[asyncio.Task[None]] = []
        self.settled = 0
        self.forgotten = 0

    @property
    def connected(self) -> bool:
        return self._fault is None

    @property
    def backlog(self) -> Backlog:
        ends = ((self._reading.end_of(place), part) for place, part in self._shelf)
        lag = sum(max(0, end - part.low - len(part.done)) for end, part in ends if end is not None)
        return Backlog(lag, len(self._reading.stuck), self._member.missed, self._member.shared)

    async def open(self) -> None:
        """Join the group. Raises Disconnected or ConfigError."""
        if self._prepare is not None:
            await self._prepare()
        self._fault = None
        try:
            await self._member.open()
        except BaseException:
            self._fault = "not open"
            raise
        if self._fault is not None:
            raise Disconnected(self._fault)
        self._supervise(self._reading.poll)
        self._supervise(lambda: self._commits.run(self._pace.commit_every))
        self._supervise(lambda: self._reading.watch(self._pace.watchdog))
        self._supervise(Renewal(self._member, self, where=self._where).watch)

    async def close(self) -> None:
        """Commit what is settled, and leave the group."""
        await tasks.end(*self._tasks)
        self._tasks.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._fault is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_LIMIT):
                    await self._commits.commit()
        self.fail("closed")
        await self._member.close()

    async def receive(self, limit: int, linger: float) -> list[Delivery]:
        batch = self._take(limit)
        while not batch:
            self._arrived.clear()
            await self._arrived.wait()
            batch = self._take(limit)
        if linger > 0 and len(batch) < limit:
            await self._linger(batch, limit, linger)
        return batch

    async def settle(self, batch: Sequence[Delivery], verdicts: Sequence[Verdict]) -> None:
        done: dict[Partition, list[int]] = {}
        back: list[tuple[Partition, int]] = []
        for delivery, verdict in zip(batch, verdicts, strict=True):
            part, offset = place_of(delivery)
            if part is None:
                self.forgotten += 1
            elif verdict is Verdict.SETTLE:
                done.setdefault(part, []).append(offset)
            else:
                back.append((part, offset))
        for part, offsets in done.items():
            self._finish(part, offsets)
        for part, offset in sorted(back, key=lambda pair: -pair[1]):
            self.forgotten += not part.give_back(offset)
            self._wake(part)
        self._settled.set()

    def _finish(self, part: Partition, offsets: Sequence[int]) -> None:
        was_full = part.full
        finished = part.finish(*offsets)
        self.settled += finished
        self.forgotten += len(offsets) - finished
        if was_full and not part.full:
            self._balance()
        self._wake(part)

    def _wake(self, part: Partition) -> None:
        """Let `receive` look again, if there is room for more of what was read."""
        if part.ready:
            self._arrived.set()

    def owns(self, delivery: Delivery) -> bool:
        part, offset = place_of(delivery)
        # Nobody else will get what stood in a topic that was made anew: we go on with it, though nothing is committed.
        return part is not None and (part.gone or part.owns(offset))

    def pause(self) -> None:
        self._paused = True
        self._balance()

    def resume(self) -> None:
        self._paused = False
        self._balance()

    def stop(self) -> None:
        """Hand out nothing more. What is handed out can still be settled; the rest is for the next owner."""
        self._stopped = True
        for _, part in self._shelf:
            part.close()
        self._balance()
        self._arrived.set()

    def begin(self, starts: Mapping[TopicPartition, Start]) -> None:
        """Open the books of partitions that were assigned to us."""
        for place, start in starts.items():
            self._open_books(place, start)
        self._reading.forget(starts)
        self._balance()

    def restart(self, place: TopicPartition, begin: int) -> None:
        """A topic was made anew."""
        part = self._shelf.get(place)
        self._open_books(place, Start(begin, anew=True, scope="" if part is None else part.scope))
        self._balance()

    async def end(self, places: Sequence[TopicPartition]) -> None:
        """Close the books of partitions that are taken away: wait for what is handed out, then commit."""
        parts = {place: part for place in places if (part := self._shelf.get(place)) is not None}
        for part in parts.values():
            part.close()
        try:
            async with asyncio.timeout(self._pace.drain):
                while any(map(len, parts.values())) and self._fault is None:
                    self._settled.clear()
                    await self._settled.wait()
        except TimeoutError:
            log.info("rebalance_did_not_wait", extra={"in_flight": sum(map(len, parts.values()))})
        if parts and self._fault is None:
            await self._commits.commit()
        for place, part in parts.items():
            if self._shelf.get(place) is part:
                self._shelf.remove(place)
        self._arrived.set()

    def take_in(self, place: TopicPartition, records: Sequence[Any]) -> None:
        """Enter what was read."""
        part = self._shelf.get(place)
        if part is None or part.closing:
            return
        part.take_in(records)
        self._arrived.set()
        if part.full:
            self._balance()

    def expected(self, place: TopicPartition) -> int | None:
        """The offset that is to be read next; None where the partition is not ours."""
        part = self._shelf.get(place)
        return None if part is None else part.next

    def _open_books(self, place: TopicPartition, start: Start) -> None:
        part = self._shelf.open(place, start)
        if self._stopped:
            part.close()
        self._commits.begin(place, start, part)

    def _take(self, limit: int) -> list[Delivery]:
        """What may be handed out now, from one partition after the other. Raises EndOfSource or Disconnected."""
        if self._stopped:
            raise EndOfSource
        if self._fault is not None:
            raise Disconnected(self._fault)
        now = time.time()
        batch: list[Delivery] = []
        for place, part, records in self._shelf.take(limit, now):
            deliveries = self._read(records, place, part)
            if part.repeats(records[0].offset):
                for delivery, record in zip(deliveries, records, strict=True):
                    delivery.redelivered = part.was_out(record.offset)
            batch += deliveries
        if not batch:
            self._arm(now)
        return batch

    def _arm(self, now: float) -> None:
        """Wake when the next head is ripe. The wall clock is asked again then, for it may be set."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (at := self._shelf.ripe_at()) is not None:
            wait = min(max(0.0, at - now), 1.0)
            self._timer = asyncio.get_running_loop().call_later(wait, self._arrived.set)

    async def _linger(self, batch: list[Delivery], limit: int, linger: float) -> None:
        try:
            async with asyncio.timeout(linger):
                while len(batch) < limit:
                    self._arrived.clear()
                    await self._arrived.wait()
                    batch += self._take(limit - len(batch))
        except (TimeoutError, EndOfSource, Disconnected):
            return
        except asyncio.CancelledError:
            for delivery in reversed(batch):  # nobody got them
                part, offset = place_of(delivery)
                if part is not None:
                    part.give_back(offset)
            self._arrived.set()
            raise

    def _balance(self) -> None:
        """Let the client read exactly where there is room."""
        if self._fault is None:
            held = self._paused or self._stopped
            self._reading.hold_back({place for place, part in self._shelf if held or part.full})

    def _supervise(self, act: Callable[[], Awaitable[None]]) -> None:
        """Run something that lasts as long as the session; if it fails, the session is over."""

        async def supervised() -> None:
            try:
                await act()
            except BridgeError as error:
                self.fail(str(error))
            except Exception as error:
                log.exception("session_fault")
                self.fail(f"{type(error).__name__} in the session")

        self._tasks.append(asyncio.get_running_loop().create_task(supervised()))

    def fail(self, reason: str) -> None:
        """Be of no further use from now on."""
        if self._fault is None:
            self._fault = reason
        for _, part in self._shelf:
            part.ours = False
        self._arrived.set()
        self._settled.set()
