"""The straight line on memory adapters: events that are cancelled, moved or replaced after they were published."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from bridge.core.control import Effect, Op
from bridge.core.keys import key_of, scope_of
from bridge.core.slots import Result
from bridge.errors import StoreUnavailable
from bridge.model import Ask, Move, Retryable, Standing, State
from bridge.route import Limits
from bridge.stores.memory import MemoryStore
from tests.fakes.route import NAME, MemoryRoute

HOUR = 3_600_000


def now() -> int:
    return time.time_ns() // 1_000_000


def key(event_id: str) -> bytes:
    return key_of(scope_of(NAME, "memory"), event_id)


async def standing(route: MemoryRoute, event_id: str) -> Standing:
    [found] = await route.store.look([key(event_id)])
    return found


def obeyed(route: MemoryRoute, op: Op, effect: Effect) -> int:
    return route.tally.controls[op, effect]


def movable(**changes: object) -> MemoryRoute:
    return MemoryRoute(hold_window=0, takes_control=True, **changes)  # type: ignore[arg-type]


async def published(route: MemoryRoute, event_id: str, due_at: int, **more: object) -> None:
    """Publish a delayed event, and wait until it is put aside."""
    before = route.tally.events[Result.SCHEDULED]
    route.publish(event_id, ts=due_at, **more)  # type: ignore[arg-type]
    await route.until(lambda: route.tally.events[Result.SCHEDULED] > before)


async def ordered(route: MemoryRoute, op: Op, effect: Effect, **fields: object) -> None:
    """Publish a control envelope, and wait for what it comes to."""
    before = obeyed(route, op, effect)
    route.order(op=op.value, **fields)
    await route.until(lambda: obeyed(route, op, effect) > before)


async def test_a_cancelled_event_is_never_sent() -> None:
    async with movable().running() as route:
        await published(route, "e1", now() + 400)
        await ordered(route, Op.CANCEL, Effect.DONE, id="e1")
        await route.until_quiet()

    assert route.accepted() == []
    assert route.tally.events[Result.CANCELLED] == 1
    assert route.tally.events[Result.CONTROL] == 1


async def test_an_event_can_be_cancelled_in_the_breath_that_publishes_it() -> None:
    async with movable().running() as route:
        route.publish("e1", ts=now() + 400)
        route.order(op="cancel", id="e1")
        await route.until_quiet()

    assert route.accepted() == []
    assert obeyed(route, Op.CANCEL, Effect.DONE) == 1


async def test_a_moved_event_is_sent_once_at_its_new_time() -> None:
    async with movable().running() as route:
        first, later = now() + 100, now() + 500
        await published(route, "e1", first)
        await ordered(route, Op.RESCHEDULE, Effect.DONE, id="e1", until=later)
        await route.until(route.accepted)
        sent_at = now()
        await route.until_quiet()

    assert route.accepted() == ["e1"]
    assert sent_at >= later
    assert route.target.accepted[0].due_at == later


async def test_an_event_moved_twice_is_sent_at_the_last_time() -> None:
    async with movable().running() as route:
        await published(route, "e1", now() + 100)
        await ordered(route, Op.RESCHEDULE, Effect.DONE, id="e1", until=now() + 300)
        later = now() + 700
        await ordered(route, Op.RESCHEDULE, Effect.DONE, id="e1", until=later)
        await route.until(route.accepted)
        sent_at = now()
        await route.until_quiet()

    assert sent_at >= later
    assert route.accepted() == ["e1"]


async def test_an_event_is_brought_forward_by_an_order_that_carries_it() -> None:
    async with movable().running() as route:
        await published(route, "e1", now() + HOUR)
        event = {"name": "user.created", "data": {"n": "again"}}
        soon = now() + 200
        await ordered(route, Op.RESCHEDULE, Effect.DONE, id="e1", until=soon, event=event)
        await route.until(route.accepted)
        sent_at = now()

    assert sent_at >= soon
    assert [event.data for event in route.target.accepted] == [{"n": "again"}]


async def test_the_copy_of_what_was_brought_forward_is_dropped_when_it_rings() -> None:
    async with movable().running() as route:
        await published(route, "e1", now() + 600)
        event = {"name": "user.created", "data": {"n": "again"}}
        await ordered(route, Op.RESCHEDULE, Effect.DONE, id="e1", until=now() + 100, event=event)
        await route.until_quiet()

    assert [event.data for event in route.target.accepted] == [{"n": "again"}]
    assert route.tally.events[Result.DUPLICATE] == 1


async def test_an_event_can_be_moved_to_now() -> None:
    async with movable().running() as route:
        await published(route, "e1", now() + HOUR)
        await ordered(route, Op.RESCHEDULE, Effect.DONE, id="e1", delay=0, event={"name": "user.created"})
        assert route.accepted() == ["e1"]
        assert (await standing(route, "e1")).state is State.DONE


async def test_an_event_is_not_brought_forward_without_a_copy_of_it() -> None:
    async with movable().running() as route:
        due_at = now() + HOUR
        await published(route, "e1", due_at)
        await ordered(route, Op.RESCHEDULE, Effect.REFUSED, id="e1", until=due_at - 1)
        assert (await standing(route, "e1")).due_at == due_at

    [burial] = route.dead_letters.buried
    assert burial.kind == "poison"
    assert "add the event to the control envelope" in burial.reason
    assert json.loads(burial.body)["op"] == "reschedule"


async def test_an_order_about_what_is_not_scheduled_says_so() -> None:
    event = {"name": "user.created"}
    async with movable().running() as route:
        await ordered(route, Op.CANCEL, Effect.UNKNOWN, id="e1")
        await ordered(route, Op.RESCHEDULE, Effect.UNKNOWN, id="e1", delay=60)
        await ordered(route, Op.RESCHEDULE, Effect.UNKNOWN, id="e1", delay=60, event=event)
        assert (await standing(route, "e1")).state is State.UNKNOWN

    assert route.accepted() == []


async def test_an_order_that_comes_too_late_says_so() -> None:
    event = {"name": "user.created"}
    async with movable().running() as route:
        route.publish("e1")
        await route.until(route.accepted)
        await ordered(route, Op.CANCEL, Effect.TOO_LATE, id="e1")
        await ordered(route, Op.RESCHEDULE, Effect.TOO_LATE, id="e1", delay=60)
        await ordered(route, Op.RESCHEDULE, Effect.TOO_LATE, id="e1", delay=60, event=event)

    assert route.accepted() == ["e1"]


async def test_what_was_cancelled_can_not_be_moved() -> None:
    async with movable().running() as route:
        await published(route, "e1", now() + HOUR)
        await ordered(route, Op.CANCEL, Effect.DONE, id="e1")
        await ordered(route, Op.CANCEL, Effect.DONE, id="e1")  # as a broker may deliver it twice
        await ordered(route, Op.RESCHEDULE, Effect.TOO_LATE, id="e1", delay=7_200)
        await ordered(route, Op.RESCHEDULE, Effect.TOO_LATE, id="e1", delay=1, event={"name": "user.created"})

    assert route.accepted() == []


async def test_an_order_waits_while_its_event_is_being_worked_on() -> None:
    route = movable(limits=Limits(drain=5.0, lease=1.0))
    await route.store.claim([Ask(key("e1"))], owner="somebody", lease=0.3)
    async with route.running():
        await ordered(route, Op.CANCEL, Effect.UNKNOWN, id="e1")

    assert route.tally.events[Result.PARKED] >= 1


async def test_an_order_waits_in_the_delay_line_where_there_is_no_room() -> None:
    route = movable(limits=Limits(drain=5.0, lease=1.0, parked_at_intake=0))
    await route.store.claim([Ask(key("e1"))], owner="somebody", lease=0.3)
    async with route.running():
        await ordered(route, Op.CANCEL, Effect.UNKNOWN, id="e1")

    assert route.tally.events[Result.DEFERRED] == 1


async def test_an_order_that_carries_its_event_comes_back_from_the_delay_line_as_it_was() -> None:
    route = movable(limits=Limits(drain=5.0, lease=1.0, parked_at_intake=0))
    due_at = now() + HOUR
    async with route.running():
        await published(route, "e1", due_at)
        [claim] = await route.store.claim([Ask(key("e1"), due_at=1, replaces=True)], owner="somebody", lease=0.3)
        assert claim.gen == 1
        await ordered(route, Op.RESCHEDULE, Effect.DONE, id="e1", until=now() + 400, event={"name": "user.created"})
        await route.until(route.accepted)

    assert route.accepted() == ["e1"]


async def test_a_broken_order_is_buried_with_the_name_of_the_field() -> None:
    async with movable().running() as route:
        route.order(op="cancel", id="e1", until="2030-01-01T00:00:00Z")
        await route.until(lambda: route.dead_letters.buried)

    [burial] = route.dead_letters.buried
    assert burial.reason.startswith("until is no field of a control envelope that says cancel")


async def test_an_order_for_too_far_ahead_is_buried() -> None:
    async with movable().running() as route:
        due_at = now() + HOUR
        await published(route, "e1", due_at)
        route.order(op="reschedule", id="e1", delay={"days": 400})
        await route.until(lambda: route.dead_letters.buried)
        assert (await standing(route, "e1")).due_at == due_at

    assert [burial.kind for burial in route.dead_letters.buried] == ["too_late"]


async def test_without_control_an_order_is_a_body_like_any_other() -> None:
    async with MemoryRoute(hold_window=0).running() as route:
        await published(route, "e1", now() + HOUR)
        route.order(op="cancel", id="e1")
        await route.until(lambda: route.dead_letters.buried)
        assert (await standing(route, "e1")).state is State.SCHEDULED


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
    async with movable(store=DownStore()).running() as route:
        await published(route, "e1", now() + 800)
        await ordered(route, Op.CANCEL, Effect.DONE, id="e1")
        await route.until_quiet()

    assert route.accepted() == []


async def test_an_order_is_held_when_the_store_stays_away() -> None:
    store = DownStore()
    store.down = 1_000_000
    async with movable(store=store, limits=Limits(drain=5.0, lease=1.0, max_hold=0.2)).running() as route:
        due_at = now() + HOUR
        await published(route, "e1", due_at)
        route.order(op="reschedule", id="e1", until=due_at + 1)
        await route.until(lambda: route.tally.events[Result.DEFERRED])
        store.down = 0
        await route.until(lambda: obeyed(route, Op.RESCHEDULE, Effect.DONE))
        assert (await standing(route, "e1")).due_at == due_at + 1


async def test_a_failed_send_of_what_was_brought_forward_is_tried_again() -> None:
    async with movable().running() as route:
        await published(route, "e1", now() + HOUR)
        route.target.answer(Retryable("500"), Retryable("500"))
        await ordered(route, Op.RESCHEDULE, Effect.DONE, id="e1", delay=0, event={"name": "user.created"})
        await route.until(route.accepted)

    assert route.accepted() == ["e1"]


async def test_of_two_delayed_copies_the_first_wins() -> None:
    async with MemoryRoute(hold_window=0).running() as route:
        await published(route, "e1", now() + 300, data={"n": 1})
        route.publish("e1", ts=now() + 100, data={"n": 2})
        await route.until_quiet()

    assert [event.data for event in route.target.accepted] == [{"n": 1}]


async def test_of_two_delayed_copies_the_last_wins_where_that_is_wanted() -> None:
    async with MemoryRoute(hold_window=0, last_delay_wins=True).running() as route:
        await published(route, "sooner", now() + 600, data={"n": 1})
        await published(route, "sooner", now() + 200, data={"n": 2})
        await published(route, "later", now() + 200, data={"n": 1})
        await published(route, "later", now() + 600, data={"n": 2})
        await route.until_quiet()

    assert {event.id: event.data for event in route.target.accepted} == {"sooner": {"n": 2}, "later": {"n": 2}}
    assert len(route.accepted()) == 2
    assert not route.tally.conflicts


async def test_the_last_of_two_delayed_copies_wins_in_one_batch_too() -> None:
    async with MemoryRoute(hold_window=0, last_delay_wins=True).running() as route:
        route.publish("e1", ts=now() + 2_000, data={"n": 1})
        route.publish("e1", ts=now() + 3_000, data={"n": 2})
        await route.until(route.accepted)
        await route.until_quiet()

    assert [event.data for event in route.target.accepted] == [{"n": 2}]


async def test_the_last_copy_wins_even_if_it_waits_in_the_process() -> None:
    async with MemoryRoute(hold_window=1_000, last_delay_wins=True).running() as route:
        await published(route, "e1", now() + HOUR, data={"n": 1})
        route.publish("e1", ts=now() + 200, data={"n": 2})
        await route.until(route.accepted)

    assert [event.data for event in route.target.accepted] == [{"n": 2}]


async def test_the_same_delayed_copy_again_is_a_duplicate_whoever_wins() -> None:
    async with MemoryRoute(hold_window=0, last_delay_wins=True).running() as route:
        due_at = now() + HOUR
        await published(route, "e1", due_at)
        route.publish("e1", ts=due_at)
        await route.until(lambda: route.tally.events[Result.DUPLICATE])
        assert (await standing(route, "e1")).gen == 0


async def test_a_copy_that_is_not_delayed_moves_nothing() -> None:
    async with MemoryRoute(hold_window=0, last_delay_wins=True).running() as route:
        await published(route, "e1", now() + HOUR)
        route.publish("e1")
        await route.until(lambda: route.tally.events[Result.DUPLICATE])

    assert route.accepted() == []
