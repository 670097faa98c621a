"""Scheduled and cancelled records of the SQLite store: they change in memory once they have changed on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from bridge.core import claims
from bridge.core.claims import Claimed, Record, Scheduled, Waiting
from bridge.errors import StoreUnavailable
from bridge.model import Move, Schedule, Standing
from bridge.stores.clock import Clock
from bridge.stores.keylog import Entry
from bridge.stores.records import Records
from bridge.stores.schema import row_of
from bridge.stores.writer import Writer

_CHANGE: Final = "(change)"  # the owner of a claim that ends in the changed record
_CHANGE_LEASE: Final = 60_000  # ms; longer than a write may take


class Alarms:
    """
    Schedules, cancels and moves, for as long as the file is open. At most `limit` events may be waiting.

    To cancel or to move is to work on the key like anyone else: claim it, so that a copy that comes due during the
    write is BUSY and looks again, and give the claim back if nothing comes of it.
    """

    def __init__(self, records: Records, writer: Writer, clock: Clock, *, limit: int) -> None:
        self._records = records
        self._writer = writer
        self._clock = clock
        self._limit = limit
        self.unrecorded = 0

    async def schedule(self, items: Sequence[Schedule], owner: str, ttl: int) -> None:
        now = self._clock()
        planned: dict[bytes, Waiting] = {}
        for item in items:
            if not (record := self._records.schedule(item, owner, ttl, now)):
                continue
            if self._records.has_room(item.key, self._limit - len(planned)):
                planned[item.key] = record
            else:
                self._records.release(item.key, owner, now)
                self.unrecorded += 1
        await self._write(planned, owner)

    async def cancel(self, keys: Sequence[bytes], known: Mapping[bytes, Record], ttl: int) -> list[Standing]:
        change = _Change(self._records, known, self._clock())
        for key in keys:
            change.note(key, claims.cancel(change.current(key), ttl, change.now))
        return await self._carry_out(change)

    async def move(self, items: Sequence[Move], known: Mapping[bytes, Record], ttl: int) -> list[Standing]:
        change = _Change(self._records, known, self._clock())
        for item in items:
            change.note(item.key, claims.move(change.current(item.key), item, ttl, change.now))
        return await self._carry_out(change)

    async def _carry_out(self, change: _Change) -> list[Standing]:
        for key in change.planned:
            was = claims.current(self._records.get(key), change.now)
            if isinstance(was, Scheduled):
                self._records.put(key, Claimed(_CHANGE, change.now + _CHANGE_LEASE, was))
        try:
            await self._write(change.planned, _CHANGE)
        except StoreUnavailable:
            for key in change.planned:
                self._records.release(key, _CHANGE, self._clock())
            raise
        return change.before

    async def _write(self, planned: Mapping[bytes, Waiting], owner: str) -> None:
        if planned:
            rows = [row_of(key, record) for key, record in planned.items()]
            await self._writer.submit(Entry(put=rows), partial(self._written, planned, owner))

    def _written(self, planned: Mapping[bytes, Waiting], owner: str, _born: int) -> None:
        now = self._clock()
        for key, record in planned.items():
            if self._records.is_owned(key, owner, now):  # else the lease ended during the write
                self._records.put(key, record)


class _Change:
    """What one call is about to change. A key that stands in it twice sees its first change."""

    def __init__(self, records: Records, known: Mapping[bytes, Record], now: int) -> None:
        self._records = records
        self._known = known
        self.now = now
        self.planned: dict[bytes, Waiting] = {}
        self.before: list[Standing] = []

    def current(self, key: bytes) -> Record | None:
        return self._known.get(key) or self.planned.get(key) or self._records.get(key)

    def note(self, key: bytes, after: Waiting | None) -> None:
        self.before.append(claims.standing(self.current(key), self.now))
        if after is not None:
            self.planned[key] = after
