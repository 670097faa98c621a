"""The one thread that writes to the key log, in group commits: what has queued up meanwhile is written in one go."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
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

    `written` is called even if nobody waits any more: what is on disk is a fact. When the disk gives no answer for
    `limit` seconds, the waiting calls fail; the thread stays at it, and a late success still counts.
    """

    def __init__(self, keys: KeyLog, *, limit: float) -> None:
        self._log = keys
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Job | int | None] = queue.SimpleQueue()
        self._unanswered: deque[_Job] = deque()  # in the order of the queue, which is that of the answers
        self._probe: asyncio.Future[None] | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="key-store-writer", daemon=True)
        self.failing: StoreUnavailable | None = None
        """Why the last write failed; None once one has gone through."""

    def start(self) -> None:
        self._thread.start()

    def submit(self, entry: Entry, written: Written) -> asyncio.Future[None]:
        """Queue an entry. The future ends when it is on disk, or with StoreUnavailable."""
        future = self._loop.create_future()
        if self._stopped:
            future.set_exception(StoreUnavailable("the key store is closed"))
            return future
        job = _Job(entry, written, future, time.monotonic())
        self._unanswered.append(job)
        self._queue.put(job)
        return future

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
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join, _CLOSE_LIMIT)
        if self._thread.is_alive():
            log.error("key_store_close_timeout", extra={"seconds": _CLOSE_LIMIT})
        for job in self._unanswered:
            if not job.future.done():
                job.future.set_exception(StoreUnavailable("the key store was closed"))

    def _answer(self, group: list[_Job], born: int, error: StoreUnavailable | None) -> None:
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

    # From here on in the thread.

    def _run(self) -> None:
        flush_at: float | None = time.monotonic()
        stopping = False
        while not stopping:
            group, condemned, stopping = self._take(flush_at)
            for born in condemned:
                self._log.condemn(born)
            if group:
                self._write(group)
            if flush_at is None and (group or condemned):
                flush_at = time.monotonic() + _FLUSH_EVERY
            if flush_at is not None and (stopping or time.monotonic() >= flush_at):
                flush_at = None if self._flush() else time.monotonic() + _FLUSH_EVERY
        self._log.close()

    def _take(self, until: float | None) -> tuple[list[_Job], list[int], bool]:
        """Wait for something to do, at most until then, and take all that is there."""
        group: list[_Job] = []
        condemned: list[int] = []
        try:
            item = self._queue.get(timeout=None if until is None else max(0.0, until - time.monotonic()))
            while item is not None:
                if isinstance(item, int):
                    condemned.append(item)
                else:
                    group.append(item)
                if len(group) == _GROUP:
                    return group, condemned, False
                item = self._queue.get_nowait()
        except queue.Empty:
            return group, condemned, False
        return group, condemned, True

    def _write(self, group: list[_Job]) -> None:
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
