from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.watermark import Watermark


class Naive:
    """Looks at everything that was ever started, each time."""

    def __init__(self) -> None:
        self.started: list[int] = []
        self.finished: set[int] = set()

    def mark(self) -> int | None:
        mark = None
        for position in self.started:
            if position not in self.finished:
                break
            mark = position
        return mark


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Positions with gaps, and an order to finish some of them in."""
    positions = sorted(draw(st.sets(st.integers(0, 200), max_size=40)))
    order = draw(st.permutations(positions))
    return positions, order[: draw(st.integers(0, len(order)))]


def begun(positions: list[int]) -> Watermark:
    watermark = Watermark()
    for position in positions:
        watermark.start(position)
    return watermark


@given(histories())
def test_the_mark_is_where_a_naive_model_sees_it(history: tuple[list[int], list[int]]) -> None:
    positions, order = history
    watermark, naive = begun(positions), Naive()
    naive.started = positions
    for position in order:
        before = naive.mark()
        naive.finished.add(position)
        after = naive.mark()
        assert watermark.finish(position) == (after if after != before else None)
        assert len(watermark) == len(positions) - len(naive.finished)
        assert watermark.oldest == min(set(positions) - naive.finished, default=None)


@given(histories(), st.lists(st.integers(1, 5), max_size=40))
def test_acks_name_each_position_once_and_only_while_it_is_unacked(
    history: tuple[list[int], list[int]], sizes: list[int]
) -> None:
    """Against a naive broker that closes the channel over an unknown delivery tag, as RabbitMQ does."""
    positions, order = history
    watermark, unacked, finished = begun(positions), set(positions), set[int]()
    for size in sizes:
        batch, order = order[:size], order[size:]
        finished |= set(batch)
        through, singly = watermark.settle(batch)
        if through is not None:
            assert through in unacked
            unacked -= {position for position in unacked if position <= through}
        for position in singly:
            unacked.remove(position)
        assert unacked == set(positions) - finished


def test_a_straggler_holds_back_the_mark_and_nothing_else() -> None:
    watermark = begun([1, 2, 3, 4])
    assert watermark.settle([2, 3]) == (None, [2, 3])
    assert watermark.settle([4]) == (None, [4])
    assert watermark.settle([1]) == (1, [])
    assert len(watermark) == 0


def test_gaps_are_not_waited_for() -> None:
    watermark = begun([10, 20, 21])
    assert watermark.finish(10) == 10
    assert watermark.finish(21) is None
    assert watermark.finish(20) == 21


def test_positions_must_rise() -> None:
    watermark = begun([5])
    watermark.finish(5)
    for position in (5, 4):
        with pytest.raises(ValueError, match="must rise"):
            watermark.start(position)


def test_what_is_not_open_cannot_be_finished() -> None:
    watermark = begun([1, 3])
    watermark.finish(3)
    for position in (2, 3, 4):
        with pytest.raises(ValueError, match="is not open"):
            watermark.finish(position)


@given(histories(), st.lists(st.integers(1, 5), max_size=40))
def test_many_begun_at_once_are_as_many_begun_one_by_one(
    history: tuple[list[int], list[int]], sizes: list[int]
) -> None:
    positions, order = history
    at_once, singly = Watermark(), begun(positions)
    left = list(positions)
    for size in [*sizes, len(left)]:
        at_once.begin(left[:size])
        left = left[size:]
    assert at_once.settle(order) == singly.settle(order)
    assert (at_once.oldest, at_once.last, len(at_once)) == (singly.oldest, singly.last, len(singly))


@pytest.mark.parametrize("positions", [[3], [4, 4], [5, 4]])
def test_many_that_do_not_rise_are_not_begun_at_all(positions: list[int]) -> None:
    watermark = begun([1, 3])
    with pytest.raises(ValueError, match="must rise"):
        watermark.begin(positions)
    assert (watermark.last, len(watermark)) == (3, 2)


@pytest.mark.parametrize("positions", [[2], [1, 1]])
def test_what_is_not_open_is_not_settled(positions: list[int]) -> None:
    with pytest.raises(ValueError, match="is not open"):
        begun([1, 3]).settle(positions)
