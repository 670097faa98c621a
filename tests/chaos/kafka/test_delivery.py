"""What must hold on Kafka while nothing is broken but the events."""

from __future__ import annotations

import json
import random
import time

from bridge.devserver.faults import Fault, Match
from tests.chaos.kafka.road import KafkaRoad, event
from tests.chaos.road import answered, until
from tests.chaos.test_delivery import bound, shaped


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def test_five_thousand_events_over_four_partitions_with_duplicates_arrive_exactly_once(
    quiet_road: KafkaRoad,
) -> None:
    await quiet_road.bridge.start()
    events = [(shaped(number), b"%d" % (number % 50), None) for number in range(5_000)]
    mixed = events + random.Random(7).sample(events, 500)
    random.Random(8).shuffle(mixed)

    await quiet_road.publish(mixed)
    await quiet_road.until_arrived([f"e{number}" for number in range(5_000)], seconds=150)
    samples = await quiet_road.until_quiet()

    assert set(quiet_road.arrived().values()) == {1}
    assert len(quiet_road.arrived()) == 5_000
    assert samples["bridge_deliveries_received_total{stage=intake}"] == 5_500
    assert samples["bridge_events_total{result=duplicate}"] == 500
    assert samples["bridge_events_total{result=accepted}"] == 5_000
    assert not await quiet_road.dead_letters()


async def test_an_event_that_fails_is_delivered_after_a_restart_although_the_next_one_passed(
    quiet_road: KafkaRoad,
) -> None:
    """Commits never overtake it, and a retry that waits does not come twice."""
    quiet_road.bridge.settings["retry"] = {"base": 3600, "cap": 3600}
    fault = quiet_road.api.add_fault(Fault(match=Match(id="n"), reset=True, latency_ms=20_000))
    await quiet_road.bridge.start()

    await quiet_road.publish([(event("n"), None, 0), (event("n+1"), None, 0)])
    await quiet_road.until_arrived(["n+1"])

    async def marked_and_committed() -> bool:
        return await quiet_road.depths() == {quiet_road.topic: 1}

    await answered(marked_and_committed, what="the commit of what passed")
    await quiet_road.bridge.kill()  # while the first is on its way
    quiet_road.api.faults.remove(fault.id)
    await quiet_road.bridge.start()
    await quiet_road.until_arrived(["n"])
    await quiet_road.until_quiet()

    assert quiet_road.arrived()["n+1"] == 1
    assert not await quiet_road.dead_letters()


async def test_events_without_an_id_at_equal_offsets_of_two_partitions_are_both_delivered(
    quiet_road: KafkaRoad,
) -> None:
    body = {"name": "user.created", "data": {"same": True}}
    await quiet_road.bridge.start()

    await quiet_road.publish([(body, None, partition) for partition in (0, 1, 2, 3)])
    await until(lambda: quiet_road.arrived().total() == 4, what="all four")
    samples = await quiet_road.until_quiet()

    assert len(quiet_road.arrived()) == 4
    assert samples["bridge_events_total{result=duplicate}"] == 0


async def test_delays_are_never_early_and_a_delayed_event_is_not_its_own_duplicate(quiet_road: KafkaRoad) -> None:
    await quiet_road.bridge.start()
    dice = random.Random(3)
    waits = [dice.uniform(200, 90_000) for _ in range(298)] + [200, 90_000]
    base = now_ms() + 500  # publishing takes a moment
    due = {f"d{number}": base + int(wait) for number, wait in enumerate(waits)}
    bodies = [event(event_id, ts=at) for event_id, at in due.items()]

    await quiet_road.publish(bodies)
    await quiet_road.publish(bodies)
    await quiet_road.until_arrived(due, seconds=150)
    samples = await quiet_road.until_quiet()

    records = quiet_road.api.book.events.values()
    late = sorted(record.arrivals[0] - due[record.id] for record in records)
    assert late[0] >= 0, f"{late[0]} ms early"
    assert late[len(late) // 2] <= bound()
    assert set(quiet_road.arrived().values()) == {1}
    assert samples["bridge_deliveries_received_total{stage=due}"] >= 150, "few went through the delay line"
    assert samples["bridge_events_total{result=duplicate}"] >= 300, "the copies were never seen"
    assert not await quiet_road.dead_letters()


async def test_one_event_that_keeps_failing_stops_neither_its_partition_nor_the_commits(quiet_road: KafkaRoad) -> None:
    quiet_road.bridge.settings["retry"] = {"base": 1, "cap": 8, "max_attempts": 100}
    quiet_road.bridge.settings["breaker"] = {"consecutive": 1_000, "failure_rate": 1}
    fault = quiet_road.api.add_fault(Fault(match=Match(id="bad"), status=500))
    await quiet_road.bridge.start()
    ids = [f"e{number}" for number in range(500)]

    await quiet_road.publish([(event("bad"), None, 0), *((event(event_id), None, 0) for event_id in ids)])
    await quiet_road.until_arrived(ids)
    await until(lambda: len(sends_of(quiet_road, "bad")) > 2, what="several attempts")

    async def committed() -> bool:
        return quiet_road.topic not in await quiet_road.depths()

    await answered(committed, what="commits up to the end")
    quiet_road.api.faults.remove(fault.id)
    await quiet_road.until_arrived(["bad"])
    await quiet_road.until_quiet()

    assert set(quiet_road.arrived().values()) == {1}


async def test_poison_and_rejected_events_keep_bytes_headers_and_keys_and_say_why(quiet_road: KafkaRoad) -> None:
    quiet_road.api.add_fault(Fault(match=Match(id="bad"), poison="no such user"))
    await quiet_road.bridge.start()

    await quiet_road.publish([(b'{"name": "x", "name": "y"}', b"k\xff", 2), (event("bad"), b"bad", None)])
    await quiet_road.events(["good"])
    await quiet_road.until_arrived(["good"])

    async def both() -> bool:
        return len(await quiet_road.dead_letters()) == 2

    await answered(both, what="two dead letters")
    await quiet_road.until_quiet()

    letters = await quiet_road.dead_letters()
    kinds = {dict(letter.headers)["x-bridge-dlq-kind"].decode(): letter for letter in letters}
    assert set(kinds) == {"poison", "rejected"}
    assert (kinds["poison"].key, kinds["poison"].value) == (b"k\xff", b'{"name": "x", "name": "y"}')
    assert b"name" in dict(kinds["poison"].headers)["x-bridge-dlq-reason"]
    assert (kinds["rejected"].key, json.loads(kinds["rejected"].value)["id"]) == (b"bad", "bad")
    assert b"no such user" in dict(kinds["rejected"].headers)["x-bridge-dlq-reason"]


def sends_of(made: KafkaRoad, event_id: str) -> list[object]:
    return [record for record in made.api.book.requests if event_id in record.ids]
