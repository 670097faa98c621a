"""Order by key from Kafka: through failures of the target, instances that come and go, and processes that die."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bridge.devserver.faults import Fault, Match
from bridge.devserver.records import RequestRecord
from tests.chaos.kafka.road import KafkaRoad, Record, event
from tests.chaos.road import answered, in_flight, until

KEYS, PARTITIONS = 20, 4
FAILURES = (  # a fifth of all sends; each rate is of those that the ones before let pass
    Fault(status=500, rate=0.08),
    Fault(reset=True, rate=0.07),
    Fault(reset=True, stored=True, rate=0.07),  # taken in, but the bridge never hears of it
)
SLOW = Fault(latency_ms=10, jitter_ms=40)  # so that whatever happens finds sends on their way


@pytest.fixture
def ordered_road(quiet_road: KafkaRoad) -> KafkaRoad:
    """A road in order, whose breaker takes no failure for an outage."""
    quiet_road.bridge.settings |= {
        "ordering": "key",
        "retry": {"base": 0.05, "cap": 0.2, "max_attempts": 1_000},
        "breaker": {"consecutive": 100_000, "failure_rate": 1},
    }
    return quiet_road


class Stream:
    """Numbered events of many keys, in no order among the keys."""

    def __init__(self) -> None:
        self.published: defaultdict[str, list[int]] = defaultdict(list)
        self._dice = random.Random(3)

    @property
    def ids(self) -> list[str]:
        return [f"{key}-{number}" for key, numbers in self.published.items() for number in numbers]

    def records(self, count: int) -> Iterator[Record]:
        for _ in range(count):
            index = self._dice.randrange(KEYS)
            key = f"k{index}"
            number = len(self.published[key])
            self.published[key].append(number)
            yield event(f"{key}-{number}"), key.encode(), index % PARTITIONS

    async def flow(self, made: KafkaRoad, enough: asyncio.Event) -> None:
        """Publish until `enough` is set."""
        async with made.producer() as producer:
            while not enough.is_set():
                await made.send(producer, self.records(20))
                await asyncio.sleep(0.2)


def of_key(key: str, numbers: range, partition: int = 0) -> list[Record]:
    return [(event(f"{key}-{number}"), key.encode(), partition) for number in numbers]


def first_acceptances(made: KafkaRoad) -> dict[str, list[int]]:
    """The numbers of each key, in the order in which the API took them for the first time."""
    by_key: defaultdict[str, list[int]] = defaultdict(list)
    for record in sorted(made.api.book.events.values(), key=lambda record: record.arrivals[0]):
        key, _, number = record.id.partition("-")
        by_key[key].append(int(number))
    return dict(by_key)


def sends_by_key(made: KafkaRoad) -> dict[str, list[RequestRecord]]:
    """The requests of each key, as they began."""
    by_key: defaultdict[str, list[RequestRecord]] = defaultdict(list)
    for request in sorted(made.api.book.requests, key=lambda request: request.monotonic):
        by_key[request.ids[0].partition("-")[0]].append(request)
    return dict(by_key)


def side_by_side(requests: list[RequestRecord]) -> int:
    """How many requests began while the one before was not answered."""
    return sum(b.monotonic < a.monotonic + a.duration_ms / 1000 for a, b in pairwise(requests))


async def dead_kinds(made: KafkaRoad) -> dict[Any, bytes]:
    """Key and kind of the dead letters."""
    letters = await made.dead_letters()
    return {letter.key: dict(letter.headers)["x-bridge-dlq-kind"] for letter in letters}


async def test_first_acceptances_of_each_key_are_in_order_while_a_fifth_of_the_sends_fail(
    ordered_road: KafkaRoad,
) -> None:
    stream = Stream()
    for fault in FAILURES:
        ordered_road.api.add_fault(fault)
    await ordered_road.bridge.start()

    await ordered_road.publish(stream.records(2_000))
    await ordered_road.until_arrived(stream.ids, seconds=150)
    samples = await ordered_road.until_quiet()

    assert len(stream.published) == KEYS
    assert first_acceptances(ordered_road) == stream.published
    assert {key: side_by_side(sends) for key, sends in sends_by_key(ordered_road).items()} == dict.fromkeys(
        stream.published, 0
    )
    failed = sum(not request.ok for request in ordered_road.api.book.requests)
    assert failed > 0.15 * len(ordered_road.api.book.requests), "few of the sends failed"
    assert samples["bridge_events_in_line"] == 0
    assert not await ordered_road.dead_letters()


async def test_a_key_that_fails_holds_its_own_followers_and_nobody_else_of_its_partition(
    ordered_road: KafkaRoad,
) -> None:
    fault = ordered_road.api.add_fault(Fault(match=Match(id="bad-0"), status=500))
    await ordered_road.bridge.start()

    await ordered_road.publish([*of_key("bad", range(5)), *of_key("good", range(50))])
    await ordered_road.until_arrived(f"good-{number}" for number in range(50))
    await until(lambda: len(sends_by_key(ordered_road)["bad"]) > 3, what="several attempts")
    assert {request.ids[0] for request in sends_by_key(ordered_road)["bad"]} == {"bad-0"}
    assert (await ordered_road.bridge.metrics())["bridge_events_in_line"] == 4
    ordered_road.api.faults.remove(fault.id)
    await ordered_road.until_arrived(f"bad-{number}" for number in range(5))
    await ordered_road.until_quiet()

    assert first_acceptances(ordered_road) == {"bad": list(range(5)), "good": list(range(50))}
    assert not await ordered_road.dead_letters()


async def test_one_that_holds_its_key_up_for_too_long_is_buried_and_the_key_goes_on(ordered_road: KafkaRoad) -> None:
    ordered_road.bridge.settings["ordering"] = {"type": "key", "on_stuck": "bury", "stuck_after": 2}
    ordered_road.api.add_fault(Fault(match=Match(id="bad-0"), status=500))
    await ordered_road.bridge.start()

    await ordered_road.publish([*of_key("bad", range(5)), *of_key("good", range(5))])
    await ordered_road.until_arrived([f"{key}-{number}" for key in ("bad", "good") for number in range(1, 5)])
    samples = await ordered_road.until_quiet()

    assert await dead_kinds(ordered_road) == {b"bad": b"stuck"}
    assert samples["bridge_events_buried_total{kind=stuck}"] == 1
    assert first_acceptances(ordered_road) == {"bad": [1, 2, 3, 4], "good": [0, 1, 2, 3, 4]}


async def test_one_that_blocks_is_waited_for_beyond_the_limit(ordered_road: KafkaRoad) -> None:
    ordered_road.bridge.settings["ordering"] = {"type": "key", "on_stuck": "block", "stuck_after": 1}
    fault = ordered_road.api.add_fault(Fault(match=Match(id="bad-0"), status=500))
    await ordered_road.bridge.start()
    await ordered_road.publish(of_key("bad", range(5)))

    async def stuck() -> bool:
        return (await ordered_road.bridge.metrics())["bridge_keys_stuck"] == 1

    await answered(stuck, what="a key that is stuck")
    assert not ordered_road.arrived()
    ordered_road.api.faults.remove(fault.id)
    await ordered_road.until_arrived(f"bad-{number}" for number in range(5))
    samples = await ordered_road.until_quiet()

    assert samples["bridge_keys_stuck"] == 0
    assert first_acceptances(ordered_road) == {"bad": list(range(5))}
    assert not await ordered_road.dead_letters()


async def test_records_without_a_key_flow_freely(ordered_road: KafkaRoad) -> None:
    fault = ordered_road.api.add_fault(Fault(match=Match(id="free-0"), status=500))
    ordered_road.api.add_fault(Fault(latency_ms=200))
    await ordered_road.bridge.start()
    ids = [f"free-{number}" for number in range(100)]

    await ordered_road.publish([*((event(event_id), None, 0) for event_id in ids), *of_key("good", range(5))])
    await ordered_road.until_arrived(ids[1:])
    await ordered_road.until_arrived(f"good-{number}" for number in range(5))
    ordered_road.api.faults.remove(fault.id)
    await ordered_road.until_arrived(ids)
    await ordered_road.until_quiet()

    sends = sends_by_key(ordered_road)
    assert side_by_side(sends["free"]) > 10
    assert side_by_side(sends["good"]) == 0
    assert not await ordered_road.dead_letters()


@pytest.mark.timeout(420)
async def test_the_order_outlives_instances_that_join_and_leave(ordered_road: KafkaRoad, tmp_path: Path) -> None:
    for fault in (*FAILURES, SLOW):
        ordered_road.api.add_fault(fault)
    stream, enough = Stream(), asyncio.Event()
    bridges = [ordered_road.bridge, ordered_road.another(tmp_path / "another")]
    await bridges[0].start()
    publishing = asyncio.create_task(stream.flow(ordered_road, enough))
    try:
        for turn in range(4):
            comes, goes = bridges[(turn + 1) % 2], bridges[turn % 2]
            await comes.start()
            await asyncio.sleep(2)
            if turn == 2:
                await goes.kill()
            else:
                assert await goes.stop() == 0
            await asyncio.sleep(1)
        enough.set()
        await publishing
        await ordered_road.until_arrived(stream.ids, seconds=150)
        await ordered_road.until_quiet()
    finally:
        for bridge in bridges:
            if bridge.running:
                await bridge.kill()

    assert first_acceptances(ordered_road) == stream.published
    assert not await ordered_road.dead_letters()


async def test_the_order_outlives_processes_that_are_killed(ordered_road: KafkaRoad) -> None:
    for fault in (*FAILURES, SLOW):
        ordered_road.api.add_fault(fault)
    stream, enough = Stream(), asyncio.Event()
    publishing = asyncio.create_task(stream.flow(ordered_road, enough))
    interrupted = 0.0
    for _ in range(3):
        taken = len(ordered_road.arrived())
        await ordered_road.bridge.start()
        await until(partial(more_arrived_than, ordered_road, taken + 50), what="the next fifty")
        interrupted += in_flight(await ordered_road.bridge.metrics())
        await ordered_road.bridge.kill()
    enough.set()
    await publishing
    await ordered_road.bridge.start()
    await ordered_road.until_arrived(stream.ids, seconds=150)
    await ordered_road.until_quiet()

    assert interrupted > 0, "the kills hit nothing"
    assert first_acceptances(ordered_road) == stream.published
    assert not await ordered_road.dead_letters()


def more_arrived_than(made: KafkaRoad, count: int) -> bool:
    return len(made.arrived()) > count
