"""
The one thread that writes to the key log, in group commits.

A commit costs the same for one key as for a thousand: a transaction, a thread that wakes up, and the lock of the
interpreter handed to and fro. So the calls of a few milliseconds share one, for as long as more of them are coming.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from bridge.errors import StoreUnavailable
from bridge.stores.keylog import Entry, KeyLog

log = logging.getLogger(__name__)

_GROUP: Final = 512  # calls that one commit takes at most
_FLUSH_EVERY: Final = 1.0  # seconds; bounds what a power cut can take with synchronous=normal
_CLOSE_LIMIT: Final = 5.0  # seconds
_PROBE: Final = Entry(put=[(b"probe", 0, 0, 0, 0, 0)], forget=[b"probe"])  # leaves nothing, but has to be written

Written: TypeAlias = Callable[[int], None]
"""What to do on the event loop once an entry is on disk, given the generation that its keys went to."""


@dataclass(slots=True, eq=False)
class _Job:
    entry: Entry
    written: Written
    future: asyncio.Future[None]
    since: float


class Writer:
    """
    Takes entries on the event loop, and answers there once they are on disk.

    A group is written when the one before it is on disk and all keys that are `expected` (a count, of those that are
    here too) have come, or else after `gather` seconds: who is alone never waits for others.

    `written` is called even if nobody waits any more: what is on disk is a fact. When the disk gives no answer for
    `limit` seconds, the waiting calls fail; the thread stays at it, and a late success still counts.
    """

    def __init__(self, keys: KeyLog, *, limit: float, gather: float, expected: Callable[[], int]) -> None:
        self._log = keys
        self._limit = limit
        self._gather = gather
        self._expected = expected
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[Sequence[_Job] | int | None] = queue.SimpleQueue()
        self._gathered: list[_Job] = []  # for the next group
        self._keys = 0  # in them
        self._start: asyncio.Handle | None = None  # of the next group
        self._writing = False
        self._unanswered: deque[_Job] = deque()  # in the order of the answers, the gathered ones last
        self._probe: asyncio.Future[None] | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="key-store-writer", daemon=True)
        self.failing: StoreUnavailable | None = None
        """Why the last write failed; None once one has gone through."""

    def start(self) -> None:
        self._thread.start()

    def submit(self, entry: Entry, written: Written) -> asyncio.Future[None]:
        """Take an entry. The future ends when it is on disk, or with StoreUnavailable."""
        future = self._loop.create_future()
        if self._stopped:
            future.set_exception(StoreUnavailable("the key store is closed"))
            return future
        job = _Job(entry, written, future, time.monotonic())
        self._unanswered.append(job)
        self._gathered.append(job)
        self._keys += len(entry.keys) + len(entry.put)
        if not self._writing:
            self._plan()
        return future

    def _plan(self) -> None:
        """Start the next group with the next turn of the loop, or a little later if more is coming."""
        if self._expected() > self._keys and len(self._gathered) < _GROUP:
            if self._start is None:
                self._start = self._loop.call_later(self._gather, self._hand_over)
        elif self._start is None or isinstance(self._start, asyncio.TimerHandle):
            self._cancel_start()
            self._start = self._loop.call_soon(self._hand_over)

    def _cancel_start(self) -> None:
        if self._start is not None:
            self._start.cancel()
            self._start = None

    def _hand_over(self) -> None:
        """Give the thread its next group."""
        self._cancel_start()
        group, self._gathered = self._gathered[:_GROUP], self._gathered[_GROUP:]
        self._keys = sum(len(job.entry.keys) + len(job.entry.put) for job in self._gathered)
        self._writing = True
        self._queue.put(group)

    async def probe(self) -> None:
        """Raise StoreUnavailable unless the disk takes writes. Callers at one time share one write."""
        if self._probe is None or self._probe.done():
            self._probe = self.submit(_PROBE, lambda _born: None)
        await asyncio.shield(self._probe)

    def condemn(self, born: int) -> None:
        """Have a generation dropped, soon."""
        self._queue.put(born)

    def watch(self) -> None:
        """Fail the calls that have waited too long. To be called about once a second."""
        late = time.monotonic() - self._limit
        for job in self._unanswered:
            if job.since > late:
                return
            if not job.future.done():
                self.failing = StoreUnavailable(f"the disk of the key store gave no answer in {self._limit:g} s")
                job.future.set_exception(self.failing)

    async def stop(self) -> None:
        """Write what is queued, close the log and end the thread, unless the disk does not answer."""
        self._stopped = True
        while self._gathered:
            self._hand_over()
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join, _CLOSE_LIMIT)
        if self._thread.is_alive():
            log.error("key_store_close_timeout", extra={"seconds": _CLOSE_LIMIT})
        for job in self._unanswered:
            if not job.future.done():
                job.future.set_exception(StoreUnavailable("the key store was closed"))

    def _answer(self, group: Sequence[_Job], born: int, error: StoreUnavailable | None) -> None:
        self._writing = False
        if error and not self.failing:
            log.error("key_store_write_failed", extra={"reason": str(error)})
        elif self.failing and not error:
            log.info("key_store_write_recovered")
        self.failing = error
        for job in group:
            self._unanswered.popleft()
            if error is None:
                job.written(born)
            if job.future.done():
                continue
            if error is None:
                job.future.set_result(None)
            else:
                job.future.set_exception(error)
        if self._gathered:
            self._plan()

    # From here on in the thread.

    def _run(self) -> None:
        flush_at: float | None = time.monotonic()
        while True:
            item = self._take(flush_at)
            if isinstance(item, int):
                self._log.condemn(item)
            elif item:
                self._write(item)
            if flush_at is None and item:
                flush_at = time.monotonic() + _FLUSH_EVERY
            if flush_at is not None and (item is None or time.monotonic() >= flush_at):
                flush_at = None if self._flush() else time.monotonic() + _FLUSH_EVERY
            if item is None:
                break
        self._log.close()

    def _take(self, until: float | None) -> Sequence[_Job] | int | None:
        """Wait for something to do: a group, a generation to condemn, or the end (None). Nothing (empty) at `until`."""
        try:
            return self._queue.get(timeout=None if until is None else max(0.0, until - time.monotonic()))
        except queue.Empty:
            return ()

    def _write(self, group: Sequence[_Job]) -> None:
        born, failure = 0, None
        try:
            born = self._log.write([job.entry for job in group])
        except StoreUnavailable as error:
            failure = error
        except Exception as error:  # noqa: BLE001  whatever it is, the callers must hear of it and the thread must go on
            failure = StoreUnavailable(f"the key store cannot be written: {error}")
            failure.__cause__ = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(self._answer, group, born, failure)

    def _flush(self) -> bool:
        try:
            self._log.flush()
        except Exception as error:  # noqa: BLE001  nothing is lost by it, and it is tried again in a second
            log.warning("key_store_flush_failed", extra={"reason": str(error)})
            return False
        return True
