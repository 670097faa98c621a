"""The straight line on memory adapters: events that are cancelled, moved or replaced after they were published."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from heapq import heappop
from typing import Any

import pytest

from bridge.core.control import Effect, Op
from bridge.core.keys import key_of, scope_of
from bridge.core.slots import Result
from bridge.delays.memory import MemoryDelayLine
from bridge.errors import StoreUnavailable
from bridge.model import Ask, Claim, Move, Retryable, Standing, State
from bridge.route import Limits
from bridge.stores.memory import MemoryStore
from tests.fakes.route import NAME, MemoryRoute

PATIENCE = 60.0  # seconds
HOUR = 3_600_000
EVENT = {"name": "user.created", "data": {"n": "again"}}


class Clock:
    """Epoch ms that run, and can be put forward."""

    def __init__(self) -> None:
        self._ahead = 0

    def __call__(self) -> int:
        return time.time_ns() // 1_000_000 + self._ahead

    def advance(self, ms: int) -> None:
        self._ahead += ms


class Line(MemoryDelayLine):
    """Rings by that clock."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    def _ring(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        while self._held and self._held[0][0] <= self.clock():
            self.due.put(heappop(self._held)[2])
        if self._held:
            self._timer = asyncio.get_running_loop().call_later(0.01, self._ring)


class Scene(MemoryRoute):
    """A route whose time is in the hands of the test, so that nothing is due before the test says so."""

    def __init__(self, *, store: type[MemoryStore] = MemoryStore, hold_window: int = 0, **changes: Any) -> None:
        clock = Clock()
        super().__init__(delay=Line(clock), store=store(clock=clock), clock=clock, hold_window=hold_window, **changes)

    def pass_time(self, ms: int) -> None:
        assert isinstance(self.delay, Line)
        self.delay.clock.advance(ms)

    async def standing(self, event_id: str) -> Standing:
        [found] = await self.store.look([key(event_id)])
        return found

    async def published(self, event_id: str, due_at: int, n: int = 1) -> None:
        """Publish a delayed event, and wait until it is put aside."""
        before = self.tally.events[Result.SCHEDULED]
        self.publish(event_id, ts=due_at, data={"n": n})
        await self.until(lambda: self.tally.events[Result.SCHEDULED] > before, PATIENCE)

    async def ordered(self, op: Op, effect: Effect, **fields: object) -> None:
        """Publish a control envelope, and wait for what it comes to."""
        before = self.tally.controls[op, effect]
        self.order(op=op.value, **fields)
        await self.obeyed(op, effect, before + 1)

    async def obeyed(self, op: Op, effect: Effect, times: int = 1) -> None:
        await self.until(lambda: self.tally.controls[op, effect] >= times, PATIENCE)

    async def counted(self, result: Result, times: int = 1) -> None:
        await self.until(lambda: self.tally.events[result] >= times, PATIENCE)

    async def sent(self) -> None:
        await self.until(self.accepted, PATIENCE)

    def payloads(self) -> list[object]:
        return [event.data for event in self.target.accepted]


def movable(**changes: Any) -> Scene:
    return Scene(takes_control=True, **changes)


def key(event_id: str) -> bytes:
    return key_of(scope_of(NAME, "memory"), event_id)


async def test_a_cancelled_event_is_never_sent() -> None:
    async with movable().running() as route:
        await route.published("e1", route.clock() + HOUR)
        await route.ordered(Op.CANCEL, Effect.DONE, id="e1")
        route.pass_time(HOUR)
        await route.counted(Result.CANCELLED)

    assert route.accepted() == []
    assert route.tally.events[Result.CONTROL] == 1


async def test_an_event_can_be_cancelled_in_the_breath_that_publishes_it() -> None:
    async with movable().running() as route:
        route.publish("e1", ts=route.clock() + HOUR)
        await route.ordered(Op.CANCEL, Effect.DONE, id="e1")
        route.pass_time(HOUR)
        await route.counted(Result.CANCELLED)

    assert route.accepted() == []


async def test_a_moved_event_is_sent_once_at_its_new_time() -> None:
    async with movable().running() as route:
        later = route.clock() + 2 * HOUR
        await route.published("e1", later - HOUR)
        await route.ordered(Op.RESCHEDULE, Effect.DONE, id="e1", until=later)
        route.pass_time(HOUR)
        await route.counted(Result.SCHEDULED, 2)  # the copy has rung, and waits again
        assert route.accepted() == []
        route.pass_time(HOUR)
        await route.sent()

    assert route.accepted() == ["e1"]
    assert route.target.accepted[0].due_at == later


async def test_an_event_moved_twice_is_sent_at_the_last_time() -> None:
    async with movable().running() as route:
        due_at = route.clock() + HOUR
        await route.published("e1", due_at)
        await route.ordered(Op.RESCHEDULE, Effect.DONE, id="e1", until=due_at + HOUR)
        await route.ordered(Op.RESCHEDULE, Effect.DONE, id="e1", until=due_at + 2 * HOUR)
        route.pass_time(2 * HOUR)
        await route.counted(Result.SCHEDULED, 2)
        assert route.accepted() == []
        route.pass_time(HOUR)
        await route.sent()

    assert route.accepted() == ["e1"]


async def test_a_moved_event_is_not_too_old_for_a_second_attempt() -> None:
    async with movable().running() as route:
        due_at = route.clock() + HOUR
        await route.published("e1", due_at)
        await route.ordered(Op.RESCHEDULE, Effect.DONE, id="e1", until=due_at + 200 * HOUR)
        route.pass_time(HOUR)
        await route.counted(Result.SCHEDULED, 2)
        route.target.answer(Retryable("500"))
        route.pass_time(200 * HOUR)
        await route.sent()

    assert [sent.attempt for sent in route.target.log] == [1, 2]
    assert not route.dead_letters.buried


async def test_an_event_is_brought_forward_by_an_order_that_carries_it() -> None:
    async with movable().running() as route:
        due_at = route.clock() + 2 * HOUR
        await route.published("e1", due_at)
        await route.ordered(Op.RESCHEDULE, Effect.DONE, id="e1", until=due_at - HOUR, event=EVENT)
        assert route.accepted() == []
        route.pass_time(HOUR)
        await route.sent()
        route.pass_time(HOUR)
        await route.counted(Result.DUPLICATE)

    assert route.payloads() == [{"n": "again"}]


async def test_the_copy_of_what_was_brought_forward_is_dropped_even_when_its_fate_is_forgotten() -> None:
    async with movable().running() as route:
        await route.published("e1", route.clock() + 1_000 * HOUR)
        await route.ordered(Op.RESCHEDULE, Effect.DONE, id="e1", delay=0, event=EVENT)
        route.pass_time(1_000 * HOUR)
        await route.counted(Result.CANCELLED)

    assert route.payloads() == [{"n": "again"}]


async def test_an_event_can_be_moved_to_now() -> None:
    async with movable().running() as route:
        await route.published("e1", route.clock() + HOUR)
        await route.ordered(Op.RESCHEDULE, Effect.DONE, id="e1", delay=0, event=EVENT)
        assert route.accepted() == ["e1"]
        assert (await route.standing("e1")).state is State.DONE


async def test_an_event_is_not_brought_forward_without_a_copy_of_it() -> None:
    async with movable().running() as route:
        due_at = route.clock() + HOUR
        await route.published("e1", due_at)
        await route.ordered(Op.RESCHEDULE, Effect.REFUSED, id="e1", until=due_at - 1)
        assert (await route.standing("e1")).due_at == due_at

    [burial] = route.dead_letters.buried
    assert burial.kind == "poison"
    assert "add the event to the control envelope" in burial.reason
    assert json.loads(burial.body)["op"] == "reschedule"


async def test_an_order_about_what_is_not_scheduled_says_so() -> None:
    async with movable().running() as route:
        await route.ordered(Op.CANCEL, Effect.UNKNOWN, id="e1")
        await route.ordered(Op.RESCHEDULE, Effect.UNKNOWN, id="e1", delay=60)
        await route.ordered(Op.RESCHEDULE, Effect.UNKNOWN, id="e1", delay=60, event=EVENT)
        assert (await route.standing("e1")).state is State.UNKNOWN

    assert route.accepted() == []


async def test_an_order_that_comes_too_late_says_so() -> None:
    async with movable().running() as route:
        route.publish("e1")
        await route.sent()
        await route.ordered(Op.CANCEL, Effect.TOO_LATE, id="e1")
        await route.ordered(Op.RESCHEDULE, Effect.TOO_LATE, id="e1", delay=60)
        await route.ordered(Op.RESCHEDULE, Effect.TOO_LATE, id="e1", delay=60, event=EVENT)

    assert route.accepted() == ["e1"]


async def test_what_was_cancelled_can_not_be_moved() -> None:
    async with movable().running() as route:
        await route.published("e1", route.clock() + HOUR)
        await route.ordered(Op.CANCEL, Effect.DONE, id="e1")
        await route.ordered(Op.CANCEL, Effect.DONE, id="e1")  # as a broker may deliver it twice
        await route.ordered(Op.RESCHEDULE, Effect.TOO_LATE, id="e1", delay=7_200)
        await route.ordered(Op.RESCHEDULE, Effect.TOO_LATE, id="e1", delay=1, event=EVENT)

    assert route.accepted() == []


async def test_an_order_waits_while_its_event_is_being_worked_on() -> None:
    route = movable()
    await route.store.claim([Ask(key("e1"))], owner="somebody", lease=600)
    async with route.running():
        route.order(op="cancel", id="e1")
        await route.counted(Result.PARKED, 2)
        await route.store.release([key("e1")], owner="somebody")
        await route.obeyed(Op.CANCEL, Effect.UNKNOWN)


async def test_an_order_waits_in_the_delay_line_where_there_is_no_room() -> None:
    route = movable(limits=Limits(drain=5.0, parked_at_intake=0))
    await route.store.claim([Ask(key("e1"))], owner="somebody", lease=600)
    async with route.running():
        route.order(op="cancel", id="e1")
        await route.counted(Result.DEFERRED)
        route.pass_time(600_000)
        await route.obeyed(Op.CANCEL, Effect.UNKNOWN)


async def test_an_order_that_carries_its_event_comes_back_from_the_delay_line_as_it_was() -> None:
    async with movable(limits=Limits(drain=5.0, parked_at_intake=0)).running() as route:
        due_at = route.clock() + 3 * HOUR
        await route.published("e1", due_at)
        await route.store.claim([Ask(key("e1"), due_at=1, replaces=True)], owner="somebody", lease=600)
        route.order(op="reschedule", id="e1", until=due_at - HOUR, event=EVENT)
        await route.counted(Result.DEFERRED)
        route.pass_time(600_000)
        await route.obeyed(Op.RESCHEDULE, Effect.DONE)
        assert (await route.standing("e1")).due_at == due_at - HOUR
        route.pass_time(2 * HOUR)
        await route.sent()

    assert route.payloads() == [{"n": "again"}]


async def test_a_broken_order_is_buried_with_the_name_of_the_field() -> None:
    async with movable().running() as route:
        route.order(op="cancel", id="e1", until="2030-01-01T00:00:00Z")
        await route.until(lambda: route.dead_letters.buried, PATIENCE)

    [burial] = route.dead_letters.buried
    assert burial.reason.startswith("until is no field of a control envelope that says cancel")


async def test_an_order_for_too_far_ahead_is_buried() -> None:
    async with movable().running() as route:
        due_at = route.clock() + HOUR
        await route.published("e1", due_at)
        route.order(op="reschedule", id="e1", delay={"days": 400})
        await route.until(lambda: route.dead_letters.buried, PATIENCE)
        assert (await route.standing("e1")).due_at == due_at

    assert [burial.kind for burial in route.dead_letters.buried] == ["too_late"]


async def test_without_control_an_order_is_a_body_like_any_other() -> None:
    async with Scene().running() as route:
        await route.published("e1", route.clock() + HOUR)
        route.order(op="cancel", id="e1")
        await route.until(lambda: route.dead_letters.buried, PATIENCE)
        assert (await route.standing("e1")).state is State.SCHEDULED


class DownStore(MemoryStore):
    """A store whose changes fail so many times."""

    down = 1

    async def cancel(self, keys: Sequence[bytes], *, ttl: float) -> list[Standing]:
        self._fail()
        return await super().cancel(keys, ttl=ttl)

    async def move(self, items: Sequence[Move], *, ttl: float) -> list[Standing]:
        self._fail()
        return await super().move(items, ttl=ttl)

    def _fail(self) -> None:
        if self.down:
            self.down -= 1
            raise StoreUnavailable("away")


async def test_an_order_waits_for_a_store_that_is_away() -> None:
    async with movable(store=DownStore).running() as route:
        await route.published("e1", route.clock() + HOUR)
        await route.ordered(Op.CANCEL, Effect.DONE, id="e1")
        assert (await route.standing("e1")).state is State.CANCELLED


async def test_an_order_is_held_when_the_store_stays_away() -> None:
    route = movable(store=DownStore, limits=Limits(drain=5.0, max_hold=0.2))
    assert isinstance(route.store, DownStore)
    route.store.down = 1_000_000
    async with route.running():
        due_at = route.clock() + HOUR
        await route.published("e1", due_at)
        route.order(op="reschedule", id="e1", until=due_at + 1)
        await route.counted(Result.DEFERRED)
        route.store.down = 0
        await route.obeyed(Op.RESCHEDULE, Effect.DONE)
        assert (await route.standing("e1")).due_at == due_at + 1


async def test_an_order_that_carries_its_event_is_held_when_events_go_on_without_the_store() -> None:
    class Away(MemoryStore):
        away = False

        async def claim(self, asks: Sequence[Ask], *, owner: str, lease: float) -> list[Claim]:
            if self.away:
                raise StoreUnavailable("away")
            return await super().claim(asks, owner=owner, lease=lease)

    route = movable(store=Away, limits=Limits(drain=5.0, max_hold=0.2, bypass_store=True))
    assert isinstance(route.store, Away)
    async with route.running():
        await route.published("e1", route.clock() + HOUR)
        route.store.away = True
        route.order(op="reschedule", id="e1", delay=0, event=EVENT)
        await route.counted(Result.DEFERRED)
        assert route.accepted() == []
        route.store.away = False
        await route.obeyed(Op.RESCHEDULE, Effect.DONE)

    assert route.payloads() == [{"n": "again"}]


async def test_a_failed_send_of_what_was_brought_forward_is_tried_again() -> None:
    async with movable().running() as route:
        await route.published("e1", route.clock() + HOUR)
        route.target.answer(Retryable("500"), Retryable("500"))
        await route.ordered(Op.RESCHEDULE, Effect.DONE, id="e1", delay=0, event=EVENT)
        await route.sent()

    assert route.accepted() == ["e1"]


async def test_of_two_delayed_copies_the_first_wins() -> None:
    async with Scene().running() as route:
        due_at = route.clock() + HOUR
        await route.published("e1", due_at, n=1)
        route.publish("e1", ts=due_at - 1, data={"n": 2})
        await route.counted(Result.DUPLICATE)
        route.pass_time(HOUR)
        await route.sent()

    assert route.payloads() == [{"n": 1}]


@pytest.mark.parametrize("ahead", [-HOUR, HOUR], ids=["sooner", "later"])
async def test_of_two_delayed_copies_the_last_wins_where_that_is_wanted(ahead: int) -> None:
    async with Scene(last_delay_wins=True).running() as route:
        due_at = route.clock() + 2 * HOUR
        await route.published("e1", due_at, n=1)
        await route.published("e1", due_at + ahead, n=2)
        route.pass_time(3 * HOUR)
        await route.counted(Result.ACCEPTED)
        await route.until_quiet(PATIENCE)

    assert route.payloads() == [{"n": 2}]
    assert not route.tally.conflicts


async def test_the_last_of_two_delayed_copies_wins_in_one_batch_too() -> None:
    async with Scene(last_delay_wins=True).running() as route:
        route.publish("e1", ts=route.clock() + HOUR, data={"n": 1})
        route.publish("e1", ts=route.clock() + 2 * HOUR, data={"n": 2})
        await route.counted(Result.SCHEDULED, 2)
        route.pass_time(2 * HOUR)
        await route.sent()
        await route.until_quiet(PATIENCE)

    assert route.payloads() == [{"n": 2}]


async def test_the_last_copy_wins_even_if_it_waits_in_the_process() -> None:
    async with Scene(hold_window=60_000, last_delay_wins=True).running() as route:
        await route.published("e1", route.clock() + HOUR, n=1)
        route.publish("e1", ts=route.clock() + 30_000, data={"n": 2})
        await route.counted(Result.PARKED)
        route.pass_time(30_000)
        await route.sent()

    assert route.payloads() == [{"n": 2}]


async def test_the_same_delayed_copy_again_is_a_duplicate_whoever_wins() -> None:
    async with Scene(last_delay_wins=True).running() as route:
        due_at = route.clock() + HOUR
        await route.published("e1", due_at)
        route.publish("e1", ts=due_at)
        await route.counted(Result.DUPLICATE)
        assert (await route.standing("e1")).gen == 0


async def test_a_copy_that_is_not_delayed_moves_nothing() -> None:
    async with Scene(last_delay_wins=True).running() as route:
        await route.published("e1", route.clock() + HOUR)
        route.publish("e1")
        await route.counted(Result.DUPLICATE)

    assert route.accepted() == []


async def test_a_scheduled_event_whose_record_was_lost_is_sent() -> None:
    async with movable().running() as route:
        await route.published("e1", route.clock() + HOUR)
        await route.ordered(Op.CANCEL, Effect.DONE, id="e1")
        route.store._records.forget([key("e1")], {})
        route.pass_time(HOUR)
        await route.sent()
