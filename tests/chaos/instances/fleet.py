"""Several bridges of one route over one key store on Redis, whatever the broker in front of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from devtools.redis import RedisNode
from devtools.scratch import free_port
from tests.chaos.process import Bridge, Samples
from tests.chaos.road import AnyRoad, quiet_books, until

PATIENCE = 240.0  # seconds for what takes a minute at most where nothing else runs

Publish = Callable[[Sequence[dict[str, object]]], Coroutine[Any, Any, None]]
"""Publish events; what this has returned for, the broker has taken."""


@dataclass(kw_only=True)
class Fleet:
    """The bridges, and the road that they share; they are not started yet."""

    road: AnyRoad
    bridges: list[Bridge]
    publish: Publish
    redis: RedisNode

    async def start(self) -> None:
        await asyncio.gather(*(bridge.start() for bridge in self.bridges))

    def sends(self) -> int:
        """How many events the event API took, copies included."""
        return sum(tally.deliveries for tally in self.road.api.book.tallies.values())

    def taken(self) -> int:
        """How many different ones."""
        return sum(tally.events for tally in self.road.api.book.tallies.values())

    async def until_taken(self, count: int) -> None:
        """Wait for so many different events; far cheaper than to look for each id again and again."""
        try:
            await until(lambda: self.taken() >= count, seconds=PATIENCE)
        except AssertionError:
            logs = "\n".join(bridge.log()[-2_000:] for bridge in self.bridges)
            waiting = await self.road.depths()
            raise AssertionError(f"{self.taken()} of {count} events; at the broker: {waiting}\n{logs}") from None

    async def until_quiet(self) -> Sequence[Samples]:
        """Wait until nothing is left at the broker or in any bridge; the law of each holds all the while."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not (books := await quiet_books(self.books, self.road.depths)):  # noqa: ASYNC110  of processes
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise AssertionError(f"still busy: {await self.road.depths()}, {await self.books()}") from None
        return books

    async def books(self) -> list[Samples]:
        """The metrics of the bridges that run."""
        return [await bridge.metrics() for bridge in self.bridges if bridge.running]


@asynccontextmanager
async def fleet(
    road: AnyRoad, publish: Publish, folder: Path, redis: RedisNode, *, size: int, **settings: Any
) -> AsyncIterator[Fleet]:
    """Make a fleet of the road's bridge and more like it. `settings` replace their top level."""
    road.bridge.settings |= {"store": {"type": "redis", "url": redis.url}, "target": in_batches(road), **settings}
    bridges = [road.bridge, *(_another(road.bridge, folder / f"bridge-{number}") for number in range(2, size + 1))]
    try:
        yield Fleet(road=road, bridges=bridges, publish=publish, redis=redis)
    finally:
        for bridge in bridges:
            if bridge.running:
                await bridge.kill()


def in_batches(road: AnyRoad, timeout: float = 10.0) -> dict[str, Any]:
    """
    The event API as one that takes many events in a request, which costs a tenth of the time.

    A lease is ten seconds longer than the `timeout`.
    """
    return {"type": "inngest", "url": road.api.url, "key": "local", "max_batch": 20, "http": {"timeout": timeout}}


def _another(bridge: Bridge, folder: Path) -> Bridge:
    folder.mkdir()
    admin = bridge.settings["admin"] | {"port": free_port()}
    return replace(bridge, folder=folder, settings=bridge.settings | {"admin": admin}, starts=0)


def total(books: Sequence[Samples], name: str) -> float:
    """A counter over several processes, dead ones too."""
    return sum(samples.get(name, 0.0) for samples in books)


def unexplained(books: Sequence[Samples]) -> float:
    """The sends of the formula that no kill explains: leases that were lost, answers that never came or were bad."""
    outcomes = ("retryable", "misconfigured")
    failed = sum(total(books, f"bridge_sends_total{{outcome={outcome}}}") for outcome in outcomes)
    return failed + total(books, "bridge_leases_lost_total")
