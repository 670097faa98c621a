"""A queue within this process, with the manners of a broker: what the memory adapters share."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import count

from bridge.errors import EndOfSource
from bridge.model import Delivery, Verdict

RESTLESS = 0.001  # seconds; how often a lingering receive looks again


class MemoryQueue:
    """
    Hands out what `put` brought in, at most `prefetch` unsettled at a time.

    `drop_connection` behaves like a broker's: everything unsettled comes again, and settling it late does nothing.
    """

    def __init__(self, origin: str = "memory:default", *, prefetch: int = 256) -> None:
        self.settled: list[Delivery] = []
        self.returned = 0  # deliveries given back
        self.forgotten = 0  # settled after their session was lost
        self._origin = origin
        self._prefetch = prefetch
        self._ready: deque[Delivery] = deque()
        self._unsettled: dict[int, Delivery] = {}
        self._tags = count(1)
        self._changed = asyncio.Event()
        self._paused = False
        self._stopped = False

    def put(self, delivery: Delivery) -> None:
        """Publish."""
        self._ready.append(replace(delivery, origin=delivery.origin or self._origin))
        self._changed.set()

    @property
    def waiting(self) -> int:
        """How many deliveries are not settled: not handed out yet, or handed out."""
        return len(self._ready) + len(self._unsettled)

    def drop_connection(self) -> None:
        """Lose the session and get a new one at once: everything unsettled comes again."""
        back = [replace(delivery, redelivered=True) for delivery in self._unsettled.values()]
        self._unsettled.clear()
        self._ready.extendleft(reversed(back))
        self._changed.set()

    async def open(self) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        """Take back what was not settled, as a broker would."""
        self.drop_connection()

    async def receive(self, limit: int, linger: float) -> list[Delivery]:
        while not (batch := self._take(limit)):
            if self._stopped:
                raise EndOfSource
            self._changed.clear()
            await self._changed.wait()
        await self._linger(batch, limit, linger)
        return batch

    async def settle(self, batch: Sequence[Delivery], verdicts: Sequence[Verdict]) -> None:
        for delivery, verdict in zip(batch, verdicts, strict=True):
            if not isinstance(tag := delivery.token, int) or tag not in self._unsettled:
                self.forgotten += 1
                continue
            del self._unsettled[tag]
            if verdict is Verdict.SETTLE:
                self.settled.append(delivery)
            else:
                self.returned += 1
                self._ready.appendleft(replace(delivery, redelivered=True))
        self._changed.set()

    def owns(self, delivery: Delivery) -> bool:
        return delivery.token in self._unsettled

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        self._changed.set()

    def stop(self) -> None:
        self._stopped = True
        self._changed.set()

    def _take(self, limit: int) -> list[Delivery]:
        batch: list[Delivery] = []
        while self._ready and not (self._paused or self._stopped) and len(batch) < limit:
            if len(self._unsettled) >= self._prefetch:
                break
            tag = next(self._tags)
            delivery = replace(self._ready.popleft(), token=tag)
            self._unsettled[tag] = delivery
            batch.append(delivery)
        return batch

    async def _linger(self, batch: list[Delivery], limit: int, linger: float) -> None:
        end = asyncio.get_running_loop().time() + linger
        while len(batch) < limit and not self._stopped and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(RESTLESS)
            batch += self._take(limit - len(batch))
