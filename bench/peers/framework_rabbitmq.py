"""
A consumer made with FastStream, as its documentation advises for speed: no log line an event, bodies left as bytes.

It does not do what the hand-written one does not do either, but for connections, which it makes again. FastStream has
no batches on RabbitMQ, so for arrays a subscriber waits until the request that its event went into was answered.
"""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Any

from bench.peers.job import BATCH, CONCURRENCY, LINGER, PREFETCH, Job, Post, array_of, job_of_command_line, posting


class RefusedError(Exception):
    """The target did not take an event; the framework then gives it back."""


class Gathering:
    """Makes arrays out of single calls, each of which returns when its array was taken."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._waiting: list[tuple[bytes, asyncio.Future[bool]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def post(self, body: bytes) -> bool:
        loop = asyncio.get_running_loop()
        taken: asyncio.Future[bool] = loop.create_future()
        self._waiting.append((body, taken))
        if len(self._waiting) == BATCH:
            self._send()
        elif self._timer is None:
            self._timer = loop.call_later(LINGER, self._send)
        return await taken

    def _send(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch, self._waiting = self._waiting, []
        task = asyncio.get_running_loop().create_task(self._exchange(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _exchange(self, batch: list[tuple[bytes, asyncio.Future[bool]]]) -> None:
        accepted = await self._post(array_of([body for body, _ in batch]))
        for _, taken in batch:
            taken.set_result(accepted)


async def as_bytes(delivery: Any) -> bytes:
    return bytes(delivery.body)


async def run(job: Job) -> None:
    rabbit: Any = import_module("faststream.rabbit")  # by name, so that types are checked where it is not installed
    async with posting(job) as post:
        room = asyncio.Semaphore(CONCURRENCY)
        gathering = Gathering(post)

        async def forward(body: bytes) -> None:
            if job.arrays:
                taken = await gathering.post(body)
            else:
                async with room:
                    taken = await post(body)
            if not taken:
                raise RefusedError

        broker = rabbit.RabbitBroker(job.url, logger=None, decoder=as_bytes)
        subscriber = broker.subscriber(
            rabbit.RabbitQueue(job.queue, declare=False),
            channel=rabbit.Channel(prefetch_count=PREFETCH),
            ack_policy=import_module("faststream").AckPolicy.NACK_ON_ERROR,
            no_reply=True,
        )
        subscriber(forward)
        await broker.start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(run(job_of_command_line()))
