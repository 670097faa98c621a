"""A delay line within this process: a heap and a timer, for tests and for trying things out."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from bridge.memory import MemoryQueue
from bridge.model import Delivery, Hold, Stage

DUE_PREFETCH = 2_000
LONGEST_SLEEP = 1.0  # seconds between looks at the wall clock, which may be set meanwhile


class MemoryDelaySettings(BaseModel):
    """A delay line in memory. What waits in it is gone when the process ends."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    type: Literal["memory"] = Field(description="Hold delayed events in this process; for trying things out.")

    def build(self, route: str, source: object = None, window: float = 3.0) -> MemoryDelayLine:  # noqa: ARG002  nothing to share, and always exact
        return MemoryDelayLine(f"memory:{route}.due")


class MemoryDelayLine:
    """Holds until due, then hands out like any source. Its promise ends with the process."""

    def __init__(self, origin: str = "memory:due") -> None:
        self.due = MemoryQueue(origin, prefetch=DUE_PREFETCH)
        self._held: list[tuple[int, int, Delivery]] = []
        self._order = count()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def held(self) -> int:
        """How many events wait."""
        return len(self._held)

    async def open(self) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self.due.close()

    async def hold(self, items: Sequence[Hold]) -> list[Exception | None]:
        for item in items:
            copy = replace(
                item.delivery,
                body=item.body,
                ticket=item.ticket,
                stage=Stage.DUE,
                token=None,
                origin=item.ticket.origin,
                redelivered=False,
            )
            heapq.heappush(self._held, (item.ticket.due_at, next(self._order), copy))
        self._ring()
        return [None] * len(items)

    def _ring(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        now = time.time_ns() // 1_000_000
        while self._held and self._held[0][0] <= now:
            self.due.put(heapq.heappop(self._held)[2])
        if self._held:
            wait = min((self._held[0][0] - now) / 1000, LONGEST_SLEEP)
            self._timer = asyncio.get_running_loop().call_later(wait, self._ring)
