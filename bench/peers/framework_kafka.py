"""
A consumer made with FastStream from Kafka, as its documentation advises for speed: no log line an event, bare bytes.

One event at a time would commit each of them, some hundred a second. So single events are committed ahead by a timer,
which is the default: what fails is lost. Arrays are committed one by one, behind the 2xx.
"""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Any

from bench.peers.job import BATCH, CONCURRENCY, Job, array_of, job_of_command_line, posting


class RefusedError(Exception):
    """The target did not take an event."""


async def as_bytes(delivery: Any) -> Any:
    return delivery.body


async def run(job: Job) -> None:
    kafka: Any = import_module("faststream.kafka")  # by name, so that types are checked where it is not installed
    async with posting(job) as post:

        async def single(body: bytes) -> None:
            if not await post(body):
                raise RefusedError

        async def several(bodies: list[bytes]) -> None:
            if not await post(array_of(bodies)):
                raise RefusedError

        broker = kafka.KafkaBroker(job.url, logger=None, decoder=as_bytes)
        common = {"group_id": job.group, "auto_offset_reset": "earliest", "no_reply": True}
        if job.arrays:
            policy = import_module("faststream").AckPolicy.NACK_ON_ERROR
            broker.subscriber(job.queue, batch=True, max_records=BATCH, ack_policy=policy, **common)(several)
        else:
            broker.subscriber(job.queue, max_workers=CONCURRENCY, **common)(single)
        await broker.start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(run(job_of_command_line()))
