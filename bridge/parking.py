"""Slots that wait a few seconds inside the process, unsettled, until their time has come."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterable
from itertools import count

from bridge.core.slots import Slot
from bridge.core.tally import Tally
from bridge.model import Stage


class Parking:
    """
    A heap of slots and one timer for the earliest.

    `clock` is the wall clock in ms, which alone decides what is due: it is read again after every wake-up, since timers
    may ring early and clocks may be set. `wake` gets all slots whose time has come.
    """

    def __init__(
        self,
        limit: int,
        intake_limit: int,
        tally: Tally,
        clock: Callable[[], int],
        wake: Callable[[list[Slot]], None],
    ) -> None:
        self._limits = {Stage.DUE: limit, Stage.INTAKE: intake_limit}
        self._tally = tally
        self._clock = clock
        self._wake = wake
        self._heap: list[tuple[int, int, Slot]] = []
        self._order = count()
        self._timer: asyncio.TimerHandle | None = None

    def room_for(self, slots: Iterable[Slot]) -> int:
        """
        How many slots of this batch may be parked now.

        The intake has a lower limit, so that waiting events never use up the prefetch and stop what is due before them.
        """
        first = next(iter(slots), None)
        return 0 if first is None else self._limits[first.stage] - len(self._heap)

    def park(self, slot: Slot, until: int) -> None:
        earliest = not self._heap or until < self._heap[0][0]
        heapq.heappush(self._heap, (until, next(self._order), slot))
        self._tally.parked = len(self._heap)
        if earliest:
            self._arm()

    def empty(self) -> list[Slot]:
        """Take everything out, due or not; for shutdown."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        slots = [slot for _, _, slot in self._heap]
        self._heap.clear()
        self._tally.parked = 0
        return slots

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._heap:
            wait = max(0, self._heap[0][0] - self._clock()) / 1000
            self._timer = asyncio.get_running_loop().call_later(min(wait, 1.0), self._ring)

    def _ring(self) -> None:
        self._timer = None
        now, due = self._clock(), []
        while self._heap and self._heap[0][0] <= now:
            due.append(heapq.heappop(self._heap)[2])
        self._tally.parked = len(self._heap)
        if due:
            self._wake(due)
        self._arm()
