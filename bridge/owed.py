"""Marks that a key store which is away still has to get, where events go on without it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice

from bridge.core.tally import Tally
from bridge.errors import Unavailable
from bridge.ports import KeyStore

log = logging.getLogger(__name__)

_MOST = 100_000  # keys
_AT_ONCE = 1_000  # keys in one call
_PAUSE = 1.0  # seconds between tries


class Owed:
    """
    Remembers the keys of events that are safe, and commits them once the store is back, while `run()` runs.

    Each for at most `max_hold` seconds, and of too many the oldest go first: what the store never learns can only cost
    a second send. `ttl` (of the marks) is seconds too.
    """

    def __init__(self, store: KeyStore, tally: Tally, *, ttl: float, max_hold: float) -> None:
        self._store = store
        self._tally = tally
        self._ttl = ttl
        self._max_hold = max_hold
        self._keys: dict[bytes, float] = {}  # -> when it is given up, as a loop time; the oldest come first
        self._any = asyncio.Event()

    def __len__(self) -> int:
        return len(self._keys)

    def owe(self, keys: Sequence[bytes]) -> None:
        """Take keys that the store did not take."""
        end = asyncio.get_running_loop().time() + self._max_hold
        for key in keys:
            self._keys.setdefault(key, end)
        self._give_up(len(self._keys) - _MOST)
        self._any.set()

    async def run(self) -> None:
        """Pay whatever is owed, until cancelled."""
        while True:
            await self._any.wait()
            await asyncio.sleep(_PAUSE)
            await self._pay()
            now = asyncio.get_running_loop().time()
            self._give_up(sum(end <= now for end in self._keys.values()))
            if not self._keys:
                self._any.clear()

    async def close(self) -> None:
        """Try for the last time."""
        await self._pay()
        self._give_up(len(self._keys))

    async def _pay(self) -> None:
        with suppress(Unavailable):
            while some := list(islice(self._keys, _AT_ONCE)):
                await self._store.commit(some, ttl=self._ttl)
                for key in some:
                    self._keys.pop(key, None)

    def _give_up(self, count: int) -> None:
        if count > 0:
            for key in list(islice(self._keys, count)):
                del self._keys[key]
            self._tally.marks_failed += count
            log.error("marks_failed", extra={"events": count})
