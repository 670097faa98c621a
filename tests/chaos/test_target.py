"""What must hold while the target is down, refuses, or asks for a pause."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pydantic import SecretStr

from bridge.devserver.faults import Fault
from bridge.devserver.settings import DevServerSettings
from devtools.rabbitmq import Node
from tests.chaos.rabbitmq_road import Road, road
from tests.chaos.road import until

DOWN = 60.0  # seconds


async def test_a_target_that_is_down_for_a_minute_costs_nothing(quiet_road: Road) -> None:
    fault = quiet_road.api.add_fault(Fault(reset=True))
    await quiet_road.bridge.start()
    ids = [f"e{number}" for number in range(300)]
    began = asyncio.get_running_loop().time()

    await quiet_road.publisher.events(ids[:200])
    await asyncio.sleep(DOWN / 2)
    await quiet_road.publisher.events(ids[200:])
    await asyncio.sleep(began + DOWN - asyncio.get_running_loop().time())
    assert not quiet_road.arrived(), "the target was not down"
    assert await quiet_road.bridge.ready(), "a target that is down is no reason to restart the bridge"
    assert await quiet_road.bridge.live(), "nor to kill it"
    during = await quiet_road.bridge.metrics()
    assert during["bridge_breaker_state{state=closed}"] == 0, "the breaker never opened"
    quiet_road.api.faults.remove(fault.id)
    await quiet_road.until_arrived(ids)
    samples = await quiet_road.until_quiet()

    assert not await quiet_road.dead_letters()
    assert all(value == 0 for name, value in samples.items() if name.startswith("bridge_events_buried_total"))
    assert set(quiet_road.arrived().values()) == {1}


async def test_a_401_for_a_while_and_then_a_rotated_key_file_delivers_everything(
    tmp_path: Path, broker: Node, vhost: str
) -> None:
    key = tmp_path / "key"
    key.write_text("old-key\n")
    settings = DevServerSettings(port=0, keys=(SecretStr("new-key"),))
    async with road(tmp_path, broker, vhost, api=settings) as made:
        target = {"type": "trigger", "version": "v2", "url": made.api.url, "key_file": str(key)}
        made.bridge.settings["target"] = target
        await made.bridge.start()
        ids = [f"e{number}" for number in range(100)]

        await made.publisher.events(ids)
        await until(lambda: any(record.status == 401 for record in made.api.book.requests), what="a 401")
        await asyncio.sleep(3)
        assert not made.arrived()
        refused = sum(record.status == 401 for record in made.api.book.requests)
        assert refused < len(ids), "a key that is wrong is not tried with every event"
        key.write_text("new-key\n")
        await made.until_arrived(ids)
        samples = await made.until_quiet()

        assert samples["bridge_sends_total{outcome=misconfigured}"] >= 2, "the probes never asked again"
        assert made.bridge.starts == 1
        assert not await made.dead_letters()
        assert set(made.arrived().values()) == {1}


async def test_a_429_with_retry_after_means_no_request_in_that_time(quiet_road: Road) -> None:
    pause = 4.0
    quiet_road.bridge.settings["target"]["http"] = {"concurrency": 1}
    quiet_road.api.add_fault(Fault(status=429, retry_after=pause, times=1, after=5))
    await quiet_road.bridge.start()
    ids = [f"e{number}" for number in range(300)]

    await quiet_road.publisher.events(ids)
    await quiet_road.until_arrived(ids)
    samples = await quiet_road.until_quiet()

    requests = sorted(quiet_road.api.book.requests, key=lambda record: record.monotonic)
    [told] = [record for record in requests if record.status == 429]
    heard = told.monotonic + told.duration_ms / 1000
    within = [record for record in requests if heard < record.monotonic < heard + pause - 0.05]
    assert not within, f"{len(within)} requests within the {pause} s that were asked for"
    assert samples["bridge_events_total{result=retried}"] == 0, "a pause uses up no attempt"
    assert set(quiet_road.arrived().values()) == {1}
    assert not await quiet_road.dead_letters()


async def test_a_stop_in_the_middle_of_an_outage_gives_everything_back(quiet_road: Road) -> None:
    """And what comes again after its failed send is sent, not taken for a duplicate."""
    fault = quiet_road.api.add_fault(Fault(status=503))
    await quiet_road.bridge.start()
    ids = [f"e{number}" for number in range(50)]
    await quiet_road.publisher.events(ids)
    await until(lambda: len(quiet_road.api.book.requests) > 5, what="requests")

    assert await quiet_road.bridge.stop() == 0
    at_broker = sum(ready + unsettled for ready, unsettled in (await quiet_road.depths()).values())
    assert at_broker == len(ids), "all are at the broker: in the queue, or held"
    quiet_road.api.faults.remove(fault.id)
    await quiet_road.bridge.start()
    await quiet_road.until_arrived(ids)
    samples = await quiet_road.until_quiet()

    assert samples["bridge_events_total{result=duplicate}"] == 0
    assert set(quiet_road.arrived().values()) == {1}
    assert not await quiet_road.dead_letters()
