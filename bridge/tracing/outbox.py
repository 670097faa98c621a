"""Records on their way out: a bounded queue, and a thread that empties it. Whatever happens there, events go on."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

log = logging.getLogger(__name__)

QUIET: Final = 60.0  # seconds between two complaints
GRACE: Final = 1.0  # seconds for an export that was told to give up
POLL: Final = 0.02  # seconds between two looks at a thread that is to end

T = TypeVar("T")


class Outbox(Generic[T]):
    """
    Exports what is put into it, at most `batch` at a time, at the latest every `delay` seconds.

    `export` returns why it failed, or None; it runs in the thread, and may take its time. `abort` tells it to hurry,
    also where there is none. What finds no room, and what cannot be exported, is lost, counted and logged.
    """

    def __init__(
        self,
        export: Callable[[Sequence[T]], str | None],
        abort: Callable[[], None],
        *,
        room: int,
        batch: int,
        delay: float,
    ) -> None:
        self._export = export
        self._abort = abort
        self._in_hand = 0
        self._room = room
        self._batch = min(batch, room)
        self._delay = delay
        self._waiting: deque[T] = deque()
        self._wake = threading.Event()
        self._stopping = False
        self._given_up = False
        self._full = 0  # records that found no room; only the event loop adds to it
        self._told_full = 0
        self._lost = 0  # records whose export failed, since the last complaint
        self._why = ""
        self._quiet_until = 0.0
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)

    def put(self, record: T) -> None:
        """Take a record, or drop it. Never waits."""
        waiting = len(self._waiting)
        if waiting >= self._room or self._stopping:
            self._full += 1
            return
        self._waiting.append(record)
        if waiting + 1 == self._batch:
            self._wake.set()

    def open(self) -> None:
        self._thread.start()

    async def close(self, limit: float) -> None:
        """Export what is left, within so many seconds; then `abort` what is under way. May be called twice."""
        self._stopping = True
        self._wake.set()
        await self._ended(limit)
        self._given_up = True
        self._abort()
        await self._ended(GRACE)
        left = len(self._waiting) + self._in_hand
        self._waiting.clear()
        if left:
            log.warning("spans_lost", extra={"count": left, "reason": "they could not be exported before the end"})

    async def _ended(self, limit: float) -> None:
        deadline = time.monotonic() + limit
        while self._thread.is_alive() and time.monotonic() < deadline:  # noqa: ASYNC110  a thread sets no asyncio.Event
            await asyncio.sleep(POLL)

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(self._delay)
            self._wake.clear()
            self._empty()
        self._empty()
        self._quiet_until = 0.0
        self._complain()

    def _empty(self) -> None:
        while self._waiting and not self._given_up:
            records = [self._waiting.popleft() for _ in range(min(self._batch, len(self._waiting)))]
            self._in_hand = len(records)
            try:
                problem = self._export(records)
            except Exception as error:  # noqa: BLE001  nothing of this may reach the events
                problem = type(error).__name__
            self._in_hand = 0
            if problem is not None:
                self._lost += len(records)
                self._why = problem
                self._complain()
        self._complain()

    def _complain(self) -> None:
        """Say how many were lost and why, unless something was said just now."""
        now, full = time.monotonic(), self._full - self._told_full
        if now < self._quiet_until or not self._lost + full:
            return
        self._quiet_until = now + QUIET
        reason = self._why if self._lost else "more came than could be exported"
        log.warning("spans_lost", extra={"count": self._lost + full, "reason": reason})
        self._told_full += full
        self._lost = 0
