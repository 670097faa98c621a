"""What must hold while the bridge itself is killed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from bridge.devserver.faults import Fault
from devtools.scratch import free_port
from tests.chaos.rabbitmq_road import BOTH, Road
from tests.chaos.road import in_flight, until
from tests.chaos.test_broker import publish_until

PREFETCH = 50
SLOW = Fault(latency_ms=50, jitter_ms=100)  # so that each kill finds sends on their way


@BOTH
async def test_a_bridge_that_is_killed_again_and_again_loses_nothing(quiet_road: Road) -> None:
    kills = 5
    quiet_road.bridge.settings["source"]["prefetch"] = PREFETCH
    quiet_road.api.add_fault(SLOW)
    enough = asyncio.Event()
    publishing = asyncio.create_task(publish_until(quiet_road, enough))
    interrupted = 0.0
    for _ in range(kills):
        await quiet_road.bridge.start()
        await asyncio.sleep(0.5)
        interrupted += in_flight(await quiet_road.bridge.metrics())
        await quiet_road.bridge.kill()
    enough.set()
    ids = await publishing
    await quiet_road.bridge.start()

    await quiet_road.until_arrived(ids, seconds=90)
    await quiet_road.until_quiet()

    arrived = quiet_road.arrived()
    assert interrupted > 0, "the kills hit nothing"
    assert set(arrived) == set(ids)
    # Sends of one id are at most 1 + crashes; and a crash can double only what was in flight.
    assert max(arrived.values()) <= 1 + kills
    assert arrived.total() - len(ids) <= kills * PREFETCH
    assert not await quiet_road.dead_letters()


async def test_a_second_bridge_takes_over_what_a_killed_one_had(quiet_road: Road, tmp_path: Path) -> None:
    """Two bridges consume one queue, each with a store of its own; one dies in the middle."""
    first = quiet_road.bridge
    first.settings["source"]["prefetch"] = PREFETCH
    (tmp_path / "second").mkdir()
    store = {"type": "sqlite", "path": str(tmp_path / "second" / "keys.db")}
    admin = first.settings["admin"] | {"port": free_port()}
    second = replace(first, folder=tmp_path / "second", settings=first.settings | {"store": store, "admin": admin})
    quiet_road.api.add_fault(SLOW)
    await first.start()
    await second.start()
    try:
        ids = [f"e{number}" for number in range(1_000)]
        publishing = asyncio.create_task(quiet_road.publisher.events(ids))
        await until(lambda: len(quiet_road.arrived()) > 100, what="the first events")
        before = await first.metrics()
        assert before["bridge_events_total{result=accepted}"] > 0, "the first one had nothing to do"
        assert in_flight(before) > 0, "the kill hit nothing"
        await first.kill()
        await publishing
        quiet_road.bridge = second  # whose books are to be right in the end

        await quiet_road.until_arrived(ids)
        samples = await quiet_road.until_quiet()
    finally:
        await second.kill()

    arrived = quiet_road.arrived()
    assert samples["bridge_events_total{result=accepted}"] > 0, "the second one had nothing to do"
    assert max(arrived.values()) <= 2, "1 + one crash"
    assert arrived.total() - len(ids) <= PREFETCH
    assert not await quiet_road.dead_letters()
