"""What must hold while the broker is hurt."""

from __future__ import annotations

import asyncio
import time
from itertools import count

import pytest

from bridge.devserver.faults import Fault
from devtools.rabbitmq import Node
from tests.chaos.rabbitmq_publisher import QUEUE, event
from tests.chaos.rabbitmq_road import BOTH, DEAD, Road
from tests.chaos.road import in_flight, until


async def publish_until(made: Road, enough: asyncio.Event) -> list[str]:
    """Publish twenty events at a time until `enough` is set; what the broker did not confirm is published again."""
    ids: list[str] = []
    for number in count():
        part = [f"e{number}-{index}" for index in range(20)]
        while True:
            try:
                await made.publisher.events(part)
                break
            except Exception:  # noqa: BLE001  the broker is being hurt; unconfirmed means again
                await asyncio.sleep(0.5)
        ids += part
        if enough.is_set():
            return ids
        await asyncio.sleep(0.1)
    raise AssertionError


@BOTH
async def test_a_broker_restarted_and_its_connections_closed_under_load_loses_nothing(
    rough_road: Road, fresh_broker: Node
) -> None:
    await rough_road.bridge.start()
    enough = asyncio.Event()
    publishing = asyncio.create_task(publish_until(rough_road, enough))
    await asyncio.sleep(1)
    await asyncio.to_thread(fresh_broker.close_all_connections)
    await asyncio.sleep(2)
    await asyncio.to_thread(fresh_broker.drop_all_connections)
    await asyncio.sleep(2)
    await asyncio.to_thread(fresh_broker.restart)
    await asyncio.sleep(1)
    enough.set()
    ids = await publishing

    await rough_road.until_arrived(ids, seconds=90)
    samples = await rough_road.until_quiet()

    assert samples["bridge_session_rebuilds_total{session=source}"] >= 3, "the faults never bit"
    assert rough_road.bridge.starts == 1
    # The bridge and its store lived: what the broker delivered again, or took twice, is known.
    assert set(rough_road.arrived()) == set(ids)
    assert set(rough_road.arrived().values()) == {1}
    assert not await rough_road.dead_letters()


async def test_a_delivery_that_comes_again_after_its_failed_send_is_sent(rough_road: Road, fresh_broker: Node) -> None:
    """The connections are closed while each first send hangs, so that its copy meets its claim; then it fails."""
    rough_road.api.add_fault(Fault(status=500, latency_ms=4_000, each=1))
    rough_road.bridge.settings["target"]["http"] = {"concurrency": 50}
    await rough_road.bridge.start()
    ids = [f"e{number}" for number in range(20)]

    await rough_road.publisher.events(ids)
    await until(lambda: len(rough_road.api.faults.all()[0].each) == len(ids), what="the first send of each")
    await asyncio.to_thread(fresh_broker.close_all_connections)
    await rough_road.until_arrived(ids)
    samples = await rough_road.until_quiet()

    assert samples["bridge_deliveries_received_total{stage=intake}"] > len(ids), "nothing came again"
    assert samples["bridge_sends_total{outcome=retryable}"] >= len(ids), "the sends never failed"
    assert set(rough_road.arrived().values()) == {1}
    assert not await rough_road.dead_letters()


@pytest.mark.timeout(420)
async def test_delayed_events_survive_a_broker_restart_while_they_expire(rough_road: Road, fresh_broker: Node) -> None:
    await rough_road.bridge.start()
    began = time.time_ns() // 1_000_000
    due = {f"d{number}": began + 4_000 + number * 200 for number in range(60)}
    await rough_road.publisher.publish([event(event_id, ts=at) for event_id, at in due.items()])
    await until(lambda: "session_lost" not in rough_road.bridge.log())
    assert not rough_road.arrived()

    await asyncio.to_thread(fresh_broker.stop)
    await asyncio.sleep(5)  # many become due while nobody is there
    await asyncio.to_thread(fresh_broker.start)
    # What a level hands on before the next queue has its leader, RabbitMQ drops, and tries again after 180 s.
    await rough_road.until_arrived(due, seconds=240)
    samples = await rough_road.until_quiet()

    assert samples["bridge_session_rebuilds_total{session=due}"] >= 1, "the fault never bit"
    for record in rough_road.api.book.events.values():
        assert record.arrivals[0] >= due[record.id], f"{record.id} was early"
    assert set(rough_road.arrived().values()) == {1}
    assert not await rough_road.dead_letters()


@BOTH
async def test_after_an_alarm_and_dropped_connections_consumption_resumes_by_itself(
    rough_road: Road, fresh_broker: Node
) -> None:
    """The client's own robust connection deadlocks here, for ever and in silence."""
    await rough_road.bridge.start()
    await rough_road.publisher.events(["before"])
    await rough_road.until_arrived(["before"])

    await asyncio.to_thread(fresh_broker.alarm, True)
    held = asyncio.create_task(rough_road.publisher.events(["during"]))
    await asyncio.sleep(1.5)
    await asyncio.to_thread(fresh_broker.close_all_connections)
    await asyncio.sleep(2)
    await asyncio.to_thread(fresh_broker.alarm, False)
    await asyncio.gather(held, return_exceptions=True)
    await rough_road.publisher.events(["after"])
    await rough_road.until_arrived(["after"])

    samples = await rough_road.until_quiet()
    assert samples["bridge_session_rebuilds_total{session=source}"] >= 1, "the fault never bit"
    assert rough_road.bridge.starts == 1
    assert not await rough_road.dead_letters()


@pytest.mark.parametrize("missing", ["binding", "exchange"])
async def test_an_unroutable_publish_is_never_followed_by_an_ack(quiet_road: Road, missing: str) -> None:
    """Poison cannot be buried while the way to the dead letters is gone: it stays in the queue, unsettled."""
    await quiet_road.bridge.start()  # once, to create what is missing
    await quiet_road.bridge.stop()
    for part in ("delay", "dead_letters"):
        quiet_road.bridge.settings[part] = {"type": "rabbitmq", "topology": "off"}  # or it would heal by itself
    await quiet_road.bridge.start()
    await quiet_road.publisher.unbind(DEAD, whole=missing == "exchange")

    await quiet_road.publisher.publish([b"poison"])
    await until(lambda: "waiting_for_dependency" in quiet_road.bridge.log(), what="the refused burial")
    await asyncio.sleep(1)
    samples = await quiet_road.bridge.metrics()
    assert in_flight(samples) == 1
    assert samples["bridge_intake_paused{reason=dead_letters}"] == 1

    await quiet_road.publisher.bind(DEAD)
    await quiet_road.until_quiet()
    dead = await quiet_road.dead_letters()
    assert {letter.body for letter in dead} == {b"poison"}


async def test_a_refused_burial_is_never_followed_by_an_ack(quiet_road: Road) -> None:
    """The queue of the dead letters is full, and refuses."""
    await quiet_road.bridge.start()
    await quiet_road.limit_length("^bridge.dead", 1)
    bodies = {b"poison %d" % number for number in range(20)}

    for body in sorted(bodies):
        await quiet_road.publisher.publish([body])  # one by one, for a queue may run over its limit by a few
    await until(lambda: "waiting_for_dependency" in quiet_road.bridge.log(), what="the refused burial")
    await asyncio.sleep(1)
    samples = await quiet_road.bridge.metrics()
    buried = {letter.body for letter in await quiet_road.dead_letters()}
    settled = samples["bridge_deliveries_settled_total{stage=intake,verdict=settle}"]
    assert settled <= len(buried) < len(bodies), "what was settled lies in the dead letters"
    assert samples["bridge_intake_paused{reason=dead_letters}"] == 1, "the fault never bit"

    await quiet_road.limit_length("^bridge.dead", None)
    await quiet_road.until_quiet()
    buried |= {letter.body for letter in await quiet_road.dead_letters()}
    assert buried == bodies


async def test_a_refused_hold_is_never_followed_by_an_ack(quiet_road: Road) -> None:
    """The levels of the delay exchange are full, and refuse."""
    await quiet_road.bridge.start()
    await quiet_road.limit_length("^bridge.delay", 1)
    at = time.time_ns() // 1_000_000 + 8_000
    ids = [f"d{number}" for number in range(20)]

    for event_id in ids:
        await quiet_road.publisher.publish([event(event_id, ts=at)])
    await until(lambda: "waiting_for_dependency" in quiet_road.bridge.log(), what="the refused hold")
    samples = await quiet_road.bridge.metrics()
    assert samples["bridge_intake_paused{reason=delay}"] == 1, "the fault never bit"
    settled = samples["bridge_deliveries_settled_total{stage=intake,verdict=settle}"]
    assert settled < len(ids)

    await quiet_road.limit_length("^bridge.delay", None)
    await quiet_road.until_arrived(ids)
    await quiet_road.until_quiet()
    assert all(record.arrivals[0] >= at for record in quiet_road.api.book.events.values())
    assert set(quiet_road.arrived().values()) == {1}
    assert not await quiet_road.dead_letters()


async def test_a_queue_that_is_deleted_and_made_again_is_consumed_again(quiet_road: Road) -> None:
    await quiet_road.bridge.start()
    await quiet_road.publisher.events(["before"])
    await quiet_road.until_arrived(["before"])

    await quiet_road.publisher.delete(QUEUE)
    await until(lambda: "session_lost" in quiet_road.bridge.log(), what="the loss")
    await quiet_road.publisher.declare()
    await quiet_road.publisher.events(["after"])

    await quiet_road.until_arrived(["after"])
    await quiet_road.until_quiet()
