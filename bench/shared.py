"""
What a key store costs that several bridges share, beside the embedded ones.

    python -m bench.shared [--keys 1000000] [--events 50000]

An event is one claim and one commit. CPU time is that of our process, all threads, and apart from it the server's. The
server runs on this machine, and shares its cores. With --keys, so many done keys are put there to see what they weigh.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from bridge.model import Ask
from bridge.stores.memory import MemoryStore
from bridge.stores.redis import RedisSettings, RedisStore
from bridge.stores.sqlite import SqliteStore
from devtools.redis import RedisNode, private_node
from devtools.redis_groups import RedisCluster

TTL = 86_400.0
BATCHES = (1, 64, 500)
AT_A_TIME = 8
PILE = 5_000  # keys a commit while they are piled up

Store = MemoryStore | SqliteStore | RedisStore


@dataclass
class Figures:
    events: float  # a second
    ours: float  # CPU us an event
    servers: float  # CPU us an event


def server_seconds(nodes: list[RedisNode]) -> float:
    """CPU time of the servers so far."""
    told = [node.ask("INFO", "cpu").decode() for node in nodes]
    return sum(
        float(number) for text in told for number in re.findall(r"^used_cpu_(?:sys|user):([\d.]+)", text, re.MULTILINE)
    )


async def measure(store: Store, nodes: list[RedisNode], batch: int, events: int) -> Figures:
    left = events

    async def work() -> None:
        nonlocal left
        while left > 0:
            left -= batch
            keys = [random.randbytes(16) for _ in range(batch)]
            await store.claim([Ask(key) for key in keys], owner="bench", lease=40.0)
            await store.commit(keys, ttl=TTL)

    before, begun, clock = server_seconds(nodes), time.process_time(), time.perf_counter()
    await asyncio.gather(*(work() for _ in range(AT_A_TIME)))
    took, ours = time.perf_counter() - clock, time.process_time() - begun
    servers = server_seconds(nodes) - before
    return Figures(events / took, ours / events * 1e6, servers / events * 1e6)


async def compare(events: int, folder: Path) -> None:
    with private_node() as node, RedisCluster() as cluster:
        single = RedisSettings(url=SecretStr(node.url), timeout=10)
        three = RedisSettings(url=SecretStr(cluster.nodes[0].url), mode="cluster", timeout=10)
        contestants: list[tuple[str, Store, list[RedisNode]]] = [
            ("memory", MemoryStore(max_keys=10_000_000), []),
            ("sqlite", SqliteStore(folder / "keys.db"), []),
            ("redis", RedisStore(single), [node]),
            ("redis cluster of 3", RedisStore(three), list(cluster.nodes)),
        ]
        print(f"claim and commit, {AT_A_TIME} batches at a time: events a second / our CPU / the servers', us an event")
        print(f"{'':20}" + "".join(f"{f'batches of {batch}':>28}" for batch in BATCHES))
        for name, store, nodes in contestants:
            await store.open()
            row = [
                await measure(store, nodes, batch, max(2_000, events // (20 if batch == 1 else 1))) for batch in BATCHES
            ]
            await store.close()
            cells = [f"{each.events:,.0f} / {each.ours:.1f} / {each.servers:.1f}" for each in row]
            print(f"{name:20}" + "".join(f"{cell:>28}" for cell in cells))


async def weigh(count: int) -> None:
    with private_node({"appendonly": "no"}) as node:
        store = RedisStore(RedisSettings(url=SecretStr(node.url), timeout=30))
        await store.open()
        before = memory(node)
        for _ in range(0, count, PILE):
            await store.commit([random.randbytes(16) for _ in range(PILE)], ttl=TTL)
        await store.close()
        each = (memory(node) - before) / count
        print(f"redis: {each:.0f} bytes a key at {count:,} keys, {(1 << 30) / each / 1e6:.1f} million keys a GiB")


def memory(node: RedisNode) -> int:
    return int(re.findall(r"^used_memory:(\d+)", node.ask("INFO", "memory").decode(), re.MULTILINE)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=1_000_000, help="keys to weigh")
    parser.add_argument("--events", type=int, default=100_000, help="events a measurement")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(compare(arguments.events, Path(folder)))
    asyncio.run(weigh(arguments.keys))


if __name__ == "__main__":
    main()
