"""What must hold while Kafka, the bridge or the target is hurt."""

from __future__ import annotations

import asyncio
import random
import time
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from aiokafka.errors import KafkaError

from bridge.devserver.faults import Fault, Match
from devtools.kafka import KafkaNode
from tests.chaos.kafka.road import KafkaRoad, event
from tests.chaos.process import Bridge
from tests.chaos.road import answered, in_flight, until

PREFETCH = 50
SLOW = Fault(latency_ms=50, jitter_ms=100)  # so that each kill finds sends on their way
DOWN = 60.0  # seconds
MOST = 6_000  # events of one test: the event API remembers 10,000


async def publish_until(made: KafkaRoad, enough: asyncio.Event, pause: float = 0.1) -> list[str]:
    """Publish twenty events at a time until `enough` is set; what the broker did not confirm is published again."""
    ids: list[str] = []
    async with made.producer() as producer:
        for number in count():
            part = [f"e{number}-{index}" for index in range(20)]
            while True:
                try:
                    await made.send(producer, [event(event_id) for event_id in part])
                    break
                except KafkaError:  # the broker is being hurt; unconfirmed means again
                    await asyncio.sleep(0.5)
            ids += part
            if len(ids) >= MOST:
                await enough.wait()
            if enough.is_set():
                return ids
            await asyncio.sleep(pause)
    raise AssertionError


async def test_a_bridge_that_is_killed_again_and_again_loses_nothing(quiet_road: KafkaRoad) -> None:
    kills = 5
    quiet_road.bridge.settings["source"]["prefetch"] = PREFETCH
    quiet_road.api.add_fault(SLOW)
    enough = asyncio.Event()
    publishing = asyncio.create_task(publish_until(quiet_road, enough))
    interrupted = 0.0
    for _ in range(kills):
        await quiet_road.bridge.start()
        await until_flying(quiet_road.bridge)
        interrupted += in_flight(await quiet_road.bridge.metrics())
        await quiet_road.bridge.kill()
    enough.set()
    ids = await publishing
    await quiet_road.bridge.start()

    await quiet_road.until_arrived(ids, seconds=120)
    await quiet_road.until_quiet()

    arrived = quiet_road.arrived()
    assert interrupted > 0, "the kills hit nothing"
    assert set(arrived) == set(ids)
    # Sends of one id are at most 1 + crashes.
    assert max(arrived.values()) <= 1 + kills
    assert not await quiet_road.dead_letters()


async def until_flying(bridge: Bridge) -> None:
    """Wait until the bridge has something in its hands."""

    async def flying() -> float:
        return in_flight(samples) if (samples := await bridge.metrics()) else 0.0

    await answered(flying, what="deliveries in flight")


async def test_a_broker_that_is_stopped_killed_and_frozen_under_load_loses_nothing(
    rough_road: KafkaRoad, fresh_newest_kafka: KafkaNode
) -> None:
    await rough_road.bridge.start()
    enough = asyncio.Event()
    publishing = asyncio.create_task(publish_until(rough_road, enough))
    await asyncio.sleep(1)
    await asyncio.to_thread(fresh_newest_kafka.restart)
    await asyncio.sleep(2)
    await asyncio.to_thread(fresh_newest_kafka.kill)
    await asyncio.to_thread(fresh_newest_kafka.start)
    await asyncio.sleep(2)
    await asyncio.to_thread(fresh_newest_kafka.freeze)
    await asyncio.sleep(20)
    await asyncio.to_thread(fresh_newest_kafka.thaw)
    await asyncio.sleep(1)
    enough.set()
    ids = await publishing

    await rough_road.until_arrived(ids, seconds=120)
    await rough_road.until_quiet()

    assert rough_road.bridge.starts == 1
    # The bridge and its store lived: what the broker delivered again, or took twice, is known.
    assert set(rough_road.arrived().values()) == {1}
    assert not await rough_road.dead_letters()


@pytest.mark.timeout(420)
async def test_instances_that_join_and_leave_every_two_seconds_lose_nothing(
    quiet_road: KafkaRoad, tmp_path: Path
) -> None:
    quiet_road.api.add_fault(SLOW)
    bridges = [quiet_road.bridge, *(quiet_road.another(tmp_path / f"bridge-{number}") for number in (1, 2))]
    for bridge in bridges:
        await bridge.start()
    enough = asyncio.Event()
    publishing = asyncio.create_task(publish_until(quiet_road, enough))
    kills = 0
    try:
        for turn in range(8):
            bridge = bridges[1 + turn % 2]
            if turn % 4 == 3:
                await bridge.kill()
                kills += 1
            else:
                assert await bridge.stop() == 0
            await asyncio.sleep(1)
            await bridge.start()
            await asyncio.sleep(1)
        enough.set()
        ids = await publishing
        await quiet_road.until_arrived(ids, seconds=150)
        for bridge in bridges[1:]:
            assert await bridge.stop() == 0
        await quiet_road.until_quiet(seconds=90)
    finally:
        for bridge in bridges[1:]:
            if bridge.running:
                await bridge.kill()

    arrived = quiet_road.arrived()
    assert set(arrived) == set(ids)
    # Each instance has a store of its own, so an event can be sent once more by each owner that it had.
    assert arrived.total() <= len(ids) * 1.5
    assert not await quiet_road.dead_letters()


async def test_attempts_keep_counting_over_restarts_and_reach_the_dead_letters(quiet_road: KafkaRoad) -> None:
    quiet_road.bridge.settings["retry"] = {"base": 4, "cap": 4, "max_attempts": 4}
    quiet_road.bridge.settings["breaker"] = {"consecutive": 1_000, "failure_rate": 1}
    quiet_road.api.add_fault(Fault(match=Match(id="bad"), status=500))
    await quiet_road.bridge.start()
    await quiet_road.events(["bad", "good"])
    await quiet_road.until_arrived(["good"])

    for _ in range(2):
        sends = len(quiet_road.api.book.requests)
        await asyncio.sleep(1)
        assert await quiet_road.bridge.stop() == 0
        await quiet_road.bridge.start()
        await until(partial(more_requests_than, quiet_road, sends), what="the next attempt")

    [dead] = await answered(quiet_road.dead_letters, what="the dead letter")
    headers = dict(dead.headers)
    assert headers["x-bridge-dlq-kind"] == b"exhausted"
    assert headers["x-bridge-dlq-attempts"] == b"4"
    await quiet_road.until_quiet()


def more_requests_than(made: KafkaRoad, count: int) -> bool:
    return len(made.api.book.requests) > count


async def test_a_target_that_is_down_for_a_minute_costs_nothing(quiet_road: KafkaRoad) -> None:
    fault = quiet_road.api.add_fault(Fault(reset=True))
    await quiet_road.bridge.start()
    ids = [f"e{number}" for number in range(300)]
    began = asyncio.get_running_loop().time()

    await quiet_road.events(ids[:200])
    await asyncio.sleep(DOWN / 2)
    await quiet_road.events(ids[200:])
    await asyncio.sleep(began + DOWN - asyncio.get_running_loop().time())
    assert not quiet_road.arrived(), "the target was not down"
    assert await quiet_road.bridge.ready(), "a target that is down is no reason to restart the bridge"
    during = await quiet_road.bridge.metrics()
    assert during["bridge_breaker_state{state=closed}"] == 0, "the breaker never opened"
    quiet_road.api.faults.remove(fault.id)
    await quiet_road.until_arrived(ids)
    samples = await quiet_road.until_quiet()

    assert not await quiet_road.dead_letters()
    assert all(value == 0 for name, value in samples.items() if name.startswith("bridge_events_buried_total"))
    assert set(quiet_road.arrived().values()) == {1}


async def test_delayed_events_outlive_a_restart_of_the_bridge_and_of_the_broker(
    rough_road: KafkaRoad, fresh_newest_kafka: KafkaNode
) -> None:
    await rough_road.bridge.start()
    began = time.time_ns() // 1_000_000
    dice = random.Random(5)
    due = {f"d{number}": began + dice.randint(5_000, 40_000) for number in range(100)}
    await rough_road.publish([event(event_id, ts=at) for event_id, at in due.items()])
    await asyncio.sleep(2)
    assert await rough_road.bridge.stop() == 0
    await asyncio.to_thread(fresh_newest_kafka.restart)
    await rough_road.bridge.start()
    await asyncio.sleep(5)
    await rough_road.bridge.kill()
    await rough_road.bridge.start()
    await asyncio.sleep(2)
    await asyncio.to_thread(fresh_newest_kafka.kill)
    await asyncio.to_thread(fresh_newest_kafka.start)

    await rough_road.until_arrived(due, seconds=120)
    await rough_road.until_quiet()

    for record in rough_road.api.book.events.values():
        assert record.arrivals[0] >= due[record.id], f"{record.id} was early"
    assert max(rough_road.arrived().values()) <= 2, "1 + one crash"
    assert not await rough_road.dead_letters()
