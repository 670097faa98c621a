"""
A consumer written by hand, and written well: aiokafka and aiohttp, bounded, a commit only behind a 2xx.

What it does not do: know ids, suppress duplicates, look into bodies or answers, delay, retry with a wait, go on with a
partition while one of its events fails, keep what the target refuses, count anything. It ends at a refused event, and
begins at the last commit when it is started again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from aiokafka import AIOKafkaConsumer

from bench.peers.job import BATCH, CONCURRENCY, PREFETCH, Job, Post, array_of, job_of_command_line, posting

COMMIT_EVERY = 1.0  # seconds

Forward = Callable[[list[bytes], Post], Coroutine[Any, Any, bool]]


async def run(job: Job) -> None:
    consumer = AIOKafkaConsumer(
        job.queue,
        bootstrap_servers=job.url,
        group_id=job.group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    async with consumer, posting(job) as post:
        await consume(consumer, post, *((in_one, BATCH) if job.arrays else (singly, PREFETCH)))


async def consume(consumer: AIOKafkaConsumer, post: Post, forward: Forward, most: int) -> None:
    """Batch after batch, so that the position of the consumer is what may be committed."""
    committed = time.monotonic()
    doubtful = False
    while True:
        records = await consumer.getmany(timeout_ms=int(COMMIT_EVERY * 1000), max_records=most)
        bodies = [record.value for part in records.values() for record in part]
        if bodies and not await forward(bodies, post):
            raise SystemExit("the target has refused an event")
        doubtful = doubtful or bool(bodies)
        if doubtful and time.monotonic() - committed >= COMMIT_EVERY:
            await consumer.commit()
            committed, doubtful = time.monotonic(), False


async def singly(bodies: list[bytes], post: Post) -> bool:
    room = asyncio.Semaphore(CONCURRENCY)

    async def one(body: bytes) -> bool:
        async with room:
            return await post(body)

    return all(await asyncio.gather(*(one(body) for body in bodies)))


async def in_one(bodies: list[bytes], post: Post) -> bool:
    return await post(array_of(bodies))


if __name__ == "__main__":
    asyncio.run(run(job_of_command_line()))
