"""The straight line on memory adapters: what becomes of an event, whatever goes wrong on the way."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence

import pytest

from bridge.core.breaker import BreakerPolicy, State
from bridge.core.retry import RetryPolicy
from bridge.core.slots import Result
from bridge.deadletters.memory import MemoryDeadLetters
from bridge.delays.memory import MemoryDelayLine
from bridge.errors import BridgeError, StoreUnavailable, Unavailable
from bridge.formats import naming
from bridge.model import (
    Accepted,
    Ask,
    Burial,
    Claim,
    Envelope,
    Hold,
    Misconfigured,
    Outcome,
    Rejected,
    Retryable,
    Shape,
    Stage,
    Verdict,
)
from bridge.ports import Groups
from bridge.route import Limits
from bridge.sources.memory import MemorySource
from bridge.stores.memory import MemoryStore
from bridge.targets.memory import MemoryTarget
from tests.fakes.route import MemoryRoute


def now() -> int:
    return time.time_ns() // 1_000_000


async def test_an_event_arrives_and_is_settled() -> None:
    async with MemoryRoute().running() as route:
        route.publish("e1")
        await route.until_quiet()

    assert route.accepted() == ["e1"]
    assert len(route.source.settled) == 1


async def test_duplicates_arrive_once_whether_in_one_batch_or_later() -> None:
    async with MemoryRoute().running() as route:
        route.publish("e1")
        route.publish("e1")
        await route.until_quiet()
        route.publish("e1")
        await route.until_quiet()

    assert route.accepted() == ["e1"]
    assert route.tally.events[Result.DUPLICATE] == 2


async def test_a_failed_send_followed_by_a_redelivery_is_no_duplicate() -> None:
    route = MemoryRoute()
    route.target.answer(Retryable("500"), Retryable("500"))
    async with route.running():
        route.publish("e1")
        await route.until_quiet()

    assert route.accepted() == ["e1"]
    assert [sent.attempt for sent in route.target.log] == [1, 2, 3]


async def test_a_delayed_event_is_not_its_own_duplicate_and_never_early() -> None:
    route = MemoryRoute(hold_window=0)  # so that it goes through the delay line
    due = now() + 300
    arrived: list[int] = []
    async with route.running():
        route.publish("e1", ts=due)
        await route.until(lambda: route.delay.held == 1)
        route.publish("e1", ts=due)  # a copy while the first waits
        await route.until(route.accepted)
        arrived.append(now())

    assert route.accepted() == ["e1"]
    assert arrived[0] >= due
    assert route.tally.events[Result.SCHEDULED] == 1
    assert route.tally.events[Result.DUPLICATE] == 1


async def test_a_short_wait_stays_in_the_process() -> None:
    route = MemoryRoute()
    due = now() + 200
    async with route.running():
        route.publish("e1", ts=due)
        await route.until(lambda: route.tally.parked == 1)
        assert route.source.waiting == 1, "parked means unsettled"
        await route.until_quiet()
        assert now() >= due

    assert route.accepted() == ["e1"]
    assert route.delay.held == 0


async def test_rejected_is_buried_with_its_reason_and_its_duplicate_is_not_tried_again() -> None:
    route = MemoryRoute()
    route.target.answer(Rejected("HTTP 422: no"), event_id="bad")
    async with route.running():
        route.publish("bad")
        await route.until_quiet()
        route.publish("bad")
        await route.until_quiet()

    [burial] = route.dead_letters.buried
    assert (burial.kind, burial.reason, burial.event_id) == ("rejected", "HTTP 422: no", "bad")
    assert json.loads(burial.body)["id"] == "bad"
    assert len(route.target.log) == 1


async def test_poison_is_buried_untouched_and_good_ones_behind_it_arrive() -> None:
    async with MemoryRoute().running() as route:
        route.source.publish(b"{nonsense", {"h": 1})
        route.publish("e1")
        await route.until_quiet()

    [burial] = route.dead_letters.buried
    assert (burial.kind, burial.body, dict(burial.delivery.headers)) == ("poison", b"{nonsense", {"h": 1})
    assert route.accepted() == ["e1"]


async def test_every_event_of_an_array_has_its_own_fate_and_the_delivery_waits_for_all() -> None:
    route = MemoryRoute(hold_window=0)
    route.target.answer(Rejected("422"), event_id="bad")
    route.target.answer(Retryable("500"), event_id="slow")
    array = [
        {"id": "good", "name": "a.b", "data": {}},
        {"id": "bad", "name": "a.b", "data": {"keep": 1}},
        {"id": "slow", "name": "a.b", "data": {}},
        {"id": "later", "name": "a.b", "data": {}, "ts": now() + 200},
        {"name": 7, "data": {}},
    ]
    async with route.running():
        route.source.publish(json.dumps(array).encode())
        await route.until_quiet()

    assert sorted(route.accepted()) == ["good", "later", "slow"]
    kinds = {burial.kind: burial for burial in route.dead_letters.buried}
    assert set(kinds) == {"poison", "rejected"}
    assert kinds["rejected"].shape is Shape.ENVELOPE
    assert json.loads(kinds["rejected"].body)["data"] == {"keep": 1}
    assert "name" in kinds["poison"].reason
    assert len(route.source.settled) == 1


async def test_attempts_end_in_the_dead_letters() -> None:
    route = MemoryRoute()
    route.target.answer(*[Retryable("HTTP 500: always")] * 4)
    async with route.running():
        route.publish("e1")
        await route.until_quiet()

    [burial] = route.dead_letters.buried
    assert (burial.kind, burial.attempts) == ("exhausted", 4)
    assert "HTTP 500: always" in burial.reason


async def test_misconfigured_buries_nothing_and_heals_with_a_fresh_secret() -> None:
    route = MemoryRoute()
    route.target.answer(*[Misconfigured("HTTP 401")] * 6)
    async with route.running():
        for number in range(20):
            route.publish(f"e{number}")
        await route.until_quiet()

    assert len(route.accepted()) == 20
    assert not route.dead_letters.buried
    assert route.target.refreshed >= 1


async def test_an_outage_uses_up_no_attempts() -> None:
    breaker = BreakerPolicy(consecutive=3, probe_base=0.02, probe_cap=0.02)
    route = MemoryRoute(breaker=breaker)  # at most 4 attempts
    route.target.answer(*[Retryable("connect: refused")] * 30)
    async with route.running():
        for number in range(3):
            route.publish(f"e{number}")
        await route.until_quiet(20)

    assert sorted(route.accepted()) == ["e0", "e1", "e2"]
    assert not route.dead_letters.buried
    assert len(route.target.log) == 33


async def test_a_pause_holds_everything_and_uses_no_attempt() -> None:
    route = MemoryRoute()
    route.target.answer(Retryable("HTTP 429", after=0.3, pause=True))
    async with route.running():
        route.publish("e1")
        await route.until(lambda: route.target.log)
        began = time.monotonic()
        route.publish("e2")
        await route.until_quiet()

    assert sorted(route.accepted()) == ["e1", "e2"]
    assert [sent.attempt for sent in route.target.log] == [1, 1, 1]
    assert time.monotonic() - began >= 0.25
    assert route.gate.state is State.CLOSED


class MoodyDelayLine(MemoryDelayLine):
    """Away for the first `fails` calls, and unwilling to take bodies that say "huge"."""

    fails = 0

    async def hold(self, items: Sequence[Hold]) -> list[Exception | None]:
        if self.fails:
            self.fails -= 1
            raise Unavailable("the broker is away")
        fit = [item for item in items if b"huge" not in item.body]
        await super().hold(fit)
        return [None if item in fit else ValueError("too large") for item in items]


async def test_a_delay_line_that_is_away_holds_the_intake_back_and_loses_nothing() -> None:
    line = MoodyDelayLine()
    line.fails = 2
    route = MemoryRoute(delay=line, hold_window=0)
    async with route.running():
        route.publish("e1", ts=now() + 100)
        await route.until(lambda: route.tally.paused["delay"])
        assert not route.source.settled
        await route.until_quiet()

    assert route.accepted() == ["e1"]


async def test_what_can_never_be_held_is_buried() -> None:
    route = MemoryRoute(delay=MoodyDelayLine(), hold_window=0)
    async with route.running():
        route.publish("e1", data={"huge": 1}, ts=now() + 60_000)
        await route.until_quiet()

    [burial] = route.dead_letters.buried
    assert "cannot be held: too large" in burial.reason


class MoodyDeadLetters(MemoryDeadLetters):
    fails = 2

    async def bury(self, items: Sequence[Burial]) -> None:
        if self.fails:
            self.fails -= 1
            raise Unavailable("the dead letters are away")
        await super().bury(items)


async def test_dead_letters_that_are_away_stop_the_settling() -> None:
    route = MemoryRoute(dead_letters=MoodyDeadLetters())
    async with route.running():
        route.source.publish(b"poison")
        await route.until(lambda: route.tally.paused["dead_letters"])
        assert not route.source.settled
        await route.until_quiet()

    assert len(route.dead_letters.buried) == 1


class MoodyStore(MemoryStore):
    """Refuses the first `refuse_claims` claims and `refuse_commits` commits."""

    refuse_claims = 0
    refuse_commits = 0

    async def claim(self, asks: Sequence[Ask], *, owner: str, lease: float) -> list[Claim]:
        if self.refuse_claims:
            self.refuse_claims -= 1
            raise StoreUnavailable("disk full")
        return await super().claim(asks, owner=owner, lease=lease)

    async def commit(self, keys: Sequence[bytes], *, ttl: float) -> None:
        if self.refuse_commits:
            self.refuse_commits -= 1
            raise StoreUnavailable("disk full")
        await super().commit(keys, ttl=ttl)


async def test_a_store_that_is_away_pauses_and_nothing_is_settled_before_its_mark() -> None:
    store = MoodyStore()
    store.refuse_claims, store.refuse_commits = 2, 2
    route = MemoryRoute(store=store)
    async with route.running():
        route.publish("e1")
        await route.until(route.accepted)
        assert not route.source.settled
        await route.until_quiet()

    assert route.accepted() == ["e1"]


async def test_a_store_that_is_away_may_be_bypassed_by_policy() -> None:
    store = MoodyStore()
    store.refuse_claims = 1
    route = MemoryRoute(store=store, limits=Limits(bypass_store=True, drain=5.0))
    async with route.running():
        route.publish("e1")
        await route.until_quiet()

    assert route.accepted() == ["e1"]
    assert route.tally.store_bypassed == 1


async def test_what_goes_past_a_store_that_is_away_does_not_wait_for_its_mark() -> None:
    store = MoodyStore()
    store.refuse_claims = store.refuse_commits = 1_000_000
    route = MemoryRoute(store=store, limits=Limits(bypass_store=True, drain=5.0))
    async with route.running():
        for number in range(3):  # each would hold the next one back
            route.publish(f"e{number}")
            await route.until_quiet()
        assert not route.tally.paused["store"]
        store.refuse_claims = store.refuse_commits = 0

    assert route.accepted() == ["e0", "e1", "e2"]
    assert store.stats().keys == 3, "the marks were forgotten"
    assert route.tally.marks_failed == 0


async def test_a_lost_session_costs_nothing_but_a_duplicate_delivery() -> None:
    async with MemoryRoute().running() as route:
        for number in range(50):
            route.publish(f"e{number}")
        await route.until(route.accepted)
        route.source.drop_connection()
        await route.until_quiet()

    assert sorted(route.accepted()) == sorted(f"e{number}" for number in range(50))


class Moving(MemorySource):
    """Its unsettled deliveries may go to another instance, as in a rebalance."""

    def move(self) -> None:
        self._unsettled.clear()


@pytest.mark.parametrize("copies", [1, 2])
async def test_what_went_to_another_instance_while_it_was_parked_is_not_sent(copies: int) -> None:
    route = MemoryRoute(source=(source := Moving()))
    async with route.running():
        for _ in range(copies):
            route.publish("e1", ts=now() + 2_500)
        await route.until(lambda: route.tally.parked)
        source.move()
        await route.until(lambda: route.tally.events[Result.RETURNED] == copies)

    assert route.accepted() == []
    assert source.settled == []


async def test_what_went_to_another_instance_while_the_target_paused_is_not_sent_and_its_claim_is_free() -> None:
    route = MemoryRoute(source=(source := Moving()), hold_window=0, limits=Limits(drain=5.0, lease=60.0))
    route.target.answer(Retryable("HTTP 429", after=5, pause=True))
    async with route.running():
        route.publish("pauses")
        await route.until(lambda: len(source.settled) == 1)
        source.resume()
        route.publish("moves")
        await route.until(lambda: route.tally.in_flight[Stage.INTAKE] == 1)
        source.move()
        await route.until(lambda: route.tally.events[Result.RETURNED] == 1)
        route.publish("moves")  # as the other instance has it, of the same store
        await route.until_quiet()

    assert sorted(route.accepted()) == ["moves", "pauses"]


class Hanging(MemoryTarget):
    """Never answers."""

    async def send(self, events: Sequence[Envelope], attempts: Sequence[int]) -> Groups:
        await asyncio.Event().wait()
        yield [(index, Accepted()) for index, _ in enumerate(zip(events, attempts, strict=True))]


async def test_what_does_not_finish_within_the_drain_is_given_back() -> None:
    route = MemoryRoute(target=Hanging(), limits=Limits(drain=0.1))
    async with route.running():
        route.publish("e1")
        await route.until(lambda: route.tally.in_flight[Stage.INTAKE] == 1)

    assert route.source.returned == 1
    assert route.tally.settled[Stage.INTAKE, Verdict.RETURN] == 1
    assert route.tally.events[Result.RETURNED] == 1


async def test_a_cancelled_pipeline_gives_everything_back_without_draining() -> None:
    route = MemoryRoute(target=Hanging(), limits=Limits(drain=60.0))
    task = asyncio.create_task(route.pipeline.run(route.stop))
    route.publish("e1")
    await route.until(lambda: route.tally.in_flight[Stage.INTAKE] == 1)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 10)
    assert route.source.returned == 1
    assert route.tally.law_holds()


async def test_parked_events_and_those_at_a_shut_gate_are_given_back_at_once() -> None:
    route = MemoryRoute()
    route.target.answer(Retryable("HTTP 429", after=60, pause=True))
    began = time.monotonic()
    async with route.running():
        route.publish("parked", ts=now() + 2_500)
        await route.until(lambda: route.tally.parked == 1)
        route.publish("paused")
        await route.until(lambda: route.gate.healthy is False)
        await route.until(lambda: route.delay.held)
        route.source.resume()
        route.publish("waiting")
        await route.until(lambda: route.tally.in_flight[Stage.INTAKE] == 2)

    assert time.monotonic() - began < 5
    assert route.source.returned == 2


async def test_an_event_due_beyond_max_delay_is_buried() -> None:
    async with MemoryRoute().running() as route:
        route.publish("e1", ts=now() + 366 * 86_400_000)
        await route.until_quiet()

    [burial] = route.dead_letters.buried
    assert burial.kind == "too_late"


async def test_a_filter_settles_or_buries_what_it_does_not_want() -> None:
    for bury in (False, True):
        route = MemoryRoute(wanted=lambda name: name == "user.created", bury_unwanted=bury)
        async with route.running():
            route.publish("e1")
            route.publish("e2", name="user.deleted")
            await route.until_quiet()

        assert route.accepted() == ["e1"]
        assert len(route.dead_letters.buried) == int(bury)
        assert route.tally.events[Result.FILTERED] == int(not bury)


async def test_names_that_break_the_convention_are_counted_or_refused() -> None:
    for reject in (False, True):
        route = MemoryRoute(complaint=naming.complaint, reject_names=reject)
        async with route.running():
            route.publish("e1", name="UserCreated")
            await route.until_quiet()

        assert route.tally.naming_complaints == 1
        assert len(route.accepted()) == int(not reject)
        assert len(route.dead_letters.buried) == int(reject)


async def test_the_same_id_with_another_payload_is_counted_and_settled_or_buried() -> None:
    for bury in (False, True):
        route = MemoryRoute(bury_conflicts=bury)
        async with route.running():
            route.publish("e1", data={"n": 1})
            await route.until_quiet()
            route.publish("e1", data={"n": 2})
            await route.until_quiet()

        assert route.accepted() == ["e1"]
        assert route.tally.conflicts == 1
        assert [burial.kind for burial in route.dead_letters.buried] == ["conflict"] * int(bury)


class Faulty(MemoryTarget):
    """A bug: raises instead of answering, the first time."""

    bugs = 1

    def send(self, events: Sequence[Envelope], attempts: Sequence[int]) -> Groups:
        if self.bugs:
            self.bugs -= 1
            raise RuntimeError("a bug")
        return super().send(events, attempts)


async def test_a_bug_costs_an_attempt_and_neither_the_event_nor_the_process() -> None:
    route = MemoryRoute(target=Faulty())
    async with route.running():
        route.publish("e1")
        await route.until_quiet()

    assert route.accepted() == ["e1"]
    assert route.tally.faults == 1


async def test_a_source_that_ends_unasked_is_an_error() -> None:
    route = MemoryRoute()
    task = asyncio.create_task(route.pipeline.run(route.stop))
    await asyncio.sleep(0)

    route.source.stop()

    with pytest.raises(BridgeError, match="without being asked"):
        await asyncio.wait_for(task, 10)


async def test_leases_are_renewed_while_a_batch_waits() -> None:
    limits = Limits(lease=0.3, drain=5.0)
    route = MemoryRoute(limits=limits)
    route.target.answer(Misconfigured("401"))
    route.gate.misconfigured("401")
    route.gate.pause(1.0)  # three leases
    async with route.running():
        route.source.resume()
        route.publish("e1")
        await route.until(route.accepted)
        await route.until_quiet()

    assert route.tally.leases_lost == 0


class SlowlyCommitting(MemoryStore):
    """Knows a key as done for a while before it says so."""

    async def commit(self, keys: Sequence[bytes], *, ttl: float) -> None:
        await super().commit(keys, ttl=ttl)
        await asyncio.sleep(0.3)


async def test_a_claim_that_ends_because_its_event_is_done_is_not_lost() -> None:
    route = MemoryRoute(store=SlowlyCommitting(), limits=Limits(lease=0.3, drain=5.0))
    async with route.running():
        route.publish("e1")
        await route.until_quiet()

    assert route.accepted() == ["e1"]
    assert route.tally.leases_lost == 0


class Forgetful(MemoryStore):
    """Loses every claim."""

    async def renew(self, keys: Sequence[bytes], *, owner: str, lease: float) -> list[bool]:
        del owner, lease
        return [False] * len(keys)


async def test_a_claim_that_is_lost_while_its_event_waits_is_counted() -> None:
    route = MemoryRoute(store=Forgetful(), limits=Limits(lease=0.3, drain=5.0))
    route.target.answer(Misconfigured("401"))
    route.gate.misconfigured("401")
    route.gate.pause(1.0)
    async with route.running():
        route.source.resume()
        route.publish("e1")
        await route.until(route.accepted)
        await route.until_quiet()

    assert route.tally.leases_lost >= 1


async def test_a_copy_of_another_route_is_passed_on_untouched() -> None:
    line = MemoryDelayLine()
    other = MemoryRoute(delay=line, hold_window=0)
    async with other.running():
        other.publish("e1", ts=now() + 60_000)
        await other.until(lambda: line.held == 1)
    copy = line._held[0][2]
    assert copy.ticket is not None

    mine = MemoryRoute()
    foreign = Hold(copy, copy.body, type(copy.ticket)(route="other", id="e1", due_at=0, attempt=3, first_seen=1))
    async with mine.running():
        await mine.delay.hold([foreign])
        await mine.until(lambda: mine.delay.held == 1)
        kept = mine.delay._held[0][2].ticket

    assert kept is not None
    assert (kept.route, kept.id, kept.attempt) == ("other", "e1", 3)
    assert not mine.accepted()


async def test_many_events_with_random_failures_all_arrive_once() -> None:
    route = MemoryRoute(retry=RetryPolicy(base=0.01, cap=0.05, max_attempts=50))
    moods: list[Outcome] = [
        Accepted(),
        Retryable("500"),
        Retryable("503", 0.01),
        Accepted(),
        Misconfigured("401"),
        Accepted(),
    ]
    route.target.answer(*(moods * 60))
    async with route.running():
        for number in range(500):
            route.publish(f"e{number}", ts=now() + number % 400 if number % 5 == 0 else None)
            if number % 10 == 0:
                route.publish(f"e{number}")
            if number == 250:
                await asyncio.sleep(0.05)
                route.source.drop_connection()
        await route.until_quiet(30)

    assert sorted(set(route.accepted())) == sorted(f"e{number}" for number in range(500))
    assert not route.dead_letters.buried
