"""
The real bridge as a process, a real broker in front of it, the local event API behind it, and their books.

Four ledgers are compared after every fault: what the broker confirmed, what the API took, what lies in the dead
letters, and what the bridge itself counted.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from bridge.devserver.app import DevServer
from devtools.scratch import free_port
from tests.chaos.process import Bridge, Samples

STAGES = ("intake", "due")
PATIENCE = 60.0  # seconds to wait for a condition before a test fails


async def until(condition: Callable[[], object], *, seconds: float = PATIENCE, what: str = "") -> None:
    """Wait for a condition."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110  any condition, of parts that know no events
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not within {seconds} s: {what or condition}") from None


T = TypeVar("T")


async def answered(ask: Callable[[], Awaitable[T]], *, seconds: float = PATIENCE, what: str = "") -> T:
    """Ask until the answer is true, and return it."""
    try:
        async with asyncio.timeout(seconds):
            while not (answer := await ask()):  # noqa: ASYNC110  likewise
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"not within {seconds} s: {what or ask}") from None
    return answer


def in_flight(samples: Samples, route: str = "") -> float:
    """How many deliveries the bridge has received and not settled."""
    return sum(samples[_name("deliveries_in_flight", route, stage=stage)] for stage in STAGES)


def law(samples: Samples, route: str = "") -> None:
    """Check that received = settled + in flight for each stage, and that no bug was survived on the way."""
    for stage in STAGES:
        received = samples[_name("deliveries_received_total", route, stage=stage)]
        settled = sum(
            samples[_name("deliveries_settled_total", route, stage=stage, verdict=verdict)]
            for verdict in ("settle", "return")
        )
        flying = samples[_name("deliveries_in_flight", route, stage=stage)]
        assert received == settled + flying, f"{stage}: {received} received, {settled} settled, {flying} in flight"
    assert samples[_name("faults_total", route)] == 0, "the bridge survived a bug"


async def quiet_books(
    books: Callable[[], Awaitable[Sequence[Samples]]],
    depths: Callable[[], Awaitable[object]],
    routes: Iterable[str] = ("",),
) -> Sequence[Samples]:
    """
    Look at the broker and at all bridges once; return the books if nothing is left anywhere, else nothing.

    Queues are looked at one after another, so a copy that moves from one to another meanwhile may be seen in neither.
    Hence two looks at the broker, and two at the books on either side: nothing may have been received in between.
    """
    before = await books()
    waiting = await depths() or await depths()
    after = await books()
    both = [(samples, route) for route in routes for samples in (*before, *after)]
    for samples, route in both:
        if samples:
            law(samples, route)
    if waiting or not all(samples and not in_flight(samples, route) for samples, route in both):
        return ()
    return after if all(_received(before, route) == _received(after, route) for route in routes) else ()


def _received(books: Sequence[Samples], route: str) -> list[float]:
    return [samples[_name("deliveries_received_total", route, stage=stage)] for samples in books for stage in STAGES]


def _name(metric: str, route: str, **labels: str) -> str:
    labels |= {"route": route} if route else {}
    inner = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    return f"bridge_{metric}{{{inner}}}" if inner else f"bridge_{metric}"


@dataclass(kw_only=True)
class AnyRoad(ABC):
    """Bridge and event API of one test, and whatever broker."""

    bridge: Bridge
    api: DevServer

    @abstractmethod
    async def dead_letters(self) -> Sequence[object]:
        """What lies in the dead letters."""

    @abstractmethod
    async def depths(self) -> object:
        """What the broker still has for the bridge, dead letters aside; empty when it has nothing."""

    def arrived(self) -> Counter[str]:
        """How often each id was accepted by the API."""
        return Counter({record.id: record.deliveries for record in self.api.book.events.values()})

    async def until_arrived(self, ids: Iterable[str], seconds: float = PATIENCE) -> None:
        wanted = set(ids)
        try:
            await until(lambda: wanted <= self.arrived().keys(), seconds=seconds)
        except AssertionError:
            missing = sorted(wanted - self.arrived().keys())
            raise AssertionError(
                f"{len(missing)} of {len(wanted)} never arrived, such as {missing[:5]}; "
                f"at the broker: {await self.depths()}; the bridge {await self.bridge.state()}\n"
                f"{self.bridge.log()[-6000:]}"
            ) from None

    async def until_quiet(self, *routes: str, seconds: float = PATIENCE) -> Samples:
        """
        Wait until the broker has nothing left but dead letters and the bridge nothing in flight; return its metrics.

        The law holds all the while: it is checked at every look.
        """
        try:
            async with asyncio.timeout(seconds):
                while not (books := await quiet_books(self._books, self.depths, routes or ("",))):  # noqa: ASYNC110  likewise
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise AssertionError(
                f"still busy: {await self.depths()}, {await self._books()}; the bridge {await self.bridge.state()}\n"
                f"{self.bridge.log()[-6000:]}"
            ) from None
        return books[0]

    async def _books(self) -> list[Samples]:
        return [await self.bridge.metrics()]


def settings_of(folder: Path, source: dict[str, Any], server: DevServer) -> dict[str, Any]:
    """Settings of a bridge whose retries and probes are quick enough for a test."""
    return {
        "source": source,
        "target": webhook(server),
        "store": {"type": "sqlite", "path": str(folder / "keys.db")},
        "admin": {"host": "127.0.0.1", "port": free_port()},
        "log": {"format": "json"},
        "retry": {"base": 0.5, "cap": 5},
        "breaker": {"probe_base": 0.2, "probe_cap": 2},
    }


def webhook(server: DevServer) -> dict[str, Any]:
    """The event API as a generic webhook: one request an event."""
    return {"type": "webhook", "url": f"{server.url}/webhook/sink", "headers": {"webhook-id": "{{id}}"}}
