"""One session of what comes due: reads the levels ahead, parks again what must wait longer, hands out the rest."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from bridge import tasks
from bridge.core.levels import Levels, level_for, ripe_at
from bridge.errors import ConfigError, Disconnected, EndOfSource, Unavailable
from bridge.kafka import wire
from bridge.kafka.options import KafkaConnection
from bridge.kafka.pace import Bounds, Fetch, Pace, Topics
from bridge.kafka.session import Session
from bridge.model import Backlog, Delivery, Stage, Verdict

log = logging.getLogger(__name__)

READ: Final = 1_000  # copies taken from the session, or parked again, in one go
FIRST_WAIT: Final = 0.1  # seconds before parking is tried again; doubles up to LAST_WAIT
LAST_WAIT: Final = 1.0  # what comes due meanwhile is late by that at most
GRACE: Final = 1.0  # seconds for what is being parked when the session is closed, or it would be parked twice

# Little of each partition is read ahead, and few requests are made for it, since each names all partitions: no level
# needs a record sooner than its own length. What was parked again since the last commit is parked once more after a
# crash.
PACE: Final = Pace(
    bounds=Bounds(out=500, held=500, bytes=512 << 10),
    fetch=Fetch(min_bytes=256 << 10, max_wait_ms=500, partition_bytes=256 << 10),
    commit_every=0.25,
)

Put: TypeAlias = "Callable[[Sequence[tuple[int, wire.Record]]], Awaitable[list[Exception | None]]]"
"""Writes records to the levels of so many seconds. Raises Unavailable when nothing of it can be vouched for."""


@dataclass(slots=True, kw_only=True)
class Copy(Delivery):
    """A held copy as it lies in its level. Most are parked again, so only those that are handed out are read."""

    record: Any

    @classmethod
    def of(cls, records: Sequence[Any], place: tuple[str, int], owner: object) -> list[Delivery]:
        """How the session below reads records."""
        origin = f"kafka:{place[0]}"
        return [
            cls(record=each, body=each.value or b"", origin=origin, token=(owner, each.offset), stage=Stage.DUE)
            for each in records
        ]

    @property
    def due_at(self) -> int:
        """Epoch ms; 0 when nobody can read it, which is for whoever receives it to complain of."""
        return wire.due_at_of(self.record) or 0

    def opened(self) -> Delivery:
        """The delivery as it was before it was held."""
        delivery = wire.due_delivery_of(self.record, self.origin, self.token)
        delivery.redelivered = self.redelivered
        return delivery

    def rewritten(self) -> wire.Record:
        """The same record once more."""
        return self.record.key, self.body, self.record.headers


def ripeness(levels: Levels, window: float) -> Callable[[str], Callable[[Any], float]]:
    """How the session below knows, by the topic, when a record may leave its level, in epoch seconds."""
    seconds = levels.topics()

    def ripening(topic: str) -> Callable[[Any], float]:
        level = seconds[topic]

        def ripe(record: Any) -> float:
            due_at = wire.due_at_of(record)
            return 0.0 if due_at is None else ripe_at(record.timestamp, level, due_at, window) / 1000

        return ripe

    return ripening


def group_on(levels: Levels, instance: str | None) -> Topics:
    """What all sessions of a process upon the levels consume. `instance` is its lasting name in the group."""
    return Topics(group_id=levels.group, names=tuple(levels.topics()), group_instance_id=instance)


def levels_session(
    connection: KafkaConnection,
    levels: Levels,
    group: Topics,
    *,
    window: float,
    prepare: Callable[[], Awaitable[None]],
    seen: dict[Any, int],
    where: str,
) -> Session:
    """
    A session upon the levels, not open; `group` and `seen` are for its successors too.

    `prepare` creates and verifies the topics. It comes before anybody asks for them, or a broker makes them itself.
    """
    return Session(
        connection,
        group,
        read=Copy.of,
        where=where,
        pace=PACE,
        ripening=ripeness(levels, window),
        prepare=prepare,
        seen=seen,
    )


class Ripening:
    """
    A session upon the levels that lives once, as `bridge.reconnecting` wants it.

    `below` hands out what is ripe. Of that, what is due within `window` seconds is handed on; the rest is put into its
    next level, and settled once it is durable there. Where that fails it is tried again, since a record that is never
    settled would hold up its partition for ever; what comes due meanwhile is handed on.
    """

    def __init__(self, below: Session, put: Put, *, window: float, where: str) -> None:
        self._below = below
        self._put = put
        self._window = int(window * 1000)
        self._where = where
        self._due: deque[Copy] = deque()
        self._again: deque[Copy] = deque()
        self._arrived = asyncio.Event()
        self._wanted = asyncio.Event()  # set when something is to be parked again
        self._stopped = False
        self._fault: str | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def connected(self) -> bool:
        return self._below.connected and self._fault is None

    @property
    def settled(self) -> int:
        return self._below.settled

    @property
    def forgotten(self) -> int:
        return self._below.forgotten

    @property
    def backlog(self) -> Backlog:
        return self._below.backlog

    async def open(self) -> None:
        """Raises Disconnected or ConfigError."""
        await self._below.open()
        self._tasks = [asyncio.create_task(self._supervised(act)) for act in (self._take_in, self._park_again)]

    async def close(self) -> None:
        self.stop()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=GRACE)
        await tasks.end(*self._tasks)
        await self._below.close()

    async def receive(self, limit: int, linger: float) -> list[Delivery]:
        while True:
            await self._until(1)
            if linger > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(linger):
                        await self._until(limit)
            batch = [self._due.popleft() for _ in range(min(limit, len(self._due)))]
            # A partition may be gone since: then its next owner hands this out.
            if own := [copy.opened() for copy in batch if self._below.owns(copy)]:
                return own

    async def settle(self, batch: Sequence[Delivery], verdicts: Sequence[Verdict]) -> None:
        await self._below.settle(batch, verdicts)

    def owns(self, delivery: Delivery) -> bool:
        return self._below.owns(delivery)

    def pause(self) -> None:
        self._below.pause()

    def resume(self) -> None:
        self._below.resume()

    def stop(self) -> None:
        """What was not handed out or parked again stays where it is."""
        self._stopped = True
        self._due.clear()
        self._again.clear()
        self._below.stop()
        self._arrived.set()
        self._wanted.set()

    async def _until(self, count: int) -> None:
        """Wait for so many copies. Raises EndOfSource or Disconnected."""
        while True:
            if self._stopped:
                raise EndOfSource
            if self._fault is not None:
                raise Disconnected(self._fault)
            if len(self._due) >= count:
                return
            self._arrived.clear()
            await self._arrived.wait()

    async def _take_in(self) -> None:
        while not self._stopped:
            self._sort(await self._below.receive(READ, 0.0))

    def _sort(self, copies: Sequence[Delivery]) -> None:
        """Tell apart what may be handed out and what has to wait longer."""
        if self._stopped:
            return
        horizon = _now() + self._window
        for copy in copies:
            assert isinstance(copy, Copy)
            if copy.due_at <= horizon:
                self._due.append(copy)
                self._arrived.set()
            else:
                self._again.append(copy)
                self._wanted.set()

    async def _park_again(self) -> None:
        wait = 0.0
        while not self._stopped:
            await self._wanted.wait()
            self._wanted.clear()
            while self._again:
                copies = [self._again.popleft() for _ in range(min(READ, len(self._again)))]
                wait = await self._tried(copies, wait)

    async def _tried(self, copies: Sequence[Copy], wait: float) -> float:
        """Park copies, or sort them anew after a while; return how long that is to be next time, in seconds."""
        try:
            await self._park([copy for copy in copies if self._below.owns(copy)])
        except Unavailable as error:
            if not wait:
                details = {"part": self._where, "copies": len(copies), "reason": str(error)}
                log.warning("not_parked_again", extra=details)
            wait = min(LAST_WAIT, wait * 2) or FIRST_WAIT
            await asyncio.sleep(wait)
            self._sort(copies)
            return wait
        return 0.0

    async def _park(self, copies: Sequence[Copy]) -> None:
        """Park copies in the longest levels that fit. Raises Unavailable."""
        now = _now()
        results = await self._put([(level_for((copy.due_at - now) / 1000, 1), copy.rewritten()) for copy in copies])
        parked = [copy for copy, refusal in zip(copies, results, strict=True) if refusal is None]
        # What the levels take no more is for whoever receives it to bury.
        self._due.extend(copy for copy, refusal in zip(copies, results, strict=True) if refusal is not None)
        self._arrived.set()
        await self._below.settle(parked, [Verdict.SETTLE] * len(parked))

    async def _supervised(self, act: Callable[[], Awaitable[None]]) -> None:
        """Run something that lasts as long as the session; if it fails, the session is over."""
        try:
            await act()
        except EndOfSource:
            self._stopped = True
        except (Disconnected, ConfigError) as error:
            self._fault = str(error)
        except Exception as error:
            log.exception("ripening_failed", extra={"part": self._where})
            self._fault = f"{type(error).__name__} in the bridge"
        finally:
            self._arrived.set()


def _now() -> int:
    return time.time_ns() // 1_000_000
