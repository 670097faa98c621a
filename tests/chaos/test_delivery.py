"""What must hold while nothing is broken but the events."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path

from bridge.devserver.faults import Fault, Match
from devtools.rabbitmq import Node
from tests.chaos.rabbitmq_publisher import QUEUE, Body, event
from tests.chaos.rabbitmq_road import BOTH, Road, road
from tests.chaos.road import until, webhook

LATE = 5.0  # ms the median may be late on a quiet machine
BUSY_LATE = 3_000.0  # ms: on a busy one this is no measurement, only a sign of life; `./dev bench delays` measures
QUIET_LOAD = 0.7  # the load average of the last minute below which nobody else is at work


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def bound() -> float:
    """Ms the median may be late: what is promised where the machine is quiet, and next to nothing where it is not."""
    return LATE if os.getloadavg()[0] < QUIET_LOAD else BUSY_LATE


def shaped(number: int) -> Body:
    """One of the shapes that carry an id, in turn."""
    event_id, payload = f"e{number}", {"n": number}
    bodies: list[Body] = [
        {"id": event_id, "event": {"name": "user.created", "payload": payload, "context": {"from": "v1"}}},
        {"event": {"id": event_id, "name": "user.created", "payload": payload}, "options": {}},
        {"id": event_id, "name": "user.created", "payload": payload},
        {"id": event_id, "name": "user.created", "data": payload, "user": {"external_id": "7"}, "v": "1"},
        {"id": event_id, "event": "user.created", "payload": payload},
        {"id": event_id, "source": "/tests", "type": "user.created", "specversion": "1.0", "data": payload},
        [{"id": event_id, "name": "user.created", "data": payload}],
    ]
    return bodies[number % len(bodies)]


@BOTH
async def test_five_thousand_events_of_mixed_shapes_with_duplicates_arrive_exactly_once(quiet_road: Road) -> None:
    await quiet_road.bridge.start()
    events = [shaped(number) for number in range(5_000)]
    mixed = events + random.Random(7).sample(events, 500)
    random.Random(8).shuffle(mixed)

    await quiet_road.publisher.publish(mixed)
    await quiet_road.until_arrived([f"e{number}" for number in range(5_000)], seconds=150)
    samples = await quiet_road.until_quiet()

    assert set(quiet_road.arrived().values()) == {1}
    assert len(quiet_road.arrived()) == 5_000
    assert samples["bridge_deliveries_received_total{stage=intake}"] == 5_500
    assert samples["bridge_events_total{result=duplicate}"] == 500
    assert samples["bridge_events_total{result=accepted}"] == 5_000
    assert not await quiet_road.dead_letters()


async def test_a_failed_send_is_tried_again_through_the_delay_exchange(quiet_road: Road) -> None:
    quiet_road.api.add_fault(Fault(status=500, each=2))
    await quiet_road.bridge.start()
    ids = [f"e{number}" for number in range(20)]

    await quiet_road.publisher.events(ids)
    await quiet_road.until_arrived(ids)
    samples = await quiet_road.until_quiet()

    assert set(quiet_road.arrived().values()) == {1}
    assert samples["bridge_sends_total{outcome=retryable}"] >= 40, "the fault never bit"
    assert samples["bridge_events_total{result=duplicate}"] == 0
    assert not await quiet_road.dead_letters()


async def test_a_delayed_event_is_not_its_own_duplicate_and_delays_are_never_early(quiet_road: Road) -> None:
    await quiet_road.bridge.start()
    dice = random.Random(3)
    waits = [dice.uniform(200, 20_000) for _ in range(198)] + [200, 20_000]
    base = now_ms() + 500  # publishing takes a moment
    due = {f"d{number}": base + int(wait) for number, wait in enumerate(waits)}
    bodies = [event(event_id, ts=at) for event_id, at in due.items()]

    await quiet_road.publisher.publish(bodies)
    await quiet_road.publisher.publish(bodies)
    await quiet_road.until_arrived(due)
    samples = await quiet_road.until_quiet()

    records = quiet_road.api.book.events.values()
    late = sorted(record.arrivals[0] - due[record.id] for record in records)
    assert late[0] >= 0, f"{late[0]} ms early"
    assert late[len(late) // 2] <= bound()
    assert set(quiet_road.arrived().values()) == {1}
    assert samples["bridge_deliveries_received_total{stage=due}"] >= 50, "few went through the delay exchange"
    assert samples["bridge_events_total{result=duplicate}"] >= 200, "the copies were never seen"
    assert not await quiet_road.dead_letters()


async def test_a_poison_event_inside_an_array_of_a_hundred_ends_alone_in_the_dead_letters(quiet_road: Road) -> None:
    quiet_road.bridge.settings["target"] = {"type": "inngest", "url": quiet_road.api.url, "key": "local"}
    quiet_road.api.add_fault(Fault(match=Match(id="e57"), poison="event is poison"))
    await quiet_road.bridge.start()
    ids = [f"e{number}" for number in range(100)]

    await quiet_road.publisher.publish([[event(event_id) for event_id in ids]])
    good = {event_id for event_id in ids if event_id != "e57"}
    await quiet_road.until_arrived(good)
    samples = await quiet_road.until_quiet()

    [dead] = await quiet_road.dead_letters()
    assert json.loads(dead.body)["id"] == "e57"
    assert "event is poison" in str(dead.headers["x-bridge-dlq-reason"])
    assert set(quiet_road.arrived()) == good
    assert samples["bridge_deliveries_received_total{stage=intake}"] == 1, "it was one array"


async def test_a_queue_with_a_delivery_limit_of_three_and_a_target_that_fails_a_hundred_times_loses_nothing(
    quiet_road: Road,
) -> None:
    quiet_road.bridge.settings["retry"] = {"base": 0.05, "cap": 0.5, "max_attempts": 200}
    quiet_road.bridge.settings["breaker"] = {"probe_base": 0.05, "probe_cap": 0.1}
    await quiet_road.publisher.delete(QUEUE)
    await quiet_road.publisher.declare(arguments={"x-delivery-limit": 3})
    fault = quiet_road.api.add_fault(Fault(status=503, times=100))
    await quiet_road.bridge.start()
    ids = [f"e{number}" for number in range(10)]

    await quiet_road.publisher.events(ids)
    await quiet_road.until_arrived(ids)
    await quiet_road.until_quiet()

    assert fault.hits == 100, "the fault never bit"
    assert set(quiet_road.arrived().values()) == {1}
    assert not await quiet_road.dead_letters()


async def test_poison_and_rejected_events_keep_their_bytes_and_say_why(quiet_road: Road) -> None:
    quiet_road.api.add_fault(Fault(match=Match(id="bad"), poison="no such user"))
    await quiet_road.bridge.start()

    await quiet_road.publisher.publish([b'{"name": "x", "name": "y"}'], {"trace": "kept"})
    await quiet_road.publisher.events(["bad", "good"])
    await quiet_road.until_arrived(["good"])
    await until(lambda: any(record.status == 422 for record in quiet_road.api.book.requests), what="the rejection")
    await quiet_road.until_quiet()

    dead = {str(letter.headers["x-bridge-dlq-kind"]): letter for letter in await quiet_road.dead_letters()}
    assert set(dead) == {"poison", "rejected"}
    assert dead["poison"].body == b'{"name": "x", "name": "y"}'
    assert dead["poison"].headers["trace"] == "kept"
    assert "name" in str(dead["poison"].headers["x-bridge-dlq-reason"])
    assert "no such user" in str(dead["rejected"].headers["x-bridge-dlq-reason"])


async def test_routes_of_one_process_do_not_disturb_each_other(tmp_path: Path, broker: Node, vhost: str) -> None:
    """One target is down, the other gets everything; and the same id on two routes is two events."""
    async with road(tmp_path, broker, vhost) as made:
        settings = made.bridge.settings
        common = {name: settings.pop(name) for name in ("source", "target", "retry", "breaker")}
        orders = common | {"source": common["source"] | {"queue": "orders"}}
        audit = common | {
            "source": common["source"] | {"queue": "audit"},
            "target": webhook(made.api) | {"url": f"{made.api.url}/webhook/audit"},
        }
        settings["routes"] = {"orders": orders, "audit": audit}
        fault = made.api.add_fault(Fault(match=Match(path="/webhook/audit"), status=503))
        for queue in settings["routes"]:
            await made.publisher.declare(queue)
        await made.bridge.start()
        ids = [f"e{number}" for number in range(100)]

        await made.publisher.events(ids, queue="audit")
        await made.publisher.publish([*(event(event_id) for event_id in ids), b"poison"], queue="orders")
        await until(lambda: len(arrived_at(made, "/webhook/sink")) == 100, what="the route whose target is up")
        await until(lambda: "target_held_off" in made.bridge.log(), what="the breaker of the other route")
        during = await made.bridge.metrics()
        assert during["bridge_breaker_state{route=orders,state=closed}"] == 1
        made.api.faults.remove(fault.id)
        await until(lambda: len(arrived_at(made, "/webhook/audit")) == 100, what="the other one")
        await made.until_quiet("orders", "audit")

        assert len(await made.dead_letters("bridge.orders.dead.v1")) == 1
        assert not await made.dead_letters("bridge.audit.dead.v1")


def arrived_at(made: Road, path: str) -> set[str]:
    """The ids that were accepted at one path."""
    return {
        event_id for record in made.api.book.requests if record.path == path and record.ok for event_id in record.ids
    }
