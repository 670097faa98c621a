"""Three bridges, of which two are killed in turn while events and their copies flow."""

from __future__ import annotations

import asyncio
import random

import pytest

from bridge.devserver.faults import Fault
from tests.chaos.instances.conftest import MakeFleet
from tests.chaos.instances.fleet import Fleet, total, unexplained
from tests.chaos.process import Samples
from tests.chaos.road import in_flight

EVENTS, IDS = 20_000, 14_000  # so that three in ten are copies
KILLS = 8
PARTITIONS = 4
IN_HAND = 200  # deliveries that one bridge has at most, and a kill can hit
SLOW = Fault(latency_ms=50, jitter_ms=100)  # so that each kill finds sends on their way


def with_copies() -> list[dict[str, object]]:
    """Events in no order, and copies of them among them."""
    ids = [f"e{number}" for number in range(IDS)]
    dice = random.Random(5)
    mixed = ids + dice.sample(ids, EVENTS - IDS)
    dice.shuffle(mixed)
    return [{"id": event_id, "name": "user.created", "data": {"n": event_id}} for event_id in mixed]


async def kill_in_turn(fleet: Fleet) -> list[Samples]:
    """Publish everything, a share for each kill, a second apart; the last words of those that were killed."""
    last_words: list[Samples] = []
    events, share = with_copies(), EVENTS // KILLS
    for turn in range(KILLS):
        publishing = asyncio.ensure_future(fleet.publish(events[turn * share : (turn + 1) * share]))
        await asyncio.sleep(1)
        victim = fleet.bridges[turn % 2]
        last_words.append(await victim.metrics())
        await victim.kill()
        await publishing
        if turn < KILLS - 1:  # the last one stays dead, and the others have to take over what it had
            await victim.start()
    return last_words


async def none_is_lost_and_sends_stay_within_the_formula(fleet: Fleet) -> None:
    fleet.road.api.add_fault(SLOW)
    await fleet.start()
    dead = await kill_in_turn(fleet)
    await fleet.until_taken(IDS)
    books = [*dead, *await fleet.until_quiet()]

    arrived = fleet.road.arrived()
    others = unexplained(books)
    assert sum(map(in_flight, dead)) > 0, "the kills hit nothing"
    assert len(arrived) == IDS
    # Sends of one id are at most 1 + crashes + lost leases + ambiguous or failed sends; a crash can double only what
    # the bridge had in its hands.
    assert max(arrived.values()) <= 1 + KILLS + others
    assert arrived.total() - IDS <= KILLS * IN_HAND + others
    assert total(books, "bridge_events_total{result=duplicate}") > 0, "the copies were never seen"
    assert not await fleet.road.dead_letters()


@pytest.mark.timeout(600)
async def test_two_of_three_bridges_killed_in_turn_lose_nothing_from_rabbitmq(on_rabbitmq: MakeFleet) -> None:
    async with on_rabbitmq(size=3) as made:
        for bridge in made.bridges:
            bridge.settings["source"] = bridge.settings["source"] | {"prefetch": IN_HAND}
        await none_is_lost_and_sends_stay_within_the_formula(made)


@pytest.mark.timeout(600)
async def test_two_of_three_bridges_killed_in_turn_lose_nothing_from_kafka(on_kafka: MakeFleet) -> None:
    async with on_kafka(size=3) as made:
        for bridge in made.bridges:
            bridge.settings["source"] = bridge.settings["source"] | {"prefetch": IN_HAND // PARTITIONS}
        await none_is_lost_and_sends_stay_within_the_formula(made)
