"""How old events are said to be, on a clock that stands until it is moved."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bridge.model import Envelope, Stage
from bridge.ports import Groups
from bridge.targets.memory import MemoryTarget
from tests.fakes.route import MemoryRoute

BEGIN = 1_763_690_000_000


class Clock:
    """Epoch ms."""

    def __init__(self) -> None:
        self.now = BEGIN

    def __call__(self) -> int:
        return self.now


class HesitantTarget(MemoryTarget):
    """Answers when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.let = asyncio.Event()

    async def send(self, events: Sequence[Envelope], attempts: Sequence[int]) -> Groups:
        self.asked.set()
        await self.let.wait()
        async for group in super().send(events, attempts):
            yield group


async def test_an_event_that_the_target_keeps_waiting_grows_older_until_it_is_safe() -> None:
    clock, target = Clock(), HesitantTarget()
    async with MemoryRoute(clock=clock, target=target).running() as route:
        assert route.pipeline.oldest() == 0
        route.publish("first")
        await route.until(target.asked.is_set)
        clock.now += 5_000
        route.publish("second")
        await route.until(lambda: route.tally.in_flight[Stage.INTAKE] == 2)
        assert route.pipeline.oldest() == 5.0
        target.let.set()
        await route.until(lambda: len(route.source.settled) == 2)
        clock.now += 5_000
        assert route.pipeline.oldest() == 0


async def test_an_event_that_waits_for_its_own_time_is_not_old_and_its_delay_is_nobodys_fault() -> None:
    clock, target = Clock(), HesitantTarget()
    async with MemoryRoute(clock=clock, target=target).running() as route:
        route.publish("later", ts=BEGIN + 2_000)
        await route.until(lambda: route.tally.parked)
        clock.now += 1_900
        assert route.pipeline.oldest() == 0
        clock.now += 350
        await route.until(target.asked.is_set)
        assert route.pipeline.oldest() == 0.25
        target.let.set()
        await route.until_quiet()
        await route.until(route.accepted)
    assert route.tally.seconds_to_accept.sum == 0.25
    assert route.tally.lateness.sum == 0.25


async def test_a_clock_that_was_set_back_makes_no_age_negative() -> None:
    clock, target = Clock(), HesitantTarget()
    async with MemoryRoute(clock=clock, target=target).running() as route:
        route.publish("first")
        await route.until(target.asked.is_set)
        clock.now -= 60_000
        assert route.pipeline.oldest() == 0
        target.let.set()
        await route.until(route.accepted)
