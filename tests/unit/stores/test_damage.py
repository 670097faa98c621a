"""A damaged file: what is sound is kept, what is not is reported, the file is set aside, and the store goes on."""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.core.claims import Cancelled, Scheduled
from bridge.errors import ConfigError
from bridge.model import Answer, Ask, Schedule, Stage
from bridge.stores import schema
from bridge.stores.sqlite import SqliteStore
from tests.contract.key_store import TTL, FakeClock, ask

PAGE = 4_096
BLOCKS, A_BLOCK = 60, 50
DONE = [random.Random(number).randbytes(16) for number in range(BLOCKS * A_BLOCK)]
SCHEDULED = [random.Random(10_000 + number).randbytes(16) for number in range(300)]


@dataclass
class Found:
    """What a store still knew of the sound file, and what it said about the rest."""

    lost_keys: int
    copies: set[Answer]
    damaged: int
    set_aside: int


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a key log with many blocks and rows."""
    path = tmp_path_factory.mktemp("sound") / "keys.db"

    async def make() -> None:
        clock = FakeClock()
        store = SqliteStore(path, ttl=TTL, clock=clock)
        await store.open()
        for at in range(0, len(DONE), A_BLOCK):
            await store.commit(DONE[at : at + A_BLOCK], ttl=TTL)
        await ask(store, *SCHEDULED)
        await store.schedule([Schedule(key, 1, clock.now) for key in SCHEDULED], owner="me", ttl=TTL)
        await store.close()

    asyncio.run(make())
    return path.read_bytes()


def placed(folder: Path, content: bytes) -> Path:
    folder.mkdir()
    path = folder / "keys.db"
    path.write_bytes(content)
    return path


def set_aside(path: Path) -> int:
    return len(list(path.parent.glob("keys.db.damaged-*")))


async def open_damaged(folder: Path, damaged: bytes) -> Found:
    """Open the file, look at everything, and show that it can be written and opened again."""
    path = placed(folder, damaged)
    store = SqliteStore(path, ttl=TTL, clock=FakeClock())
    await store.open()
    lost = [key for key, answer in zip(DONE, await ask(store, *DONE), strict=True) if answer is not Answer.DONE]
    copies = await store.claim([Ask(key, Stage.DUE, 1) for key in SCHEDULED], owner="me", lease=40)
    await store.commit(lost, ttl=TTL)
    found = Found(
        lost_keys=len(lost),
        copies={copy.answer for copy in copies},
        damaged=store.stats().damaged,
        set_aside=set_aside(path),
    )
    await store.close()
    again = SqliteStore(path, ttl=TTL, clock=FakeClock())
    await again.open()
    assert set(await ask(again, *DONE)) == {Answer.DONE}
    assert again.stats().damaged == 0
    await again.close()
    return found


def flipped(sound: bytes, at: int, bit: int) -> bytes:
    return sound[:at] + bytes([sound[at] ^ 1 << bit]) + sound[at + 1 :]


async def test_a_sound_file_is_left_alone(tmp_path: Path, sound: bytes) -> None:
    assert await open_damaged(tmp_path / "x", sound) == Found(0, {Answer.GRANTED}, damaged=0, set_aside=0)


async def test_a_flipped_bit_in_a_block_costs_that_block(
    tmp_path: Path, sound: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    at = sound.index(DONE[A_BLOCK * 7 + 3])
    with caplog.at_level(logging.ERROR):
        found = await open_damaged(tmp_path / "x", flipped(sound, at, 3))
    assert found == Found(A_BLOCK, {Answer.GRANTED}, damaged=1, set_aside=1)
    assert [record.message for record in caplog.records] == ["key_store_damaged"]


async def test_a_zeroed_page_costs_what_is_on_it(tmp_path: Path, sound: bytes) -> None:
    at = sound.index(DONE[A_BLOCK * 7]) // PAGE * PAGE
    found = await open_damaged(tmp_path / "x", sound[:at] + bytes(PAGE) + sound[at + PAGE :])
    assert A_BLOCK <= found.lost_keys <= A_BLOCK * 8
    assert (found.damaged > 0, found.set_aside) == (True, 1)


async def test_a_file_that_was_cut_short_gives_what_is_left(tmp_path: Path, sound: bytes) -> None:
    found = await open_damaged(tmp_path / "x", sound[: len(sound) // PAGE // 2 * PAGE])
    assert 0 < found.lost_keys < len(DONE)
    assert (found.damaged > 0, found.set_aside) == (True, 1)


@pytest.mark.parametrize("size", [100, PAGE, 3 * PAGE])
async def test_a_file_without_a_head_is_set_aside_whole(tmp_path: Path, sound: bytes, size: int) -> None:
    found = await open_damaged(tmp_path / "x", b"\xff" * size + sound[size:])
    assert (found.lost_keys, found.damaged, found.set_aside) == (len(DONE), 1, 1)


async def test_a_generation_hidden_by_one_bit_is_noticed(tmp_path: Path, sound: bytes) -> None:
    """SQLite has no complaint about a list of tables that is one shorter; only the pages of nobody tell."""
    cells = 104  # low byte of the number of tables, in the header of the first page
    found = await open_damaged(tmp_path / "x", sound[:cells] + bytes([sound[cells] - 1]) + sound[cells + 1 :])
    assert found == Found(len(DONE), {Answer.GRANTED}, damaged=1, set_aside=1)


async def test_no_flipped_bit_loses_a_copy_or_goes_unreported(tmp_path: Path, sound: bytes) -> None:
    """
    The head and the list of tables bit by bit as it comes, the rest at random.

    A copy from the delay line must always be GRANTED: CANCELLED or DONE for it would be an event lost.
    """
    chance = random.Random(7)
    places = [chance.randrange(200) for _ in range(20)]
    places += [chance.randrange(PAGE - 700, PAGE) for _ in range(20)]
    places += [chance.randrange(len(sound)) for _ in range(40)]
    for number, at in enumerate(places):
        found = await open_damaged(tmp_path / str(number), flipped(sound, at, chance.randrange(8)))
        assert found.copies == {Answer.GRANTED}, at
        assert not found.lost_keys or found.damaged, at


async def test_damage_while_running_is_mended_with_the_next_write(tmp_path: Path) -> None:
    path = tmp_path / "keys.db"
    store = SqliteStore(path, ttl=TTL, clock=FakeClock())
    await store.open()
    await store.commit(DONE[:100], ttl=TTL)
    await ask(store, DONE[100])
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE sched")
    db.close()
    await store.schedule([Schedule(DONE[100], 1, 0)], owner="me", ttl=TTL)
    assert store.stats().damaged > 0
    assert set_aside(path) == 1
    await store.close()
    await store.open()
    assert set(await ask(store, *DONE[:101])) == {Answer.DONE, Answer.SCHEDULED}
    await store.close()


@pytest.mark.parametrize("record", [Scheduled(3, 1_700_000_000_000, 1_800_000_000_000), Cancelled(0, 5)])
def test_a_row_tells_its_record_or_nothing(record: Scheduled | Cancelled) -> None:
    key = DONE[0]
    row = schema.row_of(key, record)
    assert schema.record_of(row) == (key, record)
    for column in range(len(row)):
        for wrong in (row[column] + 1 if column else bytes(16), None, "text", 1 << 70, b""):  # type: ignore[operator]
            assert schema.record_of((*row[:column], wrong, *row[column + 1 :])) is None


async def test_the_database_of_something_else_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "orders.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE orders(id INTEGER)")
    db.close()
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=r"orders\.db is a database of something else"):
        await SqliteStore(path).open()
    assert path.read_bytes() == before
