"""The key store that forgets everything when the process ends: for tests and throw-away runs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from bridge.core import claims
from bridge.core.claims import Claimed, Done, Record
from bridge.model import Ask, Claim, Move, Schedule, Standing, StoreStats
from bridge.stores.clock import Clock, steady_clock
from bridge.stores.records import Records
from bridge.units import Duration

log = logging.getLogger(__name__)

_SWEEP_EVERY: Final = 1_000  # ms


class MemorySettings(BaseModel):
    """A key store in memory. A restart forgets it, so every duplicate published before and after is sent twice."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    type: Literal["memory"] = Field("memory", description="Keep keys in memory only; a restart forgets them.")
    ttl: Duration = Field(
        86_400.0, gt=0, description="How long a delivered event's id is remembered, and its duplicates suppressed."
    )
    max_keys: int = Field(
        1_000_000, ge=1, description="Keys to remember at most; beyond it the oldest are forgotten before their ttl."
    )

    def build(self) -> MemoryStore:
        return MemoryStore(max_keys=self.max_keys)


class MemoryStore:
    """The protocol of `bridge.core.claims` over a dict. Not for more than one event loop."""

    def __init__(self, *, max_keys: int = 1_000_000, clock: Clock | None = None) -> None:
        self._max_keys = max_keys
        self._clock = clock or steady_clock()
        self._records = Records()
        self._done: dict[bytes, Done] = {}  # in the order of their commits
        self._evicted = 0
        self._unrecorded = 0
        self._next_sweep = 0

    async def open(self) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        """Nothing to let go of: what was learnt stays until the object goes."""

    def stats(self) -> StoreStats:
        return StoreStats(
            keys=len(self._done),
            claims=self._records.claims,
            scheduled=self._records.waiting,
            evicted=self._evicted,
            unrecorded=self._unrecorded,
        )

    async def claim(self, asks: Sequence[Ask], *, owner: str, lease: float) -> list[Claim]:
        now = self._now()
        bid = Claimed(owner, now + _ms(lease))
        return [self._claim(ask, bid, now) for ask in asks]

    def _claim(self, ask: Ask, bid: Claimed, now: int) -> Claim:
        done = self._done.get(ask.key)
        return claims.DONE if done and claims.current(done, now) else self._records.claim(ask, bid, now)

    async def renew(self, keys: Sequence[bytes], *, owner: str, lease: float) -> list[bool]:
        now = self._now()
        bid = Claimed(owner, now + _ms(lease))
        return [self._records.renew(key, bid, now) for key in keys]

    async def commit(self, keys: Sequence[bytes], *, ttl: float) -> None:
        now = self._now()
        done = claims.commit(None, now, _ms(ttl))
        self._records.forget(keys, self._records.left_over(keys, now, _ms(ttl)))
        for key in keys:
            self._done.pop(key, None)  # so that it moves to the end
            self._done[key] = done
        self._evict()

    async def release(self, keys: Sequence[bytes], *, owner: str) -> None:
        now = self._now()
        for key in keys:
            self._records.release(key, owner, now)

    async def schedule(self, items: Sequence[Schedule], *, owner: str, ttl: float) -> None:
        now = self._now()
        for item in items:
            if not (record := self._records.schedule(item, owner, _ms(ttl), now)):
                continue
            if self._records.has_room(item.key, self._max_keys):
                self._records.put(item.key, record)
            else:
                self._records.release(item.key, owner, now)
                self._unrecorded += 1

    async def cancel(self, keys: Sequence[bytes], *, ttl: float) -> list[Standing]:
        now = self._now()
        before = []
        for key in keys:
            before.append(self._standing(key, now))
            if record := claims.cancel(self._record(key, now), _ms(ttl), now):
                self._records.put(key, record)
        return before

    async def move(self, items: Sequence[Move], *, ttl: float) -> list[Standing]:
        now = self._now()
        before = []
        for item in items:
            before.append(self._standing(item.key, now))
            if record := claims.move(self._record(item.key, now), item, _ms(ttl), now):
                self._records.put(item.key, record)
        return before

    async def look(self, keys: Sequence[bytes]) -> list[Standing]:
        now = self._now()
        return [self._standing(key, now) for key in keys]

    def _standing(self, key: bytes, now: int) -> Standing:
        return claims.standing(self._record(key, now), now)

    def _record(self, key: bytes, now: int) -> Record | None:
        return claims.current(self._done.get(key), now) or self._records.get(key)

    def _now(self) -> int:
        """Read the clock, and forget what has expired by now: O(1) a key, since the oldest stand first."""
        now = self._clock()
        while self._done and (oldest := next(iter(self._done))) and self._done[oldest].until <= now:
            del self._done[oldest]
        if now >= self._next_sweep:
            self._next_sweep = now + _SWEEP_EVERY
            self._records.sweep(now)
        return now

    def _evict(self) -> None:
        if len(self._done) > self._max_keys and not self._evicted:
            log.warning("store_keys_evicted", extra={"max_keys": self._max_keys, "cure": "raise store.max_keys"})
        while len(self._done) > self._max_keys:
            del self._done[next(iter(self._done))]
            self._evicted += 1


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
