"""What several bridges do while the Redis that they share is away."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from tests.chaos.instances.conftest import MakeFleet
from tests.chaos.instances.fleet import PATIENCE, Fleet, in_batches, total
from tests.chaos.process import Bridge
from tests.chaos.road import answered

DOWN = 20.0  # seconds
LEASE = 120.0  # seconds; far longer than the outage, however slow the machine, so that no lease is lost by it
EVENTS, IDS = 3_000, 2_100
WHY = "routes.default: the intake waits for the key store"


def numbered(numbers: range) -> list[dict[str, object]]:
    return [{"id": f"e{number}", "name": "user.created", "data": {"n": number}} for number in numbers]


def with_copies() -> list[dict[str, object]]:
    events, dice = numbered(range(IDS)), random.Random(9)
    mixed = events + dice.sample(events, EVENTS - IDS)
    dice.shuffle(mixed)
    return mixed


async def until_said(bridge: Bridge) -> None:
    """Wait until the bridge says of itself that it waits for its store."""

    async def said() -> bool:
        return WHY in await bridge.why_not_ready()

    await answered(said, seconds=PATIENCE, what=f"of /readyz: {WHY}\n{bridge.log()[-2_000:]}")


async def nothing_is_dropped_and_nothing_sent_twice(
    fleet: Fleet, down: Callable[[], None], up: Callable[[], None]
) -> None:
    events = with_copies()
    await fleet.start()
    publishing = asyncio.create_task(fleet.publish(events))
    await fleet.until_taken(IDS // 10)
    await asyncio.to_thread(down)
    await publishing
    await fleet.publish(numbered(range(IDS, IDS + 500)))
    for bridge in fleet.bridges:
        await until_said(bridge)
    await asyncio.sleep(DOWN)
    assert fleet.taken() < IDS + 500, "nobody missed it"
    assert all([await bridge.live() for bridge in fleet.bridges]), "a store that is away is no reason for a restart"
    await asyncio.to_thread(up)
    await fleet.until_taken(IDS + 500)
    books = await fleet.until_quiet()

    assert set(fleet.road.arrived().values()) == {1}
    assert len(fleet.road.arrived()) == IDS + 500
    assert total(books, "bridge_events_total{result=duplicate}") == EVENTS - IDS
    assert [bridge.starts for bridge in fleet.bridges] == [1, 1]
    assert all([await bridge.ready() for bridge in fleet.bridges])
    assert not await fleet.road.dead_letters()


def patient(fleet: Fleet) -> None:
    for bridge in fleet.bridges:
        bridge.settings["target"] = in_batches(fleet.road, timeout=LEASE - 10)


@pytest.mark.timeout(600)
async def test_a_redis_that_is_frozen_for_a_while_costs_nothing_on_rabbitmq(on_rabbitmq: MakeFleet) -> None:
    async with on_rabbitmq(size=2) as made:
        patient(made)
        await nothing_is_dropped_and_nothing_sent_twice(made, made.redis.freeze, made.redis.thaw)


@pytest.mark.timeout(600)
async def test_a_redis_that_is_killed_and_started_again_costs_nothing_on_kafka(on_kafka: MakeFleet) -> None:
    async with on_kafka(size=2) as made:
        patient(made)
        await nothing_is_dropped_and_nothing_sent_twice(made, made.redis.kill, made.redis.start)


async def events_flow_without_the_store(fleet: Fleet) -> None:
    """The target knows ids again, so copies that nobody suppresses do no harm there; each event is counted."""
    for bridge in fleet.bridges:
        bridge.settings["dedup"] = {"store_down": "forward"}
    await fleet.start()
    await fleet.publish(numbered(range(100)))
    await fleet.until_taken(100)
    await fleet.until_quiet()
    await asyncio.to_thread(fleet.redis.kill)
    for start in range(100, IDS, 500):  # more than both bridges take on at once
        await fleet.publish(numbered(range(start, start + 500)))
        await fleet.until_taken(start + 500)
    books = await fleet.until_quiet()
    assert total(books, "bridge_store_bypassed_total") >= fleet.taken() - 100
    assert total(books, "bridge_marks_failed_total") == 0

    taken = fleet.taken()
    await asyncio.to_thread(fleet.redis.start)
    await answered(lambda: marked(fleet, taken), seconds=PATIENCE, what="the marks of what was sent meanwhile")
    sent = fleet.sends()
    await fleet.publish(numbered(range(taken)))
    books = await fleet.until_quiet()
    assert fleet.sends() == sent, "it never learnt of them"
    assert not await fleet.road.dead_letters()


async def marked(fleet: Fleet, count: int) -> bool:
    """Whether Redis has so many keys, which are done since nothing is in flight."""
    return bool(await asyncio.to_thread(fleet.redis.ask, "DBSIZE") == count)


@pytest.mark.timeout(600)
async def test_events_flow_past_a_redis_that_is_away_if_the_target_knows_ids_on_rabbitmq(
    on_rabbitmq: MakeFleet,
) -> None:
    async with on_rabbitmq(size=2) as made:
        await events_flow_without_the_store(made)


@pytest.mark.timeout(600)
async def test_events_flow_past_a_redis_that_is_away_if_the_target_knows_ids_on_kafka(on_kafka: MakeFleet) -> None:
    async with on_kafka(size=2) as made:
        await events_flow_without_the_store(made)
