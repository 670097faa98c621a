"""The prefetch under a bound in bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.rabbitmq.appetite import Appetite

sizes = st.lists(st.integers(0, 5_000), max_size=200)


def test_small_deliveries_get_the_whole_prefetch() -> None:
    appetite = Appetite(256, 1_000_000)
    for _ in range(100):
        appetite.take(100)
    assert appetite.prefetch(present=256) == 256


def test_a_full_one_wants_none_until_half_is_gone() -> None:
    appetite = Appetite(256, 1_000)
    for _ in range(4):
        appetite.take(250)
    assert appetite.prefetch(present=256) == 0
    appetite.give(250)
    assert appetite.prefetch(present=0) == 0
    appetite.give(250)
    assert appetite.prefetch(present=0) == 4


def test_a_delivery_larger_than_the_bound_comes_alone() -> None:
    appetite = Appetite(256, 1_000)
    appetite.take(5_000)
    assert appetite.prefetch(present=1) == 0
    appetite.give(5_000)
    assert appetite.prefetch(present=0) == 1


def test_caution_is_one_at_a_time() -> None:
    appetite = Appetite(256, cautious=True)
    assert appetite.prefetch(present=0) == 1
    appetite.cautious = False
    assert appetite.prefetch(present=1) == 256


@given(sizes)
def test_what_was_taken_and_given_is_nothing_and_the_appetite_is_back(taken: list[int]) -> None:
    appetite = Appetite(10, 4_000)
    for size in taken:
        appetite.take(size)
    for size in taken:
        appetite.give(size)
    assert appetite.bytes == 0
    assert 1 <= appetite.prefetch(present=0) <= 10


@given(sizes, st.integers(1, 64))
def test_it_is_content_with_what_it_asked_for(taken: list[int], prefetch: int) -> None:
    """Or a consumer would be replaced without end."""
    appetite = Appetite(prefetch, 4_000)
    for size in taken:
        appetite.take(size)
    wanted = appetite.prefetch(present=0)
    assert appetite.prefetch(present=wanted) == wanted


@given(st.integers(1, 5_000), st.integers(1, 200))
def test_equal_sizes_taken_at_once_are_as_if_taken_one_by_one(size: int, count: int) -> None:
    at_once, singly = Appetite(256, 1_000_000), Appetite(256, 1_000_000)
    at_once.take(size * count, count)
    for _ in range(count):
        singly.take(size)
    assert (at_once.bytes, at_once.prefetch(present=0)) == (singly.bytes, singly.prefetch(present=0))
