from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.errors import StoreUnavailable
from bridge.stores.keylog import Entry, KeyLog
from tests.contract.key_store import A, B, C, FakeClock

SPAN = 1_000


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def log(tmp_path: Path, clock: FakeClock) -> Iterator[KeyLog]:
    log = KeyLog(tmp_path / "keys.db", span=SPAN, full=3, synchronous="normal", clock=clock)
    log.open()
    yield log
    log.close()


def contents(log: KeyLog) -> dict[int, list[bytes]]:
    return {born: [key for block in log.blocks(born) for key in block] for born in log.births()}


def test_what_is_written_together_is_one_block(log: KeyLog) -> None:
    born = log.write([Entry(keys=[A]), Entry(keys=[B, C])])
    assert list(log.blocks(born)) == [[A, B, C]]


def test_a_generation_ends_with_its_span(log: KeyLog, clock: FakeClock) -> None:
    first = log.write([Entry(keys=[A])])
    clock.now += SPAN - 1
    assert log.write([Entry(keys=[B])]) == first
    clock.now += 1
    assert log.write([Entry(keys=[C])]) == clock.now
    assert contents(log) == {first: [A, B], clock.now: [C]}


def test_a_generation_ends_when_it_is_full(log: KeyLog, clock: FakeClock) -> None:
    first = log.write([Entry(keys=[A, B])])
    clock.now += 1
    assert log.write([Entry(keys=[C])]) == first
    clock.now += 1
    assert log.write([Entry(keys=[A])]) == clock.now


def test_a_condemned_generation_takes_no_more_keys(log: KeyLog, clock: FakeClock) -> None:
    condemned = log.write([Entry(keys=[A])])
    log.condemn(condemned)
    clock.now += 1
    kept = log.write([Entry(keys=[B])])
    log.flush()
    assert contents(log) == {kept: [B]}


def test_a_write_is_all_or_nothing(log: KeyLog) -> None:
    with pytest.raises(OverflowError):
        log.write([Entry(keys=[A]), Entry(put=[(B, 0, 0, 0, 0, 1 << 70)])])
    assert contents(log) == {}
    log.write([Entry(keys=[A])])
    assert list(contents(log).values()) == [[A]]


def test_a_closed_log_says_so(log: KeyLog) -> None:
    log.close()
    log.close()
    with pytest.raises(StoreUnavailable, match="is closed"):
        log.write([Entry(keys=[A])])
