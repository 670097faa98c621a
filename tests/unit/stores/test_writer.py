"""Which entries share a commit, and that nobody waits for entries that are not to come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.stores.keylog import Entry, KeyLog
from bridge.stores.writer import Writer
from tests.contract.key_store import A, B, C, FakeClock

NEVER = 3_600.0  # seconds; longer than any test


class CountedLog(KeyLog):
    """Knows how many keys each commit had."""

    commits: list[int]

    def write(self, entries: Sequence[Entry]) -> int:
        self.commits.append(sum(len(entry.keys) for entry in entries))
        return super().write(entries)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[CountedLog]:
    log = CountedLog(tmp_path / "keys.db", span=10_000, full=100, synchronous="normal", clock=FakeClock())
    log.commits = []
    log.open()
    yield log
    log.close()


@asynccontextmanager
async def writing(log: KeyLog, *, expected: int, gather: float) -> AsyncIterator[Writer]:
    writer = Writer(log, limit=60.0, gather=gather, expected=lambda: expected)
    writer.start()
    try:
        yield writer
    finally:
        await writer.stop()


def submit(writer: Writer, *keys: bytes) -> asyncio.Future[None]:
    return writer.submit(Entry(keys=keys), lambda _born: None)


async def test_who_is_alone_waits_for_nobody(log: CountedLog) -> None:
    async with writing(log, expected=1, gather=NEVER) as writer:
        await asyncio.wait_for(submit(writer, A), 30)
    assert log.commits == [1]


async def test_all_that_are_expected_share_a_commit(log: CountedLog) -> None:
    async with writing(log, expected=3, gather=NEVER) as writer:
        first = submit(writer, A)
        await asyncio.sleep(0.01)
        assert log.commits == [], "two more are to come"
        second = submit(writer, B, C)
        await asyncio.wait_for(asyncio.gather(first, second), 30)
    assert log.commits == [3]


async def test_those_of_one_turn_share_a_commit_although_nothing_was_expected(log: CountedLog) -> None:
    async with writing(log, expected=0, gather=NEVER) as writer:
        await asyncio.wait_for(asyncio.gather(submit(writer, A), submit(writer, B)), 30)
    assert log.commits == [2]


async def test_what_does_not_come_is_waited_for_only_so_long(log: CountedLog) -> None:
    async with writing(log, expected=100, gather=0.01) as writer:
        await asyncio.wait_for(submit(writer, A), 30)
        await asyncio.wait_for(submit(writer, B), 30)
    assert log.commits == [1, 1]


async def test_more_calls_than_a_commit_takes_are_all_written_in_order(log: CountedLog) -> None:
    answered: list[int] = []

    def submit_one(writer: Writer, number: int) -> asyncio.Future[None]:
        return writer.submit(Entry(keys=[number.to_bytes(16, "big")]), lambda _born: answered.append(number))

    async with writing(log, expected=10_000, gather=0.01) as writer:
        futures = [submit_one(writer, number) for number in range(1_100)]
        await asyncio.wait_for(asyncio.gather(*futures), 30)
    assert answered == list(range(1_100))
    assert log.commits == [512, 512, 76]


async def test_stopping_writes_what_still_waits_for_others(log: CountedLog) -> None:
    async with writing(log, expected=100, gather=NEVER) as writer:
        waiting = submit(writer, A)
    assert log.commits == [1]
    await asyncio.wait_for(waiting, 30)
