"""The tap in front of the pipeline: closed while anything downstream is in trouble."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from bridge.errors import Unavailable
from bridge.ports import Source

log = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_WAIT = 0.1  # seconds before the second try of something that is away; doubles up to LAST_WAIT
LAST_WAIT = 5.0


class Intake:
    """
    Holds the sources back for as long as at least one reason stands. `reasons` is shared with the tally.

    `changed` is told when the first reason comes, and when the last one is gone.
    """

    def __init__(
        self, sources: Sequence[Source], reasons: Counter[str], changed: Callable[[bool], None] = lambda _: None
    ) -> None:
        self._sources = sources
        self._reasons = reasons
        self._changed = changed
        self._stopping = asyncio.Event()

    def hold_back(self, reason: str) -> None:
        """Add a reason; reasons are counted, so each needs its own `let_go`."""
        if not self.held_back:
            for source in self._sources:
                source.pause()
            self._changed(True)
        if not self._reasons[reason]:
            log.warning("intake_paused", extra={"reason": reason})
        self._reasons[reason] += 1

    def let_go(self, reason: str) -> None:
        self._reasons[reason] -= 1
        if not self._reasons[reason]:
            log.info("intake_reason_gone", extra={"reason": reason})
        if not self.held_back:
            for source in self._sources:
                source.resume()
            self._changed(False)

    @property
    def held_back(self) -> bool:
        return any(self._reasons.values())

    def stop(self) -> None:
        """Shutting down: whatever is away is not waited for any longer."""
        self._stopping.set()

    async def insist(self, reason: str, act: Callable[[], Awaitable[T]], limit: float | None = None) -> T:
        """
        Repeat `act` until it does not raise Unavailable, with the intake closed meanwhile.

        Raises the last Unavailable after `limit` seconds, or at shutdown.
        """
        try:
            return await act()
        except Unavailable as first:
            log.warning("waiting_for_dependency", extra={"dependency": reason, "reason": str(first)})
        self.hold_back(reason)
        try:
            return await self._repeat(act, limit)
        finally:
            self.let_go(reason)

    async def _repeat(self, act: Callable[[], Awaitable[T]], limit: float | None) -> T:
        loop = asyncio.get_running_loop()
        end = None if limit is None else loop.time() + limit
        wait = FIRST_WAIT
        while True:
            await self._sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311  spreads retries, protects nothing
            try:
                return await act()
            except Unavailable:
                if self._stopping.is_set() or (end is not None and loop.time() >= end):
                    raise
            wait = min(LAST_WAIT, wait * 2)

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return
