"""What the key log owes after `kill -9`, to a second process, and on a full disk."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from bridge.errors import StoreUnavailable
from bridge.model import Answer
from bridge.stores.sqlite import SqliteStore
from tests.contract.key_store import TTL, ask
from tests.unit.stores.child import done_keys, scheduled_key

MEBIBYTE = 1 << 20


@contextlib.contextmanager
def child(path: Path, first: int) -> Iterator[IO[str]]:
    """What a process tells that uses the store. It is killed on the way out; what it told until then can be read."""
    command = [sys.executable, "-m", "tests.unit.stores.child", str(path), str(first)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])
    assert process.stdout
    try:
        yield process.stdout
    finally:
        process.kill()
        process.wait()


def acknowledged_before_the_kill(path: Path, first: int, lines: int) -> list[dict[str, int]]:
    """Let a child work until it has told so many lines, kill it, and return all that it told."""
    with child(path, first) as stdout:
        told = [stdout.readline() for _ in range(lines)]
    with stdout:
        told += stdout.readlines()
    return [json.loads(line) for line in told if line.endswith("\n")]


async def test_nothing_acknowledged_is_missing_after_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "keys.db"
    done, scheduled = set[int](), set[int]()
    for round_ in range(4):
        told = await asyncio.to_thread(acknowledged_before_the_kill, path, round_ * 1_000_000, 150 + 70 * round_)
        done |= {line["done"] for line in told if "done" in line}
        scheduled |= {line["scheduled"] for line in told if "scheduled" in line}
    assert len(done) > 200
    store = SqliteStore(path, ttl=TTL)
    await store.open()
    for batch in done:
        assert set(await ask(store, *done_keys(batch))) == {Answer.DONE}
    assert set(await ask(store, *(scheduled_key(batch) for batch in scheduled))) == {Answer.SCHEDULED}
    assert store.stats().damaged == 0
    await store.close()


async def test_a_second_process_is_refused_with_the_path_and_a_cure(tmp_path: Path) -> None:
    path = tmp_path / "keys.db"
    store = SqliteStore(path, ttl=TTL)
    with child(path, 0) as stdout:
        await asyncio.to_thread(stdout.readline)
        with pytest.raises(StoreUnavailable, match=r"keys\.db is locked by another process\. Stop that one"):
            await store.open()
    stdout.close()
    await store.open()  # the lock went with the process
    await store.close()


def mount_tmpfs(folder: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def unmount(folder: Path) -> None:
    subprocess.run(["umount", str(folder)], check=True)


def may_mount() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        mounted = mount_tmpfs(Path(folder))
        if mounted:
            unmount(Path(folder))
        return mounted


@contextlib.contextmanager
def tmpfs(folder: Path) -> Iterator[Callable[[], None]]:
    """A real disk, of which something else leaves 3 MiB, until the callable is called."""
    assert mount_tmpfs(folder)
    other = folder / "other"
    try:
        with other.open("wb") as file, contextlib.suppress(OSError):
            while True:
                os.write(file.fileno(), bytes(4096))
        os.truncate(other, other.stat().st_size - 3 * MEBIBYTE)
        yield other.unlink
    finally:
        unmount(folder)


@contextlib.contextmanager
def limited_files(_folder: Path) -> Iterator[Callable[[], None]]:
    """No file of this process may become larger than 1 MiB, until the callable is called."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def lift() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    resource.setrlimit(resource.RLIMIT_FSIZE, (MEBIBYTE, before[1]))
    try:
        yield lift
    finally:
        lift()


@pytest.mark.parametrize("disk", [limited_files, tmpfs] if may_mount() else [limited_files])
async def test_a_full_disk_loses_nothing_and_the_store_recovers(
    tmp_path: Path, disk: Callable[[Path], contextlib.AbstractContextManager[Callable[[], None]]]
) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    path = folder / "keys.db"
    with disk(folder) as make_room:
        store = SqliteStore(path, ttl=TTL)
        await store.open()
        acknowledged = await commit_until_full(store)
        assert acknowledged > 10
        assert not store.stats().healthy
        with pytest.raises(StoreUnavailable, match="cannot be used"):
            await until_refused(store)  # what could not be marked is not to be sent
        make_room()
        await store.commit(done_keys(acknowledged), ttl=TTL)
        assert store.stats().healthy
        await store.close()
        reopened = SqliteStore(path, ttl=TTL)
        await reopened.open()
        for batch in range(acknowledged + 1):
            assert set(await ask(reopened, *done_keys(batch))) == {Answer.DONE}
        assert reopened.stats().damaged == 0
        await reopened.close()


async def commit_until_full(store: SqliteStore) -> int:
    batch = 0
    with contextlib.suppress(StoreUnavailable):
        while True:
            await store.commit(done_keys(batch), ttl=TTL)
            batch += 1
    return batch


async def until_refused(store: SqliteStore) -> None:
    """The probe of a claim is small: it may still find room, but not for ever."""
    for number in range(1_000):
        with contextlib.suppress(StoreUnavailable):
            await store.commit(done_keys(1_000_000), ttl=TTL)
        await ask(store, scheduled_key(number))
