"""What the key log does beyond the contract: restarts, generations, limits and a disk that does not answer."""

from __future__ import annotations

import asyncio
import gc
import logging
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import ConfigError, StoreUnavailable
from bridge.model import Answer, Ask, Move, Schedule, Stage, State
from bridge.stores import sqlite as sqlite_module
from bridge.stores import writer as writer_module
from bridge.stores.generations import SHARDS
from bridge.stores.keylog import KeyLog
from bridge.stores.sqlite import SqliteStore
from tests.contract.key_store import LEASE, TTL, A, B, FakeClock, ask, ask_due, put_aside

QUARTER = TTL / 4


def numbered(count: int, start: int = 0) -> list[bytes]:
    """Keys spread over the shards, as hashes are."""
    return [(number * 2_654_435_761 % (1 << 32)).to_bytes(4, "big") * 4 for number in range(start, start + count)]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.db"


@pytest.fixture
async def store(path: Path, clock: FakeClock) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, ttl=TTL, clock=clock)
    await store.open()
    yield store
    await store.close()


async def restart(store: SqliteStore) -> None:
    await store.close()
    await store.open()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  what it waits for happens in a thread
            await asyncio.sleep(0.01)


def tables(path: Path) -> list[str]:
    """The generations in the file, as anybody may see them while the store is open."""
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE name GLOB 'g*' ORDER BY name")]
    finally:
        db.close()


async def test_a_restart_keeps_what_is_done_scheduled_and_cancelled_and_drops_claims(
    store: SqliteStore, clock: FakeClock
) -> None:
    done, scheduled, cancelled, claimed, due = numbered(5)
    await store.commit([done], ttl=TTL)
    for key in (scheduled, cancelled, due):
        await put_aside(store, clock, key, gen=2)
    await store.cancel([cancelled], ttl=TTL)
    await ask(store, claimed)
    await ask_due(store, due, gen=2)
    await restart(store)
    answers = await ask(store, done, scheduled, cancelled, claimed, due)
    assert answers == [Answer.DONE, Answer.SCHEDULED, Answer.CANCELLED, Answer.GRANTED, Answer.SCHEDULED]
    assert await ask_due(store, due, gen=1) is Answer.CANCELLED
    assert await ask_due(store, due, gen=2) is Answer.GRANTED


async def test_a_scheduled_key_that_is_done_leaves_no_row_behind(
    store: SqliteStore, clock: FakeClock, path: Path
) -> None:
    await put_aside(store, clock, A)
    await ask_due(store, A, gen=1)
    await store.commit([A], ttl=TTL)
    await store.close()
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM sched").fetchall() == [(0,)]
    db.close()


async def test_expired_rows_are_deleted(store: SqliteStore, clock: FakeClock, path: Path) -> None:
    await put_aside(store, clock, A, delay=60)
    clock.advance(60 + TTL + 60)
    store.tick()
    assert store.stats().scheduled == 0
    await put_aside(store, clock, B, delay=60)
    await store.close()
    clock.advance(60 + TTL)
    await store.open()
    assert store.stats().scheduled == 0
    await store.close()
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM sched").fetchall() == [(0,)]
    db.close()


async def test_generations_begin_every_quarter_of_the_ttl_and_go_one_by_one(
    store: SqliteStore, clock: FakeClock, path: Path
) -> None:
    keys = numbered(10)
    for key in keys:
        await store.commit([key], ttl=TTL)
        clock.advance(QUARTER)
        store.tick()
    answers = await ask(store, *keys)
    remembered = answers.count(Answer.DONE)
    assert answers == [Answer.GRANTED] * (10 - remembered) + [Answer.DONE] * remembered
    assert remembered == 4  # the last one was committed a quarter ago, the oldest a whole ttl ago
    await until(lambda: len(tables(path)) == remembered)
    assert len({id(shards) for shards in store._done._live.values()}) == remembered


async def test_generations_that_expired_while_nobody_ran_are_dropped_at_the_start(
    store: SqliteStore, clock: FakeClock, path: Path
) -> None:
    await store.commit(numbered(50), ttl=TTL)
    await store.close()
    clock.advance(1.25 * TTL)
    await store.open()
    assert store.stats().keys == 0
    await until(lambda: tables(path) == [])


async def test_a_restart_goes_on_with_the_generation_it_finds(store: SqliteStore, clock: FakeClock, path: Path) -> None:
    for key in numbered(3):
        await store.commit([key], ttl=TTL)
        await restart(store)
        clock.advance(1)
    assert len(tables(path)) == 1


async def test_a_clock_that_steps_back_forgets_nothing_and_keeps_nothing_for_ever(
    store: SqliteStore, clock: FakeClock
) -> None:
    clock.advance(365 * 86_400)  # wrong by a year
    await store.commit([A], ttl=TTL)
    clock.advance(-365 * 86_400)
    await store.commit([B], ttl=TTL)
    assert await ask(store, A, B) == [Answer.DONE, Answer.DONE]
    await restart(store)
    clock.advance(TTL - 1)
    store.tick()
    assert await ask(store, A, B) == [Answer.DONE, Answer.DONE]
    clock.advance(QUARTER + 1)
    store.tick()
    assert await ask(store, A, B) == [Answer.GRANTED, Answer.GRANTED]


async def test_another_ttl_than_before_is_no_problem(path: Path, clock: FakeClock) -> None:
    for ttl in (TTL, TTL * 24, TTL / 24):
        store = SqliteStore(path, ttl=ttl, clock=clock)
        await store.open()
        await store.commit([A], ttl=ttl)
        await store.close()
        await store.open()
        assert await ask(store, A) == [Answer.DONE]
        await store.close()


async def test_beyond_max_keys_the_oldest_go_early_and_it_is_said(
    path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    store = SqliteStore(path, ttl=TTL, max_keys=1_000, clock=clock)
    await store.open()
    keys = numbered(1_600)
    with caplog.at_level(logging.WARNING):
        for at in range(0, len(keys), 100):
            await store.commit(keys[at : at + 100], ttl=TTL)
            clock.advance(1)
            store.tick()
    stats = store.stats()
    assert stats.keys <= 1_000
    assert stats.keys + stats.evicted == 1_600
    answers = await ask(store, *keys)
    assert answers == [Answer.GRANTED] * stats.evicted + [Answer.DONE] * stats.keys
    assert {record.message for record in caplog.records} == {"store_keys_evicted"}
    await store.close()


async def test_beyond_max_keys_an_event_is_held_without_a_record(path: Path, clock: FakeClock) -> None:
    store = SqliteStore(path, ttl=TTL, max_keys=1_000, clock=clock)
    await store.open()
    keys = numbered(1_001)
    await ask(store, *keys)
    await store.schedule([Schedule(key, 1, clock.now + 1_000) for key in keys], owner="me", ttl=TTL)
    stats = store.stats()
    assert (stats.scheduled, stats.unrecorded, stats.claims) == (1_000, 1, 0)
    assert await ask(store, keys[0], keys[-1]) == [Answer.SCHEDULED, Answer.GRANTED]
    await store.close()


async def test_a_ttl_that_cannot_be_kept_is_refused(store: SqliteStore) -> None:
    with pytest.raises(ValueError, match="more than the 3600 s"):
        await store.commit([A], ttl=TTL + 1)


async def test_large_clears_take_one_shard_a_turn_of_the_loop(store: SqliteStore, clock: FakeClock) -> None:
    await store.commit(numbered(20_000), ttl=TTL)
    [shards] = store._done._live.values()
    assert sum(map(bool, shards)) == SHARDS
    clock.advance(1.25 * TTL)
    store.tick()
    left = [sum(map(bool, shards))]
    while left[-1]:
        await asyncio.sleep(0)
        left.append(sum(map(bool, shards)))
    assert all(before - after <= 1 for before, after in pairwise(left))


async def test_every_set_is_there_before_the_collector_is_frozen(store: SqliteStore, clock: FakeClock) -> None:
    """Sets made before `gc.freeze()` are never walked by a full collection, however full they get."""
    gc.collect()
    gc.freeze()
    try:
        for number in range(20):
            await store.commit(numbered(1_000, start=number * 1_000), ttl=TTL)
            clock.advance(QUARTER)
            store.tick()
            for _ in range(SHARDS + 1):  # a turn for each shard to be cleared
                await asyncio.sleep(0)
        in_use = {id(shard) for shards in store._done._live.values() for shard in shards}
        assert not in_use & {id(thing) for thing in gc.get_objects() if isinstance(thing, set)}
    finally:
        gc.unfreeze()


def writers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "key-store-writer"}


class StuckDisk:
    """Stands in the way of the log's writes until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gate = threading.Event()
        self.groups: list[int] = []
        write = KeyLog.write

        def slow(log: KeyLog, entries: list[object]) -> int:
            self.gate.wait(20)
            self.groups.append(len(entries))
            return write(log, entries)  # type: ignore[arg-type]

        monkeypatch.setattr(KeyLog, "write", slow)


async def test_a_key_is_busy_until_its_commit_is_on_disk(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = StuckDisk(monkeypatch)
    await ask(store, A)
    committing = asyncio.create_task(store.commit([A], ttl=TTL))
    await asyncio.sleep(0)
    assert await ask(store, A, owner="you") == [Answer.BUSY]
    assert not committing.done()
    disk.gate.set()
    await committing
    assert await ask(store, A, owner="you") == [Answer.DONE]


async def test_commits_that_wait_together_are_written_together(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = StuckDisk(monkeypatch)
    commits = [asyncio.create_task(store.commit([key], ttl=TTL)) for key in numbered(700)]
    await asyncio.sleep(0)
    disk.gate.set()
    await asyncio.gather(*commits)
    assert sum(disk.groups) == 700
    assert len(disk.groups) <= 3  # perhaps the first alone, then the limit of 512


async def test_a_copy_that_comes_due_while_it_is_cancelled_is_busy(
    store: SqliteStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put_aside(store, clock, A, gen=1)
    disk = StuckDisk(monkeypatch)
    cancelling = asyncio.create_task(store.cancel([A], ttl=TTL))
    await asyncio.sleep(0)
    assert await ask_due(store, A, gen=1) is Answer.BUSY
    disk.gate.set()
    assert [each.state for each in await cancelling] == [State.SCHEDULED]
    assert await ask_due(store, A, gen=1) is Answer.CANCELLED


async def test_who_stops_waiting_does_not_undo_the_write(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = StuckDisk(monkeypatch)
    committing = asyncio.create_task(store.commit([A], ttl=TTL))
    await asyncio.sleep(0)
    committing.cancel()
    await asyncio.gather(committing, return_exceptions=True)
    disk.gate.set()
    await store.commit([B], ttl=TTL)
    assert await ask(store, A) == [Answer.DONE]


async def test_a_schedule_that_is_written_too_late_takes_no_claim_away(
    store: SqliteStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = StuckDisk(monkeypatch)
    await ask(store, A)
    scheduling = asyncio.create_task(store.schedule([Schedule(A, 1, clock.now)], owner="me", ttl=TTL))
    await asyncio.sleep(0)
    clock.advance(LEASE)
    assert await ask(store, A, owner="you") == [Answer.GRANTED]
    disk.gate.set()
    await scheduling
    assert await store.renew([A], owner="you", lease=LEASE) == [True]


async def test_a_disk_that_does_not_answer_is_unavailable_and_then_forgiven(
    path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_module, "_DISK_LIMIT", 0.05)
    store = SqliteStore(path, ttl=TTL, clock=clock)
    await store.open()
    await put_aside(store, clock, B, gen=1)
    disk = StuckDisk(monkeypatch)
    with pytest.raises(StoreUnavailable, match=r"no answer in 0\.05 s"):
        await store.commit([A], ttl=TTL)
    with pytest.raises(StoreUnavailable, match=r"no answer in 0\.05 s"):
        await ask(store, numbered(1)[0])
    with pytest.raises(StoreUnavailable, match=r"no answer in 0\.05 s"):
        await store.cancel([B], ttl=TTL)
    assert not store.stats().healthy
    disk.gate.set()
    assert await ask(store, A) == [Answer.DONE]  # the late write counts
    assert store.stats().healthy
    await store.close()


async def test_close_gives_up_on_a_disk_that_does_not_answer(
    path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer_module, "_CLOSE_LIMIT", 0.05)
    before = writers()
    store = SqliteStore(path, ttl=TTL, clock=clock)
    await store.open()
    disk = StuckDisk(monkeypatch)
    committing = asyncio.create_task(store.commit([A], ttl=TTL))
    await asyncio.sleep(0)
    await store.close()
    with pytest.raises(StoreUnavailable, match="was closed"):
        await committing
    assert "key_store_close_timeout" in caplog.messages
    disk.gate.set()
    await until(lambda: not writers() - before)


async def test_a_fault_in_the_log_fails_the_write_and_not_the_thread(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(KeyLog, "write", lambda *_args: 1 / 0)
        with pytest.raises(StoreUnavailable, match="division by zero"):
            await store.commit([A], ttl=TTL)
    await store.commit([A], ttl=TTL)
    assert await ask(store, A) == [Answer.DONE]


async def test_a_failed_cancel_leaves_it_scheduled(
    store: SqliteStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put_aside(store, clock, A, gen=1)
    with monkeypatch.context() as broken:
        broken.setattr(KeyLog, "write", lambda *_args: 1 / 0)
        with pytest.raises(StoreUnavailable):
            await store.cancel([A], ttl=TTL)
    assert await ask_due(store, A, gen=1) is Answer.GRANTED


async def test_a_failed_flush_is_tried_again(
    store: SqliteStore, clock: FakeClock, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await store.commit([A], ttl=TTL)
    with monkeypatch.context() as broken:
        broken.setattr(KeyLog, "flush", lambda *_args: 1 / 0)
        clock.advance(1.25 * TTL)
        store.tick()
        await until(lambda: "key_store_flush_failed" in caplog.messages)
    await until(lambda: tables(path) == [])


@pytest.mark.parametrize("work", ["claim", "renew", "commit", "release", "schedule", "cancel", "move", "look"])
async def test_a_store_that_is_not_open_says_so(path: Path, work: str) -> None:
    store = SqliteStore(path, ttl=TTL)
    calls: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
        "claim": lambda: store.claim([Ask(A)], owner="me", lease=LEASE),
        "renew": lambda: store.renew([A], owner="me", lease=LEASE),
        "commit": lambda: store.commit([A], ttl=TTL),
        "release": lambda: store.release([A], owner="me"),
        "schedule": lambda: store.schedule([Schedule(A, 1, 0)], owner="me", ttl=TTL),
        "cancel": lambda: store.cancel([A], ttl=TTL),
        "move": lambda: store.move([Move(A, 0)], ttl=TTL),
        "look": lambda: store.look([A]),
    }
    with pytest.raises(StoreUnavailable, match="is not open"):
        await calls[work]()


async def test_two_stores_of_one_process_do_not_share_a_file(store: SqliteStore, path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="is locked by another process"):
        await SqliteStore(path).open()
    await store.commit([A], ttl=TTL)


def no_directory(folder: Path) -> Path:
    return folder / "missing" / "keys.db"


def a_directory(folder: Path) -> Path:
    (folder / "keys.db").mkdir()
    return folder / "keys.db"


def not_writable(_folder: Path) -> Path:
    return Path("/proc/keys.db")


@pytest.mark.parametrize("place", [no_directory, a_directory, not_writable])
async def test_a_path_that_can_never_work_is_a_matter_of_configuration(
    tmp_path: Path, place: Callable[[Path], Path]
) -> None:
    store = SqliteStore(place(tmp_path))
    with pytest.raises(ConfigError) as caught:
        await store.open()
    assert caught.value.field == "store.path"
    assert "another path" in caught.value.cure


async def test_a_disk_too_small_for_max_keys_is_said_at_the_start(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = SqliteStore(path, max_keys=10**15)
    await store.open()
    await store.close()
    assert "key_store_disk_small" in caplog.messages


@pytest.mark.parametrize("synchronous", ["normal", "full"])
async def test_synchronous_is_what_the_settings_say(path: Path, synchronous: str) -> None:
    store = SqliteStore(path, synchronous=synchronous)  # type: ignore[arg-type]
    await store.open()
    assert store._log
    assert store._log._file.db.execute("PRAGMA synchronous").fetchall() == [({"normal": 1, "full": 2}[synchronous],)]
    await store.commit([A], ttl=TTL)
    await store.close()


async def test_the_database_can_be_looked_into_while_it_is_in_use(store: SqliteStore, path: Path) -> None:
    key = numbered(5)[3]
    await store.commit(numbered(5), ttl=TTL)
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    [generation] = tables(path)
    found = db.execute(f"SELECT i FROM {generation} WHERE instr(keys, ?)", (key,)).fetchall()  # noqa: S608  a name of the store's
    db.close()
    assert len(found) == 1
    await store.commit([A], ttl=TTL)
    assert await store.claim([Ask(A, Stage.DUE)], owner="me", lease=LEASE)
