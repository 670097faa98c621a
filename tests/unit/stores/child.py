"""A process that commits and schedules for ever and tells, a JSON line each, what was acknowledged: to be killed."""

from __future__ import annotations

import asyncio
import json
import sys
from hashlib import blake2b
from pathlib import Path

from bridge.model import Schedule
from bridge.stores.sqlite import SqliteStore
from tests.contract.key_store import TTL, ask

WORKERS = 8
FAR = 4_000_000_000_000  # epoch ms


def done_keys(batch: int) -> list[bytes]:
    return [_key(batch, number) for number in range(20)]


def scheduled_key(batch: int) -> bytes:
    return _key(batch, 20)


def _key(batch: int, number: int) -> bytes:
    return blake2b(f"{batch}/{number}".encode(), digest_size=16).digest()


def tell(**facts: int) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


async def work(store: SqliteStore, batch: int) -> None:
    while True:
        await store.commit(done_keys(batch), ttl=TTL)
        tell(done=batch)
        await ask(store, scheduled_key(batch))
        await store.schedule([Schedule(scheduled_key(batch), 1, FAR)], owner="me", ttl=TTL)
        tell(scheduled=batch)
        batch += WORKERS


async def main(path: Path, first: int) -> None:
    store = SqliteStore(path, ttl=TTL)
    await store.open()
    await asyncio.gather(*(work(store, first + worker) for worker in range(WORKERS)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
