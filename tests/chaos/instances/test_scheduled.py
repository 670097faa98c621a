"""Events that are cancelled and moved by orders which may reach another bridge than the events did."""

from __future__ import annotations

import time

import pytest

from tests.chaos.instances.conftest import MakeFleet
from tests.chaos.instances.fleet import PATIENCE, Fleet
from tests.chaos.road import answered

COUNT = 20  # events of each fate
DELAYS = (10_000, 40_000, 120_000)  # ms; a longer one where the machine was too slow to give all orders in time
SETTINGS = {"control": {"enabled": True}, "timing": {"hold_window": "500ms"}}


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def named(fate: str, delay: int) -> list[str]:
    return [f"{fate}-{delay}-{number}" for number in range(COUNT)]


async def counted(fleet: Fleet, beginning: str, ending: str = "") -> float:
    """The sum of all counters whose names begin and end like this, over all bridges."""
    return sum(
        value
        for samples in await fleet.books()
        for name, value in samples.items()
        if name.startswith(beginning) and name.endswith(ending)
    )


async def until_counted(fleet: Fleet, name: str, count: float, *, latest: int | None = None) -> None:
    """Wait for a counter, but no longer than to the time `latest`, if there is one."""

    async def enough() -> bool:
        return await counted(fleet, name) >= count or (latest is not None and now_ms() > latest)

    await answered(enough, seconds=PATIENCE, what=f"{count} of {name}")


async def give_orders(fleet: Fleet, delay: int) -> int | None:
    """Schedule events, then cancel half of them and put the others off: their new time. None if it was too late."""
    due = now_ms() + delay
    later = due + delay
    scheduled = await counted(fleet, "bridge_events_total{result=scheduled}")
    given = await counted(fleet, "bridge_control_total")
    done = await counted(fleet, "bridge_control_total", "result=done}")
    everyone = [*named("cancelled", delay), *named("moved", delay)]
    await fleet.publish([{"id": each, "name": "order.paid", "data": {}, "ts": due} for each in everyone])
    await until_counted(fleet, "bridge_events_total{result=scheduled}", scheduled + len(everyone), latest=due)
    orders: list[dict[str, object]] = [{"op": "cancel", "id": each} for each in named("cancelled", delay)]
    orders += [{"op": "reschedule", "id": each, "until": later} for each in named("moved", delay)]
    await fleet.publish(orders)
    await until_counted(fleet, "bridge_control_total", given + len(everyone))
    in_time = await counted(fleet, "bridge_control_total", "result=done}") - done == len(everyone)
    return later if in_time else None


async def orders_hold_for_all_bridges_and_over_their_restarts(fleet: Fleet) -> None:
    await fleet.start()
    for delay in DELAYS:
        if later := await give_orders(fleet, delay):
            break
    else:
        raise AssertionError("the machine is too slow for any of it")
    for bridge in fleet.bridges:
        assert await bridge.stop() == 0
        await bridge.start()
    await fleet.until_quiet()  # no copy waits anywhere any more, so what has not arrived never will

    arrived = fleet.road.arrived()
    assert not set(named("cancelled", delay)) & set(arrived)
    assert {each: arrived[each] for each in named("moved", delay)} == dict.fromkeys(named("moved", delay), 1)
    moved = [record for record in fleet.road.api.book.events.values() if record.id in named("moved", delay)]
    assert min(record.arrivals[0] for record in moved) >= later
    assert not await fleet.road.dead_letters()


@pytest.mark.timeout(600)
async def test_cancelled_is_never_sent_and_moved_is_sent_once_by_any_bridge_on_rabbitmq(
    on_rabbitmq: MakeFleet,
) -> None:
    async with on_rabbitmq(size=2, **SETTINGS) as made:
        await orders_hold_for_all_bridges_and_over_their_restarts(made)


@pytest.mark.timeout(600)
async def test_cancelled_is_never_sent_and_moved_is_sent_once_by_any_bridge_on_kafka(on_kafka: MakeFleet) -> None:
    async with on_kafka(size=2, **SETTINGS) as made:
        await orders_hold_for_all_bridges_and_over_their_restarts(made)
