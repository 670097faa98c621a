"""Tests of the partitions that are ours: whose turn it is, and that no history of assignments skips a record."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.offsets import unpack
from bridge.kafka.membership import Start
from bridge.kafka.pace import Bounds
from bridge.kafka.partition import Partition
from bridge.kafka.shelf import Shelf
from tests.unit.kafka.records import received

ROOMY = Bounds(out=1_000, held=2_000)
PLACES = [TopicPartition("orders", number) for number in range(3)]
FIRST, SECOND, _ = PLACES


def records(offsets: Iterable[int]) -> list[Any]:
    return [received(None, b"x", [], offset=offset) for offset in offsets]


def shelf_of(*counts: int, bounds: Bounds = ROOMY) -> Shelf:
    """A shelf with so many records of each partition."""
    shelf = Shelf(bounds, None, {})
    for place, count in zip(PLACES, counts, strict=False):
        shelf.open(place, Start(0)).take_in(records(range(count)))
    return shelf


def take(shelf: Shelf, limit: int = 1_000) -> list[tuple[int, int]]:
    """The (partition, offset) of what is handed out."""
    return [(place.partition, record.offset) for place, _, records in shelf.take(limit, 0.0) for record in records]


def again(shelf: Shelf) -> list[bool]:
    return [part.was_out(record.offset) for _, part, records in shelf.take(1_000, 0.0) for record in records]


def books(shelf: Shelf, place: TopicPartition) -> Partition:
    part = shelf.get(place)
    assert part is not None
    return part


def test_equal_offsets_of_two_partitions_are_two_records() -> None:
    shelf = shelf_of(1, 1)
    assert take(shelf) == [(0, 0), (1, 0)]
    books(shelf, FIRST).finish(0)
    assert (books(shelf, FIRST).low, books(shelf, SECOND).low) == (1, 0)


def test_partitions_take_turns() -> None:
    shelf = shelf_of(100, 100)
    assert [take(shelf, 1) for _ in range(4)] == [[(0, 0)], [(1, 0)], [(0, 1)], [(1, 1)]]


def test_a_partition_with_nothing_to_give_costs_no_turn() -> None:
    shelf = shelf_of(3, 0, 1)
    assert take(shelf, 4) == [(0, 0), (0, 1), (0, 2), (2, 0)]


def test_one_that_is_at_its_bound_does_not_hold_up_the_others() -> None:
    shelf = shelf_of(5, 5, bounds=Bounds(out=2))
    assert take(shelf) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert take(shelf) == []
    books(shelf, SECOND).finish(1)
    assert take(shelf) == [(1, 2)]


def test_what_was_out_in_an_earlier_assignment_says_so_and_what_was_only_read_does_not() -> None:
    shelf = shelf_of(3)
    take(shelf, 2)
    shelf.remove(FIRST)
    shelf.open(FIRST, Start(0)).take_in(records(range(3)))
    assert again(shelf) == [True, True, False]


def test_a_log_that_began_anew_was_never_handed_out() -> None:
    shelf = shelf_of(2)
    take(shelf)
    shelf.forget(FIRST)
    shelf.open(FIRST, Start(0)).take_in(records(range(2)))
    assert again(shelf) == [False, False]


def test_what_was_handed_out_of_a_log_that_began_anew_comes_never_again() -> None:
    shelf = shelf_of(1, 1)
    old = [books(shelf, place) for place in (FIRST, SECOND)]
    shelf.open(FIRST, Start(0, anew=True))
    shelf.open(SECOND, Start(0))
    assert [(part.ours, part.gone) for part in old] == [(False, True), (False, False)]


def test_new_books_end_the_old_ones() -> None:
    shelf = shelf_of(1)
    old = books(shelf, FIRST)
    take(shelf)
    shelf.open(FIRST, Start(0))
    assert not old.owns(0)
    assert not old.finish(0)
    assert books(shelf, FIRST).low == 0


def test_a_partition_that_is_not_ours_has_no_books() -> None:
    shelf = shelf_of(1, 1)
    shelf.remove(SECOND)
    shelf.remove(SECOND)
    assert shelf.get(SECOND) is None
    assert take(shelf) == [(0, 0)]


@pytest.mark.parametrize(("heads", "expected"), [([], None), ([50.0, 20.0], 20.0)])
def test_the_first_head_that_gets_ripe_says_when_to_look_again(heads: list[float], expected: float | None) -> None:
    shelf = Shelf(ROOMY, {"orders": lambda record: float(record.timestamp / 1000)}.__getitem__, {})
    for place, head in zip(PLACES, heads, strict=False):
        stamps = [int(head * 1000), 0]  # ripe already, but behind the head
        shelf.open(place, Start(0)).take_in(
            [received(None, b"", [], offset=offset, timestamp=stamp) for offset, stamp in enumerate(stamps)]
        )
    assert shelf.ripe_at() == expected
    assert [record.offset for *_, records in shelf.take(9, 20.0) for record in records] == ([0, 1] if heads else [])


def test_where_nothing_ripens_time_is_no_question() -> None:
    assert shelf_of(3).ripe_at() is None


@dataclass
class Group:
    """A naive group: what is committed, and members that are handed partitions in turn."""

    logs: dict[TopicPartition, list[int]]
    committed: dict[TopicPartition, tuple[int, str]] = field(default_factory=dict)
    settled: set[tuple[TopicPartition, int]] = field(default_factory=set)

    def start_of(self, place: TopicPartition) -> Start:
        if place not in self.committed:
            return Start(self.logs[place][0])
        low, text = self.committed[place]
        return Start(low, unpack(low, text), committed=True)

    def commit(self, place: TopicPartition, part: Partition) -> None:
        low, text = part.committable()
        assert low >= self.committed.get(place, (0, ""))[0]
        below = {offset for offset in self.logs[place] if offset < low} | unpack(low, text)
        assert {(place, offset) for offset in below} <= self.settled
        self.committed[place] = low, text

    def left(self) -> set[tuple[TopicPartition, int]]:
        return {(place, offset) for place, log in self.logs.items() for offset in log} - self.settled


class Member:
    """One member that owns all partitions, until another does."""

    def __init__(self, group: Group, bounds: Bounds) -> None:
        self.group = group
        self.shelf = Shelf(bounds, None, {})
        self.out: set[tuple[TopicPartition, int]] = set()
        for place in group.logs:
            self.shelf.open(place, group.start_of(place))

    def read(self, place: TopicPartition, count: int) -> None:
        part = books(self.shelf, place)
        if not part.full:
            part.take_in(records([offset for offset in self.group.logs[place] if offset >= part.next][:count]))

    def take(self, limit: int) -> None:
        taken = [(place, record.offset) for place, _, records in self.shelf.take(limit, 0.0) for record in records]
        assert len(set(taken)) == len(taken) <= limit
        assert not set(taken) & self.out
        self.out |= set(taken)

    def settle(self, place: TopicPartition, offset: int) -> None:
        assert books(self.shelf, place).finish(offset)
        self.out.discard((place, offset))
        self.group.settled.add((place, offset))

    def give_back(self, place: TopicPartition, offset: int) -> None:
        assert books(self.shelf, place).give_back(offset)
        self.out.discard((place, offset))

    def commit(self) -> None:
        for place, part in self.shelf:
            self.group.commit(place, part)

    def drain(self) -> None:
        """Settle all there is, again what was settled and not committed before its owner died."""
        for _ in range(1_000):
            for place in self.group.logs:
                self.read(place, 7)
            self.take(5)
            for place, offset in sorted(self.out):
                self.settle(place, offset)
            if all(part.low > self.group.logs[place][-1] for place, part in self.shelf):
                return
        raise AssertionError(f"never handed out: {self.group.left()}")


@given(
    st.lists(st.sets(st.integers(0, 300), min_size=1, max_size=30), min_size=1, max_size=3),
    st.builds(Bounds, out=st.integers(1, 9), held=st.integers(1, 20), window=st.integers(5, 400)),
    st.integers(0, 2**32),
)
def test_no_history_of_members_skips_a_record(logs: list[set[int]], bounds: Bounds, seed: int) -> None:
    """Members come, work in any order, die between commits, and are followed by others: in the end all is settled."""
    group = Group({place: sorted(log) for place, log in zip(PLACES, logs, strict=False)})
    member, chance = Member(group, bounds), random.Random(seed)
    for _ in range(150):
        match chance.choice(["read", "read", "take", "settle", "settle", "return", "commit", "die", "leave"]):
            case "read":
                member.read(chance.choice(list(group.logs)), chance.randint(1, 5))
            case "take":
                member.take(chance.randint(1, 5))
            case "settle" if member.out:
                member.settle(*chance.choice(sorted(member.out)))
            case "return" if member.out:
                member.give_back(*chance.choice(sorted(member.out)))
            case "commit":
                member.commit()
            case "die" if not chance.randrange(5):
                member = Member(group, bounds)
            case "leave" if not chance.randrange(5):
                member.commit()
                member = Member(group, bounds)
    member.drain()
    assert not group.left()
    member.commit()
