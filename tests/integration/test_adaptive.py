"""`http.adaptive` against an API that takes only so many requests at once, over a whole process."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.devserver.faults import Fault
from bridge.targets import HttpTarget
from tests.integration.whole_process import Api, Process, running

TAKES = 8  # requests at once, as long as the API is short of room
FALLEN = {"429": 12, "503": 12}
"""
Requests at once, not many more than those at which it objects.

Of latency only the direction is told: on a machine with much else to do some of it is the machine's own, which adaptive
concurrency learns to live with.
"""
MOST = 48  # requests at once that the settings allow
WINDOWS = 200  # events that are many windows of answers
LIMIT = 120.0  # seconds until a test gives up
USUAL = Fault(latency_ms=20.0)
QUEUE = {40: 3200.0, 32: 1600.0, 24: 800.0, 16: 400.0, 12: 200.0, 8: 60.0}
"""Milliseconds on top for requests above so many at once, as where they wait for each other."""

SHORT_OF_ROOM = {
    "429": [Fault(status=429, above=TAKES)],
    "503": [Fault(status=503, above=TAKES)],
    "slow": [Fault(latency_ms=more, above=above) for above, more in QUEUE.items()],
}


class Watched:
    """A process, what it was given, and every limit that was seen."""

    def __init__(self, process: Process) -> None:
        target = process.app.routes["default"].parts.target
        assert isinstance(target, HttpTarget)
        self.limits = [target.limit]
        self._target, self._process = target, process
        self._numbers = itertools.count()
        self._given = 0

    @property
    def limit(self) -> int:
        return self._target.limit

    def behave(self, *faults: Fault) -> None:
        """Let the API have these from now on; the first that strikes wins."""
        self._process.server.faults.clear()
        for fault in faults:
            self._process.server.add_fault(fault)

    async def busy_until(self, condition: Callable[[], bool]) -> None:
        """Have something to send until it is so."""
        book = self._process.server.book
        async with asyncio.timeout(LIMIT):
            while not condition():
                for _ in range(self._given - len(book.events), 2 * MOST):
                    body = {"id": f"e{next(self._numbers)}", "name": "a", "data": {}}
                    self._process.source.publish(json.dumps(body).encode(), {})
                    self._given += 1
                await self._look()

    async def passed(self, count: int) -> None:
        """Have something to send until so many more have arrived."""
        before = len(self._process.server.book.events)
        await self.busy_until(lambda: len(self._process.server.book.events) >= before + count)

    async def all_is_well(self) -> None:
        """Nothing is lost, nothing is given up, nothing came twice."""
        process = self._process
        async with asyncio.timeout(LIMIT):
            while len(process.server.book.events) < self._given or not process.idle():
                await self._look()
        assert {record.deliveries for record in process.server.book.events.values()} == {1}
        assert not process.dead_letters.buried
        assert not process.tally.faults

    async def _look(self) -> None:
        if self.limit != self.limits[-1]:
            self.limits.append(self.limit)
        await asyncio.sleep(0.002)


@asynccontextmanager
async def watched(folder: Path, *, adaptive: bool) -> AsyncIterator[Watched]:
    http = {"concurrency": MOST, "adaptive": adaptive}
    target = {"type": "trigger", "version": "v1", "key": "tr_dev", "http": http}
    async with running(Api("trigger-v1", "trigger-v1", target, at="/v1"), folder) as process:
        yield Watched(process)


@pytest.mark.parametrize("how", SHORT_OF_ROOM)
async def test_the_limit_falls_to_what_the_api_takes_and_recovers(how: str, tmp_path: Path) -> None:
    async with watched(tmp_path, adaptive=True) as made:
        made.behave(*SHORT_OF_ROOM[how], USUAL)
        await made.passed(WINDOWS)
        highest = max(made.limits)
        assert TAKES < highest < MOST, "it grew until the API objected, and no further"
        fallen = FALLEN.get(how, highest * 3 // 4)
        await made.busy_until(lambda: made.limit <= fallen)

        made.behave(USUAL)
        await made.busy_until(lambda: made.limit > highest)
        await made.all_is_well()


async def test_it_never_leaves_the_settings_behind(tmp_path: Path) -> None:
    async with watched(tmp_path, adaptive=True) as made:
        made.behave(USUAL)
        await made.busy_until(lambda: made.limit == MOST)
        await made.passed(WINDOWS)
        await made.all_is_well()
        assert max(made.limits) == MOST


@pytest.mark.parametrize("how", SHORT_OF_ROOM)
async def test_a_fixed_limit_stays_fixed(how: str, tmp_path: Path) -> None:
    async with watched(tmp_path, adaptive=False) as made:
        made.behave(*SHORT_OF_ROOM[how], USUAL)
        await made.passed(WINDOWS)
        await made.all_is_well()
        assert made.limits == [MOST]
