"""The embedded key store: done keys in a log on disk and in exact sets in memory, claims in memory only."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from bridge.core import claims
from bridge.core.claims import Cancelled, Claimed, Done, Record, Scheduled
from bridge.errors import StoreUnavailable
from bridge.model import Ask, Claim, Move, Schedule, Standing, StoreStats
from bridge.stores.alarms import Alarms
from bridge.stores.clock import Clock, steady_clock
from bridge.stores.generations import Generations
from bridge.stores.keylog import Entry, KeyLog
from bridge.stores.records import Records
from bridge.stores.schema import Synchronous, row_of
from bridge.stores.writer import Writer
from bridge.units import Duration

log = logging.getLogger(__name__)

_GENERATIONS: Final = 4  # to a ttl
_TICK: Final = 1.0  # seconds
_DISK_LIMIT: Final = 10.0  # seconds that a write may take
_GATHER: Final = 0.005  # seconds that a write waits for others, at most: it holds up the settling, never the sending


class SqliteSettings(BaseModel):
    """A key store in one file, for one process. Survives crashes and restarts."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    type: Literal["sqlite"] = Field("sqlite", description="Keep keys in one SQLite file and in memory.")
    path: Path = Field(
        Path("event-bridge.db"),
        description="The file, on a local disk and in a directory that exists; `<path>.lock` and SQLite's own files "
        "stand beside it. Relative to the working directory.",
    )
    ttl: Duration = Field(
        86_400.0,
        ge=1,
        description="How long a delivered event's id is remembered, and its duplicates suppressed; up to a quarter "
        "longer, since keys are forgotten a generation at a time.",
    )
    max_keys: int = Field(
        5_000_000,
        ge=1_000,
        description="Keys to remember at most, at 100 to 160 bytes of memory each; beyond it the oldest are forgotten "
        "before their ttl, and an alert fires.",
    )
    synchronous: Synchronous = Field(
        "normal",
        description="`normal` is safe against a crash of the process; a power cut may take the keys of the last "
        "second. `full` syncs every commit and is safe against that too.",
    )

    def build(self) -> SqliteStore:
        return SqliteStore(self.path, ttl=self.ttl, max_keys=self.max_keys, synchronous=self.synchronous)


class SqliteStore:
    """
    The protocol of `bridge.core.claims` over a key log.

    A lookup never leaves the event loop. A key counts as done, and a record as scheduled or cancelled, once that is on
    disk; until then the claim in memory answers BUSY. Claims vanish with the process, and so do their owners.
    """

    def __init__(
        self,
        path: Path,
        *,
        ttl: float = 86_400.0,
        max_keys: int = 5_000_000,
        synchronous: Synchronous = "normal",
        clock: Clock | None = None,
    ) -> None:
        self._path = path
        self._ttl = _ms(ttl)
        self._span = max(1, self._ttl // _GENERATIONS)
        self._max_keys = max_keys
        self._synchronous = synchronous
        self._clock = clock or steady_clock()
        self._done = Generations(ttl=self._ttl, span=self._span)
        self._records = Records()
        self._writer: Writer | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._log: KeyLog | None = None
        self._alarms: Alarms | None = None
        self._evicted = 0

    async def open(self) -> None:
        """
        Lock and read the file: 0.4 s for a million keys. All sets exist afterwards, ready for `gc.freeze()`.

        Raises ConfigError when the path cannot be used, StoreUnavailable when another process holds it or the disk
        does not play along.
        """
        full = max(1, self._max_keys // _GENERATIONS)
        keys = KeyLog(self._path, span=self._span, full=full, synchronous=self._synchronous, clock=self._clock)
        obsolete = await asyncio.to_thread(self._load, keys)
        self._log = keys
        self._writer = Writer(keys, limit=_DISK_LIMIT, gather=_GATHER, expected=lambda: self._records.claims)
        self._writer.start()
        self._alarms = Alarms(self._records, self._writer, self._clock, limit=self._max_keys)
        self._forget(obsolete, self._writer)
        self._beat()

    def _load(self, keys: KeyLog) -> list[bytes]:
        """Read the file; return the keys whose waiting record is of no more use."""
        keys.open()
        try:
            now = self._clock()
            for born in keys.births():
                self._load_generation(keys, born, now)
            obsolete = []
            for key, record in keys.waiting():
                if record.until <= now or (isinstance(record, Scheduled) and self._done.known(key)):
                    obsolete.append(key)
                else:
                    self._records.put(key, record)
            keys.mend()
            keys.warn_of_a_small_disk(self._max_keys)
        except BaseException:
            keys.close()
            raise
        return obsolete

    def _load_generation(self, keys: KeyLog, born: int, now: int) -> None:
        if born + self._span + self._ttl <= now:
            keys.condemn(born)
            return
        self._done.begin(born, now)
        for block in keys.blocks(born):
            self._done.add(born, block)

    async def close(self) -> None:
        writer, self._writer = self._writer, None
        if self._timer:
            self._timer.cancel()
        if writer:
            await writer.stop()
            self._done = Generations(ttl=self._ttl, span=self._span)
            self._records = Records()

    def stats(self) -> StoreStats:
        return StoreStats(
            keys=len(self._done),
            claims=self._records.claims,
            scheduled=self._records.waiting,
            healthy=self._writer is not None and self._writer.failing is None,
            evicted=self._evicted,
            unrecorded=self._alarms.unrecorded if self._alarms else 0,
            damaged=self._log.damaged if self._log else 0,
        )

    async def claim(self, asks: Sequence[Ask], *, owner: str, lease: float) -> list[Claim]:
        """
        Claim each key that is free for this stage.

        Raises StoreUnavailable while the disk takes no writes: what cannot be marked as done should not be sent.
        """
        writer = self._running()
        if writer.failing:
            await writer.probe()
        now = self._clock()
        bid = Claimed(owner, now + _ms(lease))
        known, claim = self._done.known, self._records.claim
        return [claims.DONE if known(ask.key) else claim(ask, bid, now) for ask in asks]

    async def renew(self, keys: Sequence[bytes], *, owner: str, lease: float) -> list[bool]:
        self._running()
        now = self._clock()
        bid = Claimed(owner, now + _ms(lease))
        return [self._records.renew(key, bid, now) for key in keys]

    async def commit(self, keys: Sequence[bytes], *, ttl: float) -> None:
        """Mark as done. Raises ValueError for a ttl above the store's own, which the log could not keep."""
        if _ms(ttl) > self._ttl:
            raise ValueError(f"ttl {ttl:g} s is more than the {self._ttl / 1000:g} s that this store keeps keys for")
        writer = self._running()
        if keys:
            left_over = self._records.left_over(keys, self._clock(), _ms(ttl))
            rows = [row_of(key, record) for key, record in left_over.items() if record]
            forget = [key for key, record in left_over.items() if not record]
            entry = Entry(keys=keys, put=rows, forget=forget)
            await writer.submit(entry, partial(self._committed, keys, left_over))

    def _committed(self, keys: Sequence[bytes], left_over: Mapping[bytes, Cancelled | None], born: int) -> None:
        self._done.begin(born, self._clock())
        self._done.add(born, keys)
        self._records.forget(keys, left_over)

    async def release(self, keys: Sequence[bytes], *, owner: str) -> None:
        self._running()
        now = self._clock()
        for key in keys:
            self._records.release(key, owner, now)

    async def schedule(self, items: Sequence[Schedule], *, owner: str, ttl: float) -> None:
        await self._open_alarms().schedule(items, owner, _ms(ttl))

    async def cancel(self, keys: Sequence[bytes], *, ttl: float) -> list[Standing]:
        """Cancel what is scheduled. StoreUnavailable leaves open whether it is."""
        return await self._open_alarms().cancel(keys, self._known(keys), _ms(ttl))

    async def move(self, items: Sequence[Move], *, ttl: float) -> list[Standing]:
        """Put off what is scheduled for earlier. StoreUnavailable leaves open whether it is."""
        return await self._open_alarms().move(items, self._known([item.key for item in items]), _ms(ttl))

    async def look(self, keys: Sequence[bytes]) -> list[Standing]:
        self._running()
        known, now = self._known(keys), self._clock()
        return [claims.standing(known.get(key) or self._records.get(key), now) for key in keys]

    def _known(self, keys: Sequence[bytes]) -> dict[bytes, Record]:
        return {key: Done(until) for key in keys if (until := self._done.until(key)) is not None}

    def tick(self) -> None:
        """Forget what has expired and what is too much. Runs every second by itself."""
        writer, now = self._running(), self._clock()
        writer.watch()
        self._forget(self._records.sweep(now), writer)
        for born in self._done.expired(now):
            self._drop(born, writer)
        while len(self._done) > self._max_keys and (oldest := self._done.oldest()):
            size = self._done.size(oldest)
            self._evicted += size
            log.warning("store_keys_evicted", extra={"keys": size, "max_keys": self._max_keys})
            self._drop(oldest, writer)

    def _forget(self, keys: Sequence[bytes], writer: Writer) -> None:
        if keys:
            writer.submit(Entry(forget=keys), _nothing).add_done_callback(_heard)

    def _drop(self, born: int, writer: Writer) -> None:
        writer.condemn(born)
        self._clear(self._done.forget(born))

    def _clear(self, steps: Iterator[None]) -> None:
        """One step in each turn of the loop, which would stand still for 100 ms over two million keys at once."""
        for _ in steps:
            asyncio.get_running_loop().call_soon(self._clear, steps)
            return

    def _beat(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_TICK, self._beat)
        self.tick()

    def _open_alarms(self) -> Alarms:
        self._running()
        assert self._alarms is not None, "open() makes it together with the writer"
        return self._alarms

    def _running(self) -> Writer:
        if self._writer is None:
            raise StoreUnavailable(f"the key store {self._path} is not open")
        return self._writer


def _nothing(_born: int) -> None:
    pass


def _heard(future: asyncio.Future[None]) -> None:
    """Nobody waits for this write, so its failure is taken note of here: the next start will do it again."""
    if not future.cancelled():
        future.exception()


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
