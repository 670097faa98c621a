"""What every peer is told on its command line, and how it posts."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

PREFETCH = 256
CONCURRENCY = 64
BATCH = 100
LINGER = 0.01  # seconds to wait for a batch to fill
KEY = "tr_dev_bench"
GROUP = "bench"  # of those who consume from Kafka
HEADERS = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
OK = range(200, 300)

Post = Callable[[bytes], Awaitable[bool]]
"""Posts a body, and says whether the target took it."""


@dataclass(frozen=True, slots=True)
class Job:
    url: str  # of the broker, or where its brokers are
    queue: str  # or topic
    target: str
    arrays: bool
    group: str = GROUP


def job_of_command_line() -> Job:
    parser = argparse.ArgumentParser()
    for name in ("url", "queue", "target"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--group", default=GROUP, help="of those who consume from Kafka")
    parser.add_argument("--arrays", action="store_true", help=f"up to {BATCH} events in one request")
    return Job(**vars(parser.parse_args()))


def arguments_of(job: Job) -> list[str]:
    """The command line that `job_of_command_line` reads."""
    named = ["--url", job.url, "--queue", job.queue, "--target", job.target, "--group", job.group]
    return [*named, "--arrays"] if job.arrays else named


@asynccontextmanager
async def posting(job: Job) -> AsyncIterator[Post]:
    connector = aiohttp.TCPConnector(limit=CONCURRENCY)
    async with aiohttp.ClientSession(connector=connector, headers=HEADERS) as session:

        async def post(body: bytes) -> bool:
            async with session.post(job.target, data=body) as answer:
                await answer.read()
                return answer.status in OK

        yield post


def array_of(bodies: Sequence[bytes]) -> bytes:
    """One JSON array, without a look into any of its elements."""
    return b"[" + b",".join(bodies) + b"]"
