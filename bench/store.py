"""
What the key stores cost: CPU time of claim and commit an event, with so many keys already stored.

    python -m bench.store [--keys 1000000] [--rounds 3]

An event is one exact lookup and claim, and one durable mark if it is new; one in ten is a duplicate, drawn from all
stored keys. CPU time is that of all threads. The stores take turns, and the best of the rounds counts, so that the
ratios hold on a machine that does other things as well. `rows` is the comparison: a table with one key a row.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bridge.model import Answer, Ask, Claim
from bridge.stores.memory import MemoryStore
from bridge.stores.sqlite import SqliteStore

TTL = 86_400.0
EVENTS = 20_000  # a measurement
SHAPES = [(1, 1), (1, 64), (16, 8), (100, 1), (100, 8), (500, 4)]  # events a batch, batches at a time


class RowStore:
    """One key a row, as is usual: WAL, NORMAL, a transaction a batch, in a thread so that the loop goes on."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._lock = asyncio.Lock()
        self._claims: dict[bytes, float] = {}

    async def open(self) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "cache_size=-65536"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.execute("CREATE TABLE keys(k BLOB PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID")

    async def close(self) -> None:
        self._db.close()

    async def claim(self, asks: Sequence[Ask], *, owner: str, lease: float) -> list[Claim]:  # noqa: ARG002  the port's
        keys = [ask.key for ask in asks]
        async with self._lock:
            done = await asyncio.to_thread(self._done, keys)
        until = time.monotonic() + lease
        answers = []
        for key in keys:
            busy = key not in done and self._claims.get(key, 0.0) > until - lease
            answers.append(Claim(Answer.DONE if key in done else Answer.BUSY if busy else Answer.GRANTED))
            if answers[-1].answer is Answer.GRANTED:
                self._claims[key] = until
        return answers

    def _done(self, keys: list[bytes]) -> set[bytes]:
        marks = ",".join("?" * len(keys))
        return {key for (key,) in self._db.execute(f"SELECT k FROM keys WHERE k IN ({marks})", keys)}  # noqa: S608

    async def commit(self, keys: Sequence[bytes], *, ttl: float) -> None:
        async with self._lock:
            await asyncio.to_thread(self._insert, keys, int(time.time() + ttl))
        for key in keys:
            self._claims.pop(key, None)

    def _insert(self, keys: Sequence[bytes], until: int) -> None:
        self._db.execute("BEGIN")
        self._db.executemany("INSERT OR REPLACE INTO keys VALUES(?, ?)", [(key, until) for key in keys])
        self._db.execute("COMMIT")


Store = MemoryStore | SqliteStore | RowStore


@dataclass
class Contestant:
    name: str
    store: Store
    stored: list[bytes]
    loading: float = 0.0


async def load(contestant: Contestant, count: int) -> None:
    begun = time.process_time()
    for _ in range(0, count, 500):
        keys = [random.randbytes(16) for _ in range(500)]
        await contestant.store.commit(keys, ttl=TTL)
        contestant.stored += keys
    contestant.loading = (time.process_time() - begun) / count * 1e6


def batches(stored: Sequence[bytes], size: int) -> list[list[Ask]]:
    keys = [random.choice(stored) if random.random() < 0.1 else random.randbytes(16) for _ in range(EVENTS)]
    return [[Ask(key) for key in keys[at : at + size]] for at in range(0, EVENTS, size)]


async def measure(contestant: Contestant, size: int, at_a_time: int) -> float:
    """Return CPU microseconds an event."""
    store, todo = contestant.store, batches(contestant.stored, size)
    done = 0

    async def worker() -> None:
        nonlocal done
        while todo:
            asks = todo.pop()
            claims = await store.claim(asks, owner="bench", lease=40.0)
            fresh = [ask.key for ask, claim in zip(asks, claims, strict=True) if claim.answer is Answer.GRANTED]
            done += len(asks) - len(fresh)
            if fresh:
                await store.commit(fresh, ttl=TTL)

    begun = time.process_time()
    await asyncio.gather(*(worker() for _ in range(at_a_time)))
    spent = time.process_time() - begun
    if not 0.08 < done / EVENTS < 0.12:
        raise AssertionError(f"{contestant.name} found {done} duplicates of about {EVENTS // 10}")
    return spent / EVENTS * 1e6


async def restart(path: Path) -> tuple[float, int]:
    """Return how long it takes to open the file, and how many keys it has."""
    store = SqliteStore(path)
    begun = time.perf_counter()
    await store.open()
    seconds = time.perf_counter() - begun
    keys = store.stats().keys
    await store.close()
    return seconds, keys


async def run(keys: int, rounds: int, folder: Path) -> None:
    contestants = [
        Contestant("rows", RowStore(folder / "rows.db"), []),
        Contestant("key log, full", SqliteStore(folder / "full.db", synchronous="full"), []),
        Contestant("key log", SqliteStore(folder / "log.db"), []),
        Contestant("memory", MemoryStore(max_keys=2 * keys + 10_000_000), []),
    ]
    for contestant in contestants:
        await contestant.store.open()
        await load(contestant, keys)
    best: dict[tuple[str, tuple[int, int]], float] = {}
    for _ in range(rounds):
        for shape in SHAPES:
            for contestant in contestants:
                spent = await measure(contestant, *shape)
                best[contestant.name, shape] = min(spent, best.get((contestant.name, shape), spent))
    for contestant in contestants:
        await contestant.store.close()
    print(f"CPU us an event (claim and commit), best of {rounds}, {keys:,} keys stored before")
    print(f"{'':15}" + "".join(f"{f'{size} x {tasks}':>10}" for size, tasks in SHAPES) + f"{'load':>10}")
    for contestant in contestants:
        figures = [best[contestant.name, shape] for shape in SHAPES] + [contestant.loading]
        print(f"{contestant.name:15}" + "".join(f"{figure:10.2f}" for figure in figures))
    rows, log = contestants[0], contestants[2]
    ratios = [best[rows.name, shape] / best[log.name, shape] for shape in SHAPES] + [rows.loading / log.loading]
    print(f"{'rows / key log':15}" + "".join(f"{ratio:9.1f}x" for ratio in ratios))
    seconds, found = await restart(folder / "log.db")
    size = (folder / "log.db").stat().st_size
    print(f"restart of the key log: {seconds:.2f} s, {found:,} keys, {size / found:.1f} bytes a key on disk")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=1_000_000, help="keys stored before measuring")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; the best counts")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(arguments.keys, arguments.rounds, Path(folder)))


if __name__ == "__main__":
    main()
