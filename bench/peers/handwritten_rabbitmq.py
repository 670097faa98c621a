"""
A consumer written by hand, and written well: aio-pika and aiohttp, bounded, an ack only after a 2xx.

What it does not do: know ids, suppress duplicates, look into bodies or answers, delay, retry with a wait, survive a
lost connection, keep what the target refuses, count anything. A refused event goes back to the queue at once.
"""

from __future__ import annotations

import asyncio

import aio_pika
from aio_pika.abc import AbstractIncomingMessage, AbstractQueue

from bench.peers.job import BATCH, CONCURRENCY, LINGER, PREFETCH, Job, Post, array_of, job_of_command_line, posting


async def run(job: Job) -> None:
    async with await aio_pika.connect(job.url) as connection, posting(job) as post:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=PREFETCH)
        queue = await channel.get_queue(job.queue)
        await (in_arrays if job.arrays else singly)(queue, post)


async def singly(queue: AbstractQueue, post: Post) -> None:
    room = asyncio.Semaphore(CONCURRENCY)

    async def forward(delivery: AbstractIncomingMessage) -> None:
        async with room:
            taken = await post(delivery.body)
        await (delivery.ack() if taken else delivery.reject(requeue=True))

    await queue.consume(forward)
    await asyncio.Event().wait()


async def in_arrays(queue: AbstractQueue, post: Post) -> None:
    """One request at a time, so that one ack can speak for all of it."""
    arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
    await queue.consume(arrived.put)
    while True:
        batch = await collect(arrived)
        if await post(array_of([delivery.body for delivery in batch])):
            await batch[-1].ack(multiple=True)
        else:
            await batch[-1].nack(multiple=True)


async def collect(arrived: asyncio.Queue[AbstractIncomingMessage]) -> list[AbstractIncomingMessage]:
    """Wait for one, and then a moment for the rest of a batch."""
    batch = [await arrived.get()]
    try:
        async with asyncio.timeout(LINGER):
            while len(batch) < BATCH:
                batch.append(await arrived.get())
    except TimeoutError:
        pass
    return batch


if __name__ == "__main__":
    asyncio.run(run(job_of_command_line()))
