"""`event-bridge run` with several workers: one queue, one store, one parent, and workers that are killed."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bridge.devserver import DevServer, DevServerSettings, Fault
from devtools import rabbitmq
from devtools.kafka import KafkaNode
from devtools.kafka_lab import Lab
from devtools.rabbitmq import Node
from devtools.redis import RedisNode
from tests.chaos.kafka.road import kafka_road
from tests.chaos.rabbitmq_road import Road, road
from tests.chaos.road import until
from tests.integration.commands import done, starting

WORKERS = 2
PREFETCH = 50
SLOW = Fault(latency_ms=20, jitter_ms=50)  # so that each kill finds sends on their way
SETTLED = "bridge_deliveries_settled_total{stage=intake,verdict=settle}"


@pytest.fixture(scope="session")
def broker_version() -> str:
    """The newest one is enough: what is shown here is about processes."""
    return rabbitmq.VERSIONS[-1]


@pytest.fixture
async def shared_road(
    tmp_path: Path, broker: Node, vhost: str, redis_node: RedisNode, unique: str
) -> AsyncIterator[Road]:
    store = {"type": "redis", "url": redis_node.url, "namespace": unique}
    async with road(tmp_path, broker, vhost, workers=WORKERS, store=store) as made:
        made.bridge.settings["source"]["prefetch"] = PREFETCH
        yield made


def workers_of(shared: Road) -> dict[int, int]:
    """The newest process of each worker."""
    lines = [line for line in shared.bridge.log().splitlines() if line.startswith("{") and line.endswith("}")]
    said: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return {line["worker"]: line["worker_pid"] for line in said if line["event"] == "worker_started"}


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_workers_that_are_killed_lose_nothing_and_the_books_stay_right(shared_road: Road) -> None:
    kills = 3
    shared_road.api.add_fault(SLOW)
    await shared_road.bridge.start()
    ids = [f"e{number}" for number in range(1_200)]
    copies = random.Random(7).sample(ids, 400)
    publishing = asyncio.create_task(shared_road.publisher.events([*ids, *copies]))
    before = 0.0
    for kill in range(kills):
        wanted = (kill + 1) * 200
        await until(lambda wanted=wanted: len(shared_road.arrived()) >= wanted, what="events")  # type: ignore[misc]
        worker = 1 + kill % WORKERS
        victim = workers_of(shared_road)[worker]
        os.kill(victim, signal.SIGKILL)
        await until(lambda: workers_of(shared_road)[worker] != victim, what="a new worker")  # noqa: B023  at once
        settled = (await shared_road.bridge.metrics())[SETTLED]
        assert settled >= before, "a counter went back"
        before = settled
    await publishing

    await shared_road.until_arrived(ids)
    samples = await shared_road.until_quiet()
    pids = workers_of(shared_road)
    assert await shared_road.bridge.stop() == 0

    arrived = shared_road.arrived()
    assert set(arrived) == set(ids)
    assert max(arrived.values()) <= 1 + kills
    assert arrived.total() - len(ids) <= kills * PREFETCH
    assert samples["bridge_events_total{result=duplicate}"] > 0
    assert sum(samples[f"bridge_worker_restarts_total{{worker={worker}}}"] for worker in pids) == kills
    assert not any(map(exists, pids.values()))


async def test_both_workers_take_part_and_duplicates_reach_neither(shared_road: Road) -> None:
    shared_road.api.add_fault(SLOW)
    await shared_road.bridge.start()
    ids = [f"e{number}" for number in range(1_000)]
    await shared_road.publisher.events(ids + ids)
    await shared_road.until_arrived(ids)
    await shared_road.until_quiet()
    async with asyncio.timeout(60):  # what the parent knows of its workers is up to a second old
        while (samples := await shared_road.bridge.metrics())[SETTLED] < 2 * len(ids):  # noqa: ASYNC110  it is asked
            await asyncio.sleep(0.2)
    assert set(shared_road.arrived().values()) == {1}
    assert samples["bridge_events_total{result=accepted}"] == len(ids)
    assert samples["bridge_events_total{result=duplicate}"] == len(ids)
    assert [samples[name] for name in samples if name.startswith("bridge_build_info{")] == [1]
    assert await shared_road.bridge.ready()
    assert await shared_road.bridge.stop() == 0


async def test_a_parent_that_is_killed_takes_its_workers_along(shared_road: Road) -> None:
    await shared_road.bridge.start()
    pids = list(workers_of(shared_road).values())
    assert len(pids) == WORKERS
    try:
        await shared_road.bridge.kill()
        await until(lambda: not any(map(exists, pids)), what="the end of the workers")
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


async def test_workers_with_one_name_of_kafka_do_not_throw_each_other_out(
    tmp_path: Path, newest_kafka: KafkaNode, redis_node: RedisNode, unique: str
) -> None:
    """A static member's name is of one instance, so each worker has its number behind it."""
    async with kafka_road(tmp_path, newest_kafka.bootstrap, unique) as shared:
        settings = shared.bridge.settings
        settings |= {"workers": WORKERS, "store": {"type": "redis", "url": redis_node.url, "namespace": unique}}
        settings["source"]["group_instance_id"] = unique
        await shared.bridge.start()
        ids = [f"e{number}" for number in range(300)]
        await shared.events(ids + ids)
        await shared.until_arrived(ids)
        await shared.until_quiet()
        async with Lab(newest_kafka.bootstrap) as lab:
            assert await lab.members(unique) == WORKERS
        assert await shared.bridge.stop() == 0
        assert set(shared.arrived()) == set(ids)


async def test_a_store_of_one_process_is_refused_at_the_start(tmp_path: Path) -> None:
    source = {
        "BRIDGE_SOURCE__TYPE": "rabbitmq",
        "BRIDGE_SOURCE__URL": "amqp://127.0.0.1:1/",
        "BRIDGE_SOURCE__QUEUE": "q",
        "BRIDGE_WORKERS": "2",
    }
    async with DevServer(DevServerSettings(port=0)) as api, starting(tmp_path, source, api) as start:
        refused = await done(await start("run"))
    assert refused.code == 78
    assert "workers: needs a store that the workers share" in refused.err


async def test_workers_that_wait_for_everything_are_not_ready_and_say_why(tmp_path: Path) -> None:
    source = {
        "BRIDGE_SOURCE__TYPE": "rabbitmq",
        "BRIDGE_SOURCE__URL": "amqp://127.0.0.1:1/",
        "BRIDGE_SOURCE__QUEUE": "q",
        "BRIDGE_STORE__TYPE": "redis",
        "BRIDGE_STORE__URL": "redis://127.0.0.1:1/0",
        "BRIDGE_WORKERS": "2",
    }
    async with DevServer(DevServerSettings(port=0)) as api, starting(tmp_path, source, api) as start:
        daemon = await start("run")
        assert daemon.stdout is not None
        waiting: set[object] = set()
        async with asyncio.timeout(60):
            while len(waiting) < 2:
                said = json.loads(await daemon.stdout.readline())
                if said["event"] == "waiting_to_open":
                    waiting.add(said["worker"])
        daemon.terminate()
        assert (await done(daemon)).code == 0
