"""Lanes by themselves: every way of coming and going that Hypothesis can think of."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bridge.core.lanes import Lanes
from bridge.core.slots import Carrier, Slot
from bridge.model import Delivery, Envelope

MINUTE = 60_000


def slot(event_id: str = "e1") -> Slot:
    carrier = Carrier(Delivery(body=b"body"), 1)
    return Slot(carrier=carrier, event=Envelope(id=event_id, name="n"), key=event_id.encode(), first_seen=0)


def test_one_has_its_turn_and_the_others_of_its_key_wait() -> None:
    lanes, first, second, other = Lanes(), slot(), slot(), slot()

    assert lanes.enter(b"a", first)
    assert not lanes.enter(b"a", second)
    assert lanes.enter(b"b", other)
    assert lanes.waiting == 1

    lanes.leave(first)
    assert lanes.take_ready() == [second]
    assert lanes.take_ready() == []
    assert lanes.waiting == 0


def test_whoever_stands_in_no_lane_may_leave_too() -> None:
    lanes = Lanes()
    lanes.leave(slot())
    assert lanes.take_ready() == []


def test_time_counts_from_the_first_failure_and_not_in_outages() -> None:
    lanes, one = Lanes(), slot()
    lanes.enter(b"a", one)

    assert lanes.failed(one, 1_000) == 0
    assert lanes.failed(one, 4_000) == 3
    lanes.freeze(5_000)
    lanes.freeze(6_000)
    assert lanes.failed(one, MINUTE) == 4
    lanes.thaw(MINUTE)
    lanes.thaw(2 * MINUTE)
    assert lanes.failed(one, MINUTE + 500) == 4.5


def test_the_next_one_begins_anew() -> None:
    lanes, first, second = Lanes(), slot("first"), slot("second")
    lanes.enter(b"a", first)
    lanes.enter(b"a", second)
    first.attempt = 7
    lanes.failed(first, 0)
    lanes.stick(first, "500")
    assert lanes.stuck == 1

    lanes.leave(first)

    assert lanes.stuck == 0
    assert second.attempt == 1
    assert lanes.failed(second, MINUTE) == 0


def test_a_copy_that_came_again_takes_over_what_the_first_one_went_through() -> None:
    lanes, old, behind, again = Lanes(), slot("x"), slot("y"), slot("x")
    for each in (old, behind, again):
        lanes.enter(b"a", each)
    old.attempt, again.first_seen = 7, 5_000
    lanes.failed(old, 0)
    lanes.stick(old, "500")

    lanes.leave(old, comes_again=True)
    lanes.leave(behind, comes_again=True)

    assert lanes.take_ready() == [behind, again]
    assert (again.attempt, again.first_seen) == (7, 0)
    assert lanes.failed(again, MINUTE) == 60
    assert lanes.stuck == 1


def test_a_stuck_one_is_news_once() -> None:
    lanes, one = Lanes(), slot()
    lanes.enter(b"a", one)
    lanes.failed(one, 0)
    lanes.stick(one, "500")
    lanes.stick(one, "503")

    assert lanes.take_news() == [(one, "500")]
    assert lanes.take_news() == []

    lanes.leave(one)
    assert lanes.stuck == 0


def test_emptying_takes_those_who_wait_and_nobody_follows_afterwards() -> None:
    lanes, first, second, third = Lanes(), slot(), slot(), slot()
    for each in (first, second, third):
        lanes.enter(b"a", each)

    assert lanes.empty() == [second, third]
    assert first in lanes
    assert second not in lanes

    lanes.leave(first)
    assert lanes.take_ready() == []
    assert lanes.waiting == 0


@dataclass
class Model:
    """What should be: the slots of each key in order."""

    queues: dict[int, list[Slot]] = field(default_factory=lambda: defaultdict(list))

    def under_way(self) -> list[tuple[int, Slot]]:
        return [(key, queue[0]) for key, queue in self.queues.items() if queue]


class LanesMachine(RuleBasedStateMachine):
    """Slots come, fail, come again and leave: at most one of a key is under way, in order, and none is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes = Lanes()
        self.model = Model()
        self.going: set[Slot] = set()
        self.now = 0

    @rule(key=st.integers(0, 3), event=st.sampled_from("abc"))
    def come(self, key: int, event: str) -> None:
        one = slot(event)
        if self.lanes.enter(key, one):
            self.going.add(one)
        self.model.queues[key].append(one)

    @precondition(lambda self: self.model.under_way())
    @rule(data=st.data(), comes_again=st.booleans())
    def leave(self, data: st.DataObject, comes_again: bool) -> None:
        key, one = data.draw(st.sampled_from(self.model.under_way()))
        self.model.queues[key].pop(0)
        self.going.discard(one)
        self.lanes.leave(one, comes_again=comes_again)
        ready = self.lanes.take_ready()
        assert ready == self.model.queues[key][:1]
        self.going.update(ready)

    @precondition(lambda self: self.model.under_way())
    @rule(data=st.data(), passed=st.integers(0, MINUTE))
    def fail(self, data: st.DataObject, passed: int) -> None:
        _, one = data.draw(st.sampled_from(self.model.under_way()))
        self.now += passed
        one.attempt += 1
        assert 0 <= self.lanes.failed(one, self.now) <= self.now / 1000
        self.lanes.stick(one, "500")

    @rule(held=st.booleans())
    def outage(self, held: bool) -> None:
        (self.lanes.freeze if held else self.lanes.thaw)(self.now)

    @rule()
    def shut_down(self) -> None:
        waiting = [one for queue in self.model.queues.values() for one in queue[1:]]
        assert sorted(map(id, self.lanes.empty())) == sorted(map(id, waiting))
        for queue in self.model.queues.values():
            del queue[1:]

    @invariant()
    def at_most_one_of_a_key_is_under_way(self) -> None:
        assert self.going == {one for _, one in self.model.under_way()}

    @invariant()
    def nobody_is_forgotten_or_kept(self) -> None:
        queues = [queue for queue in self.model.queues.values() if queue]
        assert self.lanes.waiting == sum(len(queue) - 1 for queue in queues)
        assert all(one in self.lanes for queue in queues for one in queue)
        assert self.lanes.stuck <= len(queues)


TestLanes = LanesMachine.TestCase
