from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from bridge import owed
from bridge.core.tally import Tally
from bridge.errors import StoreUnavailable
from bridge.model import State
from bridge.owed import Owed
from bridge.stores.memory import MemoryStore

A, B, C = (bytes([number]) * 16 for number in range(3))


class Away(MemoryStore):
    away = True

    async def commit(self, keys: Sequence[bytes], *, ttl: float) -> None:
        if self.away:
            raise StoreUnavailable("down")
        await super().commit(keys, ttl=ttl)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Away:
    monkeypatch.setattr(owed, "_PAUSE", 0.01)
    return Away()


@asynccontextmanager
async def running(marks: Owed) -> AsyncIterator[None]:
    task = asyncio.create_task(marks.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until_empty(marks: Owed) -> None:
    async with asyncio.timeout(20):
        while len(marks):  # noqa: ASYNC110  it tells nobody
            await asyncio.sleep(0.01)


async def test_what_is_owed_is_marked_once_the_store_is_back(store: Away, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owed, "_AT_ONCE", 2)
    tally = Tally()
    marks = Owed(store, tally, ttl=60, max_hold=300)
    async with running(marks):
        for _ in range(2):  # after the first time it waits, and is woken again
            store.away = True
            marks.owe([A, B])
            marks.owe([B, C])
            assert len(marks) == 3
            store.away = False
            await until_empty(marks)
    assert {standing.state for standing in await store.look([A, B, C])} == {State.DONE}
    assert tally.marks_failed == 0


async def test_what_the_store_does_not_take_in_time_is_given_up_and_counted(store: Away) -> None:
    tally = Tally()
    marks = Owed(store, tally, ttl=60, max_hold=0.05)
    async with running(marks):
        marks.owe([A, B])
        await until_empty(marks)
    assert tally.marks_failed == 2


async def test_of_too_many_the_oldest_are_given_up(store: Away, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owed, "_MOST", 2)
    tally = Tally()
    marks = Owed(store, tally, ttl=60, max_hold=300)
    marks.owe([A, B, C])
    assert (len(marks), tally.marks_failed) == (2, 1)
    store.away = False
    await marks.close()
    assert [standing.state for standing in await store.look([A, B, C])] == [State.UNKNOWN, State.DONE, State.DONE]


async def test_at_the_end_it_is_tried_once_more_and_the_rest_counted(store: Away) -> None:
    tally = Tally()
    marks = Owed(store, tally, ttl=60, max_hold=300)
    marks.owe([A])
    await marks.close()
    assert (len(marks), tally.marks_failed) == (0, 1)
