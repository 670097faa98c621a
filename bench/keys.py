"""
What so many stored keys cost: time of a claim and a commit, memory, disk and the next start. One count a process.

    python -m bench.keys COUNT

An event is one claim and, but for one in ten that is stored already, one commit, in batches of 100, eight at a time.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
from pathlib import Path

from bench.store import Contestant, load, measure, restart
from bridge.stores.sqlite import SqliteStore

ROUNDS = 3
SPARE = 1_000_000  # keys that may come on top, so that none is refused


def resident() -> float:
    """Megabytes of memory of this process, as of now (the second field of proc(5)'s statm)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


async def run(count: int, folder: Path) -> dict[str, float]:
    path = folder / "keys.db"
    contestant = Contestant("key log", SqliteStore(path, max_keys=count + SPARE), [])
    before = resident()
    await contestant.store.open()
    await load(contestant, count)
    mine = sum(map(sys.getsizeof, contestant.stored)) / 1e6  # what this bench remembers itself
    own = resident() - before - mine - sys.getsizeof(contestant.stored) / 1e6
    cpu = min([await measure(contestant, 100, 8) for _ in range(ROUNDS)])
    await contestant.store.close()
    del contestant
    seconds, found = await restart(path)
    return {
        "cpu_us_per_event": cpu,
        "store_mb": own,
        "bytes_per_key": own * 1e6 / count,
        "disk_bytes_per_key": path.stat().st_size / found,
        "start_s": seconds,
    }


def main() -> None:
    random.seed(7)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(run(int(sys.argv[1]), Path(folder)))))


if __name__ == "__main__":
    main()
