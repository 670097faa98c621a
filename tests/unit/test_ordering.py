"""Order by key through the whole line: what goes on, what waits, and what becomes of an event that never passes."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections import Counter, defaultdict
from collections.abc import Sequence

import pytest

from bridge.apis import MemorySettings
from bridge.core.breaker import BreakerPolicy
from bridge.core.lanes import StuckRule
from bridge.core.retry import RetryPolicy
from bridge.core.slots import Result
from bridge.errors import StoreUnavailable
from bridge.model import (
    Accepted,
    Ask,
    Claim,
    Delivery,
    Envelope,
    Hold,
    Misconfigured,
    Outcome,
    Rejected,
    Retryable,
    Stage,
    Ticket,
)
from bridge.ordering import header_key, key_of_source, routing_key
from bridge.ports import Groups
from bridge.route import Limits
from bridge.sources.memory import MemorySource
from bridge.stores.memory import MemoryStore
from bridge.targets.memory import MemoryTarget
from tests.fakes.route import MemoryRoute

BURY = StuckRule(after=60.0, bury=True)
BLOCK = StuckRule(after=60.0, bury=False)
PATIENT = RetryPolicy(base=0.02, cap=0.05, max_attempts=1_000)


def now() -> int:
    return time.time_ns() // 1_000_000


def ids(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


class Watching(MemoryTarget):
    """Answers after a while, and notes who was on the wire together."""

    def __init__(self, *, pace: float = 0.0) -> None:
        super().__init__()
        self.pace = pace
        self.on_the_wire: Counter[str] = Counter()  # by the first letter of the id, which is its key here
        self.most: Counter[str] = Counter()

    async def send(self, events: Sequence[Envelope], attempts: Sequence[int]) -> Groups:
        for event in events:
            self.on_the_wire[event.id[0]] += 1
        self.most |= self.on_the_wire
        await asyncio.sleep(self.pace)
        outcomes = [(number, self._take(*sent)) for number, sent in enumerate(zip(events, attempts, strict=True))]
        for event in events:
            self.on_the_wire[event.id[0]] -= 1
        yield outcomes


async def test_events_of_a_key_go_one_after_the_other_in_order() -> None:
    target = Watching(pace=0.001)
    route = MemoryRoute(target=target, stuck=BURY)
    async with route.running():
        for number in range(20):
            for key in "abc":
                route.publish(f"{key}{number}", key=key)
        await route.until_quiet()

    accepted = route.accepted()
    for key in "abc":
        assert [one for one in accepted if one[0] == key] == ids(key, 20)
    assert target.most == Counter({"a": 1, "b": 1, "c": 1})


async def test_without_a_key_nothing_waits() -> None:
    target = Watching(pace=0.01)
    async with MemoryRoute(target=target, stuck=BURY).running() as route:
        for number in range(20):
            route.publish(f"e{number}")
        await route.until_quiet()

    assert target.most["e"] == 20


async def test_without_ordering_a_key_means_nothing() -> None:
    target = Watching(pace=0.01)
    async with MemoryRoute(target=target).running() as route:
        for number in range(20):
            route.publish(f"e{number}", key="e")
        await route.until_quiet()

    assert target.most["e"] == 20


async def test_a_failure_holds_its_followers_and_nobody_else() -> None:
    route = MemoryRoute(stuck=BURY, retry=RetryPolicy(base=0.2, cap=0.2, max_attempts=50))
    route.target.answer(*[Retryable("500")] * 5, event_id="a1")
    async with route.running():
        for each in ids("a", 4):
            route.publish(each, key="a")
        for each in ids("b", 4):
            route.publish(each, key="b")
        await route.until(lambda: len(route.accepted()) >= 5)
        assert set(route.accepted()) == {"a0", *ids("b", 4)}
        assert route.tally.in_line == 2
        assert route.source.waiting == 3, "all of them unsettled"
        await route.until_quiet()

    assert [one for one in route.accepted() if one[0] == "a"] == ids("a", 4)
    assert [sent.attempt for sent in route.target.log if sent.event.id == "a1"] == [1, 2, 3, 4, 5, 6]
    assert route.tally.events[Result.RETRIED] == 0, "nothing went to the delay line"


async def test_long_waits_stay_in_the_process_even_where_there_is_no_room() -> None:
    limits = Limits(drain=5.0, lease=5.0, parked=0, parked_at_intake=0)
    route = MemoryRoute(stuck=BURY, limits=limits, hold_window=0, retry=PATIENT)
    route.target.answer(*[Retryable("500", after=0.1)] * 3, event_id="a0")
    async with route.running():
        for each in ids("a", 3):
            route.publish(each, key="a")
        await route.until(lambda: route.target.log)
        assert not route.delay.held
        await route.until_quiet()

    assert route.accepted() == ids("a", 3)
    assert not route.tally.received[Stage.DUE]


async def test_what_is_stuck_is_buried_and_its_key_goes_on() -> None:
    route = MemoryRoute(stuck=StuckRule(after=0.2, bury=True), retry=PATIENT)
    route.target.answer(*[Retryable("HTTP 500: no")] * 1_000, event_id="a0")
    async with route.running():
        for each in ids("a", 3):
            route.publish(each, key="a")
        await route.until_quiet()

    assert route.accepted() == ["a1", "a2"]
    [burial] = route.dead_letters.buried
    assert (burial.kind, burial.event_id) == ("stuck", "a0")
    assert burial.attempts > 2
    assert "HTTP 500: no" in burial.reason
    assert not route.tally.stuck


async def test_attempts_end_in_the_dead_letters_as_anywhere() -> None:
    route = MemoryRoute(stuck=BURY)  # at most 4 attempts
    route.target.answer(*[Retryable("500")] * 4, event_id="a0")
    async with route.running():
        for each in ids("a", 3):
            route.publish(each, key="a")
        await route.until_quiet()

    assert route.accepted() == ["a1", "a2"]
    assert [burial.kind for burial in route.dead_letters.buried] == ["exhausted"]


async def test_a_blocked_key_waits_for_a_cure_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "bridge.ordering")
    route = MemoryRoute(stuck=StuckRule(after=0.05, bury=False))  # at most 4 attempts, which do not apply
    route.target.answer(*[Retryable("HTTP 500: no")] * 30, event_id="a0")
    async with route.running():
        for each in ids("a", 3):
            route.publish(each, key="a")
        route.publish("b0", key="b")
        await route.until(lambda: route.tally.stuck == 1)
        assert route.accepted() == ["b0"]
        assert route.tally.in_line == 2
        await route.until_quiet()

    assert route.accepted() == ["b0", *ids("a", 3)]
    assert not route.dead_letters.buried
    assert route.tally.stuck == 0
    [record] = [record for record in caplog.records if record.message == "key_stuck"]
    assert (vars(record)["event_id"], vars(record)["reason"]) == ("a0", "HTTP 500: no")


async def test_an_outage_holds_every_key_and_buries_nothing() -> None:
    breaker = BreakerPolicy(consecutive=2, probe_base=0.05, probe_cap=0.05)
    route = MemoryRoute(stuck=StuckRule(after=0.3, bury=True), breaker=breaker)  # at most 4 attempts
    route.target.answer(*[Retryable("connect: refused")] * 20)
    async with route.running():
        for key in "abc":
            for each in ids(key, 3):
                route.publish(each, key=key)
        await route.until_quiet(20)

    for key in "abc":
        assert [one for one in route.accepted() if one[0] == key] == ids(key, 3)
    assert not route.dead_letters.buried


async def test_in_an_outage_nothing_is_taken_in_and_the_source_keeps_its_place() -> None:
    route = MemoryRoute(stuck=BURY)
    async with route.running():
        route.gate.pause(0.5)
        route.publish("a0", key="a")
        route.publish("b0", key="b")
        await asyncio.sleep(0.2)
        assert route.tally.received[Stage.INTAKE] <= 2, "at most what was asked for before"
        for each in ids("c", 5):
            route.publish(each, key="c")
        await asyncio.sleep(0.1)
        assert route.tally.received[Stage.INTAKE] <= 2
        assert not route.source._paused
        await route.until_quiet()

    assert len(route.accepted()) == 7


async def test_a_target_that_is_away_for_longer_than_max_hold_is_waited_for_in_the_process() -> None:
    limits = Limits(drain=5.0, lease=5.0, max_hold=0.1)
    breaker = BreakerPolicy(consecutive=1, probe_base=0.5, probe_cap=0.5)
    route = MemoryRoute(stuck=BURY, limits=limits, breaker=breaker)
    route.target.answer(Misconfigured("HTTP 401"), Misconfigured("HTTP 401"))
    async with route.running():
        for each in ids("a", 3):
            route.publish(each, key="a")
        await route.until_quiet(20)

    assert route.accepted() == ids("a", 3)
    assert not route.tally.received[Stage.DUE]


class Away(MemoryStore):
    """Away for the first `refuse` claims."""

    refuse = 3

    async def claim(self, asks: Sequence[Ask], *, owner: str, lease: float) -> list[Claim]:
        if self.refuse:
            self.refuse -= 1
            raise StoreUnavailable("disk full")
        return await super().claim(asks, owner=owner, lease=lease)


async def test_a_store_that_is_away_is_waited_for_in_the_process() -> None:
    limits = Limits(drain=5.0, lease=5.0, max_hold=0.05)
    route = MemoryRoute(stuck=BURY, store=Away(), limits=limits)
    async with route.running():
        for each in ids("a", 3):
            route.publish(each, key="a")
        await route.until_quiet()

    assert route.accepted() == ids("a", 3)
    assert not route.tally.received[Stage.DUE]


async def test_claims_are_taken_when_it_is_ones_turn() -> None:
    store = MemoryStore()
    route = MemoryRoute(stuck=BURY, store=store, retry=RetryPolicy(base=30.0, cap=30.0))
    route.target.answer(Retryable("500", after=30.0), event_id="a0")
    async with route.running():
        for each in ids("a", 3):
            route.publish(each, key="a")
        await route.until(lambda: route.tally.parked == 1)
        assert store.stats().claims == 0


@pytest.mark.parametrize("window", [0, 3_000], ids=["in the delay line", "in the process"])
async def test_a_delayed_event_leaves_the_order_and_stands_in_line_when_it_comes_due(window: int) -> None:
    target = Watching(pace=0.002)
    route = MemoryRoute(target=target, stuck=BURY, hold_window=window, retry=PATIENT)
    target.answer(*[Retryable("500")] * 20, event_id="a3")
    async with route.running():
        route.publish("a0", key="a", ts=now() + 300)
        for each in ids("a", 3)[1:]:
            route.publish(each, key="a")
        await route.until(lambda: route.accepted() == ["a1", "a2"])
        for number in range(3, 30):
            route.publish(f"a{number}", key="a", ts=now() + 250 if number % 5 == 0 else None)
        await route.until_quiet()

    assert sorted(route.accepted()) == sorted(ids("a", 30))
    undelayed = [one for one in ids("a", 30) if int(one[1:]) % 5]
    assert [one for one in route.accepted() if one in undelayed] == undelayed
    assert target.most["a"] == 1


async def test_what_the_target_holds_itself_is_sent_in_its_turn() -> None:
    route = MemoryRoute(target=MemoryTarget(MemorySettings(type="memory", native_delay=60)), stuck=BURY)
    route.target.answer(*[Retryable("500")] * 3, event_id="a0")
    async with route.running():
        route.publish("a0", key="a")
        route.publish("a1", key="a", ts=now() + 30_000)
        route.publish("a2", key="a")
        await route.until_quiet()

    assert route.accepted() == ids("a", 3)


async def test_poison_rejections_and_duplicates_hold_nobody_up() -> None:
    route = MemoryRoute(stuck=BLOCK)
    route.target.answer(Rejected("HTTP 422"), event_id="bad")
    async with route.running():
        route.publish("a0", key="a")
        route.source.publish(b"{nonsense", routing_key="a")
        route.publish("a0", key="a")
        route.publish("bad", key="a")
        route.publish("a1", key="a")
        route.publish("a0", key="a")
        await route.until_quiet()

    assert route.accepted() == ["a0", "a1"]
    assert route.tally.events[Result.DUPLICATE] == 2
    assert Counter(burial.kind for burial in route.dead_letters.buried) == {"poison": 1, "rejected": 1}


async def test_one_event_under_two_keys_is_sent_once_and_stops_neither() -> None:
    async with MemoryRoute(stuck=BURY).running() as route:
        for key in "ab":
            route.publish("same", key=key)
            route.publish(f"{key}1", key=key)
        await route.until_quiet()

    assert sorted(route.accepted()) == ["a1", "b1", "same"]


async def test_one_event_once_for_later_and_once_for_now_stops_nobody() -> None:
    """The second is a twin of the first, which waits outside of the order they share."""
    async with MemoryRoute(stuck=BURY).running() as route:
        route.publish("same", key="a", ts=now() + 300)
        route.publish("same", key="a")
        route.publish("a1", key="a")
        await route.until_quiet()

    assert sorted(route.accepted()) == ["a1", "same"]


def array(*event_ids: str, due: dict[str, int] | None = None) -> bytes:
    events = [{"id": each, "name": "a.b", "data": {}} for each in event_ids]
    return json.dumps(
        [event | ({"ts": due[str(event["id"])]} if due and event["id"] in due else {}) for event in events]
    ).encode()


async def test_events_of_an_array_follow_one_another_and_the_delivery_waits_for_all() -> None:
    target = Watching(pace=0.001)
    route = MemoryRoute(target=target, stuck=BURY, retry=PATIENT)
    target.answer(*[Retryable("500")] * 3, event_id="a1")
    async with route.running():
        route.source.publish(array("a0", "a1", "a2", "later", due={"later": now() + 300}), routing_key="a")
        route.source.publish(array("a3", "a4"), routing_key="a")
        await route.until(lambda: len(route.accepted()) == 5)
        assert len(route.source.settled) == 1, "the first one waits for its last event"
        await route.until_quiet()

    assert route.accepted() == [*ids("a", 5), "later"]
    assert target.most["a"] == 1


async def left(source: MemorySource) -> list[str]:
    """The ids that a source hands out again once it was closed."""
    await source.close()
    return [json.loads(delivery.body)["id"] for delivery in await source.receive(100, 0.0)]


async def test_what_waits_is_left_at_shutdown_and_comes_again_in_its_order() -> None:
    route = MemoryRoute(stuck=BLOCK, retry=RetryPolicy(base=60.0, cap=60.0))
    route.target.answer(*[Retryable("500", after=60.0)] * 10, event_id="a1")
    began = time.monotonic()
    async with route.running():
        for each in ids("a", 5):
            route.publish(each, key="a")
        await route.until(lambda: route.tally.parked == 1 and route.tally.in_line == 3)

    assert time.monotonic() - began < 5
    assert route.accepted() == ["a0"]
    assert route.tally.events[Result.RETURNED] == 4
    assert await left(route.source) == ids("a", 5)[1:]


async def test_a_drain_finishes_what_is_on_the_wire_and_begins_nothing_new() -> None:
    route = MemoryRoute(target=Watching(pace=0.3), stuck=BURY)
    async with route.running():
        for each in ids("a", 5):
            route.publish(each, key="a")
        await route.until(lambda: route.tally.in_line == 4)

    assert route.accepted() == ["a0"]
    assert await left(route.source) == ids("a", 5)[1:]


async def test_more_of_one_key_than_fits_in_flight_do_not_stop_the_intake() -> None:
    limits = Limits(drain=5.0, lease=5.0, in_flight=3, batch=2)
    route = MemoryRoute(stuck=BLOCK, limits=limits, retry=RetryPolicy(base=60.0, cap=60.0))
    route.target.answer(Retryable("500", after=60.0), event_id="a0")
    async with route.running():
        for each in ids("a", 50):
            route.publish(each, key="a")
        for each in ids("b", 50):
            route.publish(each, key="b")
        await route.until(lambda: len(route.accepted()) == 50)

    assert route.accepted() == ids("b", 50)


async def test_over_a_lost_session_order_and_attempts_go_on() -> None:
    route = MemoryRoute(stuck=BURY, retry=RetryPolicy(base=0.2, cap=0.2, max_attempts=50))
    route.target.answer(*[Retryable("500", after=0.2)] * 6, event_id="a1")
    async with route.running():
        for each in ids("a", 6):
            route.publish(each, key="a")
        await route.until(lambda: len(route.target.log) >= 2)
        route.source.drop_connection()
        await route.until(lambda: len(route.target.log) >= 4)
        route.source.drop_connection()
        await route.until_quiet()

    assert route.accepted() == ids("a", 6)
    assert [sent.attempt for sent in route.target.log if sent.event.id == "a1"] == list(range(1, 8))
    assert route.tally.events[Result.RETURNED] >= 8, "what the broker had taken back was not sent"


async def test_what_was_returned_often_gives_up_its_order_for_its_safety(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "bridge.ordering")
    route = MemoryRoute(stuck=BLOCK, hold_window=0)
    route.target.answer(*[Retryable("500", after=0.02)] * 2, event_id="worn")  # else it may be tried again at once
    async with route.running():
        body = json.dumps({"id": "worn", "name": "a.b", "data": {}}).encode()
        route.source.publish(body, {"x-delivery-count": 10}, routing_key="a")
        route.publish("a1", key="a")
        await route.until_quiet()

    assert sorted(route.accepted()) == ["a1", "worn"]
    assert route.tally.events[Result.RETRIED] == 2
    assert route.tally.disordered
    assert {record.message for record in caplog.records} == {"order_given_up"}


class Faulty(MemoryTarget):
    """A bug: raises instead of answering, for the first sends."""

    bugs = 3

    def send(self, events: Sequence[Envelope], attempts: Sequence[int]) -> Groups:
        if self.bugs:
            self.bugs -= 1
            raise RuntimeError("a bug")
        return super().send(events, attempts)


async def test_a_bug_costs_attempts_and_not_the_order() -> None:
    async with MemoryRoute(target=Faulty(), stuck=BURY).running() as route:
        for each in ids("a", 4):
            route.publish(each, key="a")
        await route.until_quiet()

    assert route.accepted() == ids("a", 4)
    assert route.tally.faults == 3


async def test_a_copy_that_came_due_and_fails_keeps_its_place_too() -> None:
    route = MemoryRoute(stuck=BURY, retry=PATIENT)
    route.target.answer(*[Retryable("500")] * 4, event_id="a0")
    body = json.dumps({"id": "a0", "name": "a.b", "data": {}}).encode()
    ticket = Ticket(route="default", id="a0", due_at=now(), attempt=1, first_seen=now())
    async with route.running():
        await route.delay.hold([Hold(Delivery(body=body, routing_key="a"), body, ticket)])
        await route.until(lambda: route.target.log)
        route.publish("a1", key="a")
        await route.until_quiet()

    assert route.accepted() == ["a0", "a1"]


async def test_in_order_through_random_failures_outages_and_lost_sessions() -> None:
    chance = random.Random(7)
    moods: list[Outcome] = [
        Retryable("500"),
        Retryable("503", 0.01),
        Misconfigured("401"),
        Retryable("429", 0.02, True),
    ]
    route = MemoryRoute(
        stuck=BURY, retry=PATIENT, breaker=BreakerPolicy(consecutive=20, probe_base=0.02, probe_cap=0.05)
    )
    route.target.answer(*(chance.choice(moods) if chance.random() < 0.3 else Accepted() for _ in range(1_000)))
    published: dict[str, list[str]] = defaultdict(list)
    async with route.running():
        for number in range(600):
            key = chance.choice("abcdefgh")
            published[key].append(f"{key}{number}")
            route.publish(f"{key}{number}", key=key)
            if chance.random() < 0.1:
                route.publish(chance.choice(published[key]), key=key)
            if number % 150 == 149:
                await asyncio.sleep(0.05)
                route.source.drop_connection()
        await route.until_quiet(60)

    for key, wanted in published.items():
        first = list(dict.fromkeys(one for one in route.accepted() if one[0] == key))
        assert first == wanted
    assert not route.dead_letters.buried


def test_keys_are_read_from_where_the_settings_say() -> None:
    delivery = Delivery(body=b"", key=b"record", routing_key="routing", headers={"t": "x", "b": b"x", "n": 7, "e": ""})

    assert key_of_source("kafka")(delivery) == b"record"
    assert key_of_source("rabbitmq")(delivery) == b"routing"
    assert [header_key(name)(delivery) for name in "tbnez"] == [b"x", b"x", b"7", None, None]
    assert routing_key(Delivery(body=b"")) is None
    assert key_of_source("kafka")(Delivery(body=b"", routing_key="topic")) is None
