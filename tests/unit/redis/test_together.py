"""Calls that share a run with those that come at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from bridge.errors import StoreUnavailable
from bridge.redis.together import Together


class Runs:
    """Remembers what it was run with, and ends a run when it is told to."""

    def __init__(self) -> None:
        self.keys: list[list[bytes]] = []
        self.ends: list[asyncio.Future[None]] = []

    async def __call__(self, keys: Sequence[bytes]) -> None:
        self.keys.append(list(keys))
        self.ends.append(asyncio.get_running_loop().create_future())
        await self.ends[-1]

    async def begun(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(self.ends) < count:  # noqa: ASYNC110  the turns of the loop until then
                await asyncio.sleep(0)


def call(together: Together, *keys: bytes) -> asyncio.Task[None]:
    return asyncio.create_task(together(keys))


async def test_calls_of_one_turn_share_a_run_and_those_that_come_meanwhile_the_next() -> None:
    runs = Runs()
    together = Together(runs)
    first = [call(together, b"a"), call(together, b"b", b"c")]
    await runs.begun(1)
    later = [call(together, b"d"), call(together, b"e")]
    await asyncio.sleep(0)
    assert runs.keys == [[b"a", b"b", b"c"]]
    runs.ends[0].set_result(None)
    await asyncio.gather(*first)
    await runs.begun(2)
    assert not any(task.done() for task in later)
    runs.ends[1].set_result(None)
    await asyncio.gather(*later)
    assert runs.keys[1:] == [[b"d", b"e"]]


async def test_a_failure_is_that_of_all_who_shared_the_run_and_of_nobody_else() -> None:
    runs = Runs()
    together = Together(runs)
    first = [call(together, b"a"), call(together, b"b")]
    await runs.begun(1)
    later = call(together, b"c")
    runs.ends[0].set_exception(StoreUnavailable("gone"))
    await runs.begun(2)
    runs.ends[1].set_result(None)
    for task in first:
        with pytest.raises(StoreUnavailable, match="gone"):
            await task
    await later


async def test_who_is_cancelled_takes_nobody_along() -> None:
    runs = Runs()
    together = Together(runs)
    impatient, patient = call(together, b"a"), call(together, b"b")
    await runs.begun(1)
    impatient.cancel()
    await asyncio.wait([impatient])
    runs.ends[0].set_result(None)
    await patient
    assert impatient.cancelled()
    await together.close()
    assert runs.keys == [[b"a", b"b"]]
