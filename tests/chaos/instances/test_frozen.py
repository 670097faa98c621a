"""A bridge that stands still for longer than its leases, and goes on as if nothing had happened."""

from __future__ import annotations

import asyncio

import pytest

from bridge.devserver.faults import Fault
from tests.chaos.instances.conftest import MakeFleet
from tests.chaos.instances.fleet import PATIENCE, Fleet, in_batches, total, unexplained
from tests.chaos.process import Bridge
from tests.chaos.road import in_flight

ROUND = 200  # events published at a time
IN_HAND = 152  # deliveries that one bridge has at most
PARTITIONS = 4
SLOW = Fault(latency_ms=1_000)  # so that much is left to do when it is frozen


def numbered(first: int, count: int) -> list[dict[str, object]]:
    return [
        {"id": f"e{number}", "name": "user.created", "data": {"n": number}} for number in range(first, first + count)
    ]


async def publish_until_busy(fleet: Fleet, late: Bridge) -> int:
    """Publish until the bridge is in the middle of its work; how many events that took."""
    count = 0
    async with asyncio.timeout(PATIENCE):
        while True:
            await fleet.publish(numbered(count, ROUND))
            count += ROUND
            for _ in range(20):
                samples = await late.metrics()
                if samples["bridge_sends_total{outcome=accepted}"] and in_flight(samples) > 50:
                    return count
                await asyncio.sleep(0.2)


async def the_other_takes_over_and_the_late_one_does_no_harm(fleet: Fleet) -> None:
    late, other = fleet.bridges
    slow = fleet.road.api.add_fault(SLOW)
    await fleet.start()
    count = await publish_until_busy(fleet, late)
    late.freeze()
    await fleet.until_taken(count)  # its leases end meanwhile, or some of these would never arrive
    late.thaw()
    fleet.road.api.faults.remove(slow.id)
    books = await fleet.until_quiet()

    lost = total(books, "bridge_leases_lost_total")
    failed = unexplained(books) - lost
    assert lost > 0, "it never noticed"
    assert len(fleet.road.arrived()) == count
    # Sends of one id are at most 1 + lost leases + ambiguous or failed sends. It lost a lease, once, of all that it had
    # in its hands; those whose answer lay there already when it woke up are not counted as lost.
    assert max(fleet.road.arrived().values()) <= 2 + failed
    assert fleet.sends() <= count + IN_HAND + failed

    sent = fleet.sends()
    await fleet.publish(numbered(0, count))  # whatever the late one told the store, all of them are done
    books = await fleet.until_quiet()
    assert total(books, "bridge_events_total{result=duplicate}") >= count
    assert await other.stop() == 0
    await fleet.publish(numbered(count, ROUND))
    await fleet.until_taken(count + ROUND)
    await fleet.until_quiet()

    assert fleet.sends() == sent + ROUND, "the late one goes on working, and sends no old ones"
    assert not await fleet.road.dead_letters()


def hurry(fleet: Fleet, **source: object) -> None:
    """Settings with which a lease lasts 15 seconds, and one bridge cannot have done with all at once."""
    for bridge in fleet.bridges:
        bridge.settings["target"] = in_batches(fleet.road, timeout=5) | {"max_batch": 5}
        bridge.settings["target"]["http"]["concurrency"] = 4
        bridge.settings["source"] = bridge.settings["source"] | source


@pytest.mark.timeout(600)
async def test_a_bridge_frozen_past_its_leases_does_no_harm_on_rabbitmq(on_rabbitmq: MakeFleet) -> None:
    async with on_rabbitmq(size=2) as made:
        hurry(made, prefetch=IN_HAND, heartbeat=5)
        await the_other_takes_over_and_the_late_one_does_no_harm(made)


@pytest.mark.timeout(600)
async def test_a_bridge_frozen_past_its_leases_does_no_harm_on_kafka(on_kafka: MakeFleet) -> None:
    async with on_kafka(size=2) as made:
        hurry(made, prefetch=IN_HAND // PARTITIONS)
        await the_other_takes_over_and_the_late_one_does_no_harm(made)
