"""Tests of the books of one partition: what is handed out, what is safe to commit, and when to stop reading."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.offsets import pack, unpack
from bridge.kafka.pace import Bounds
from bridge.kafka.partition import Partition
from tests.unit.kafka.records import received

ROOMY = Bounds(out=1_000, held=2_000, bytes=1 << 30)


def records(offsets: Iterable[int], size: int = 1) -> list[Any]:
    return [received(None, b"x" * size, [], offset=offset) for offset in offsets]


def partition(
    start: int = 0, *, done: Iterable[int] = (), bounds: Bounds = ROOMY, seen: int = -1, read: Iterable[int] = ()
) -> Partition:
    made = Partition(start, frozenset(done), bounds, seen=seen)
    made.take_in(records(read))
    return made


def take(books: Partition, limit: int = 1_000) -> list[int]:
    return [record.offset for record in books.hand_out(limit, 0.0)]


def taken(books: Partition) -> list[tuple[int, bool]]:
    """The offsets of all that is handed out, each with whether it was handed out before."""
    return [(offset, books.was_out(offset)) for offset in take(books)]


def full(books: Partition) -> bool:
    return books.full


def test_a_failing_event_is_never_overtaken_by_a_later_commit() -> None:
    books = partition(5, read=range(5, 9))
    assert take(books) == [5, 6, 7, 8]
    for offset in (6, 7, 8):
        books.finish(offset)
    low, text = books.committable()
    assert low == 5
    assert unpack(low, text) == {6, 7, 8}


def test_what_is_read_and_not_handed_out_is_not_committed() -> None:
    books = partition(5, read=range(5, 9))
    assert take(books, 1) == [5]
    books.finish(5)
    assert books.low == 6


def test_nothing_read_commits_where_it_began() -> None:
    assert partition(5).committable() == (5, "")


def test_gaps_hold_back_nothing() -> None:
    books = partition(0, read=[0, 3, 9])
    for offset in take(books):
        books.finish(offset)
    assert books.committable() == (10, "")


def test_what_an_earlier_owner_settled_is_not_handed_out_again() -> None:
    books = partition(5, done=[6, 8], read=range(5, 10))
    assert take(books) == [5, 7, 9]
    for offset in (5, 7, 9):
        books.finish(offset)
    assert books.low == 10


def test_what_an_earlier_owner_settled_stays_known_before_it_is_read() -> None:
    """This owner may be gone before it reads that far."""
    books = partition(5, done=[6, 50], read=[5, 6])
    low, text = books.committable()
    assert (low, unpack(low, text)) == (5, frozenset({6, 50}))


def test_only_what_is_out_can_be_settled_and_only_once() -> None:
    books = partition(0, read=range(2))
    assert not books.finish(0)
    take(books, 1)
    assert books.finish(0)
    assert not books.finish(0)
    assert books.low == 1


def test_nothing_of_a_partition_that_is_lost_counts_any_more() -> None:
    books = partition(0, read=range(2))
    take(books)
    books.ours = False
    assert not books.owns(0)
    assert not books.finish(0)
    assert not books.give_back(1)
    assert books.low == 0


def test_a_partition_that_is_being_taken_away_hands_out_no_more_and_still_settles() -> None:
    books = partition(0, read=range(4))
    take(books, 2)
    books.close()
    assert take(books) == []
    assert books.finish(0)
    assert books.finish(1)
    assert books.low == 2


def test_what_is_given_back_comes_first_again_and_says_so() -> None:
    books = partition(0, read=range(3))
    take(books, 2)
    for offset in (1, 0):
        assert books.give_back(offset)
    assert books.repeats(0)
    assert taken(books) == [(0, True), (1, True), (2, False)]


def test_what_was_handed_out_under_an_earlier_assignment_says_so() -> None:
    books = partition(0, seen=1, read=range(4))
    assert [books.repeats(offset) for offset in range(4)] == [True, True, False, False]
    assert taken(books) == [(0, True), (1, True), (2, False), (3, False)]


def test_what_is_settled_was_given_back_no_more() -> None:
    books = partition(0, read=range(2))
    take(books, 1)
    books.give_back(0)
    take(books, 1)
    books.finish(0)
    assert not books.repeats(1)
    assert taken(books) == [(1, False)]


def test_many_are_settled_at_once_and_those_that_are_not_out_do_not_count() -> None:
    books = partition(0, read=range(5))
    take(books, 4)
    assert books.finish(1, 0, 4, 1, 3, 99) == 3
    assert books.committable() == (2, pack(2, [3]))


def test_no_more_is_out_than_may_be() -> None:
    books = partition(0, bounds=Bounds(out=2, held=100), read=range(5))
    assert take(books) == [0, 1]
    assert take(books) == []
    books.finish(1)
    assert take(books) == [2]


def test_reading_stops_at_a_bound_of_records_and_goes_on_below_half_of_it() -> None:
    books = partition(0, bounds=Bounds(out=100, held=4), read=range(3))
    assert not full(books)
    books.take_in(records([3]))
    assert full(books)
    take(books)
    books.finish(0)
    assert full(books)
    books.finish(1)
    assert not full(books)


def test_reading_stops_at_a_bound_of_bytes() -> None:
    books = partition(0, bounds=Bounds(out=100, held=100, bytes=10_000))
    books.take_in(records([0], size=9_000))
    assert not full(books)
    books.take_in(records([1], size=1_000))
    assert full(books)
    take(books)
    books.finish(0)
    assert not full(books)


def test_a_straggler_stops_reading_when_the_window_is_used_up() -> None:
    books = partition(0, bounds=Bounds(out=1_000, held=1_000, window=100))
    for start in range(0, 100, 10):
        books.take_in(records(range(start, start + 10)))
        for offset in take(books):
            if offset:
                books.finish(offset)
    assert full(books)
    books.finish(0)
    assert not full(books)
    assert books.low == 100


def test_a_partition_waits_for_its_head_even_where_others_behind_it_are_ripe() -> None:
    ripe_from = {0: 10.0, 1: 5.0, 2: 20.0}
    books = Partition(0, frozenset(), ROOMY, ripe=lambda record: ripe_from[record.offset])
    assert books.ripe_at() is None
    books.take_in(records(range(3)))
    assert books.hand_out(9, 9.9) == []
    assert books.ripe_at() == 10.0
    assert [record.offset for record in books.hand_out(9, 10.0)] == [0, 1]
    assert books.ripe_at() == 20.0


def test_offsets_that_do_not_rise_are_a_fault() -> None:
    books = partition(0, read=[4])
    with pytest.raises(ValueError, match="positions must rise"):
        books.take_in(records([4]))


@given(st.data())
def test_whatever_happens_a_commit_names_nothing_that_is_not_settled(data: st.DataObject) -> None:
    offsets = sorted(data.draw(st.sets(st.integers(100, 400), min_size=1, max_size=60)))
    known = data.draw(st.sets(st.sampled_from(offsets)))
    seed = random.Random(data.draw(st.integers(0, 2**32)))
    books = partition(100, done=known)
    settled, out, waiting = set(known), set[int](), list(offsets)
    for _ in range(200):
        match seed.choice(["read", "take", "settle", "return"]):
            case "read" if waiting:
                count = seed.randint(1, 5)
                books.take_in(records(waiting[:count]))
                del waiting[:count]
            case "take":
                taken = set(take(books, seed.randint(1, 5)))
                assert not taken & (settled | out)
                out |= taken
            case "settle" if out:
                offset = seed.choice(sorted(out))
                assert books.finish(offset)
                out.discard(offset)
                settled.add(offset)
            case "return" if out:
                offset = seed.choice(sorted(out))
                assert books.give_back(offset)
                out.discard(offset)
        low, text = books.committable()
        unsettled = [offset for offset in offsets if offset not in settled]
        assert low <= min(unsettled, default=low)
        assert unpack(low, text) <= settled


def test_what_is_done_is_named_for_its_own_cluster_only() -> None:
    books = Partition(0, frozenset(), ROOMY, scope="here/orders/0")
    books.take_in(records(range(3)))
    take(books)
    books.finish(2)
    low, text = books.committable()
    assert unpack(low, text, "here/orders/0") == {2}
    assert unpack(low, text, "there/orders/0") == frozenset()
