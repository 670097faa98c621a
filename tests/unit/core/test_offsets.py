"""Tests of what travels beside a committed offset."""

from __future__ import annotations

import random
import zlib
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.offsets import LIMIT, SPAN, pack, unpack

LOWS = st.integers(0, 2**62)
ABOVE = st.frozensets(st.integers(0, 20_000), max_size=300)


@given(LOWS, ABOVE)
def test_what_is_done_above_a_commit_comes_back(low: int, above: frozenset[int]) -> None:
    done = frozenset(low + distance for distance in above)
    assert unpack(low, pack(low, done)) == done


@given(LOWS, st.frozensets(st.integers(1, SPAN * 2), max_size=2_000), st.integers(0, 2**32))
def test_it_never_names_what_is_not_done_and_always_fits(low: int, above: frozenset[int], seed: int) -> None:
    more = random.Random(seed).sample(range(1, 60_000), 5_000)  # far more than fits, without any pattern
    done = frozenset(low + distance for distance in [*above, *more])
    text = pack(low, done)
    assert len(text) <= LIMIT
    assert unpack(low, text) <= done


def test_what_does_not_fit_is_left_out_from_the_far_end() -> None:
    done = frozenset(random.Random(1).sample(range(101, 100_000), 30_000))
    kept = unpack(100, pack(100, done))
    assert kept
    assert kept == {offset for offset in done if offset <= max(kept)}
    nearest = len(pack(100, kept))
    assert LIMIT - 100 < nearest <= LIMIT


def test_a_whole_window_without_any_pattern_fits() -> None:
    done = frozenset(random.Random(2).sample(range(1, 10_000), 5_000))
    assert unpack(0, pack(0, done)) == done


def test_nothing_done_is_no_text() -> None:
    assert pack(7, []) == ""


def test_what_stands_below_the_commit_needs_no_mention() -> None:
    assert pack(7, [3, 6]) == ""


def test_the_committed_offset_itself_may_be_done_before_it_was_read() -> None:
    """An earlier owner settled it, and this one has read only up to there."""
    assert unpack(7, pack(7, [7, 9])) == {7, 9}


def test_an_offset_that_was_moved_takes_no_bits_along() -> None:
    text = pack(100, [105])
    assert unpack(90, text) == frozenset()
    assert unpack(101, text) == frozenset()


def test_metadata_that_was_copied_to_another_cluster_means_nothing_there() -> None:
    text = pack(100, [105], "here/orders/0")
    assert unpack(100, text, "here/orders/0") == {105}
    assert unpack(100, text, "there/orders/0") == frozenset()
    assert unpack(100, text) == {105}


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "eb1",
        "eb1:",
        "eb1:100@00000000:",
        "eb1:100@00000000:!!!",
        "eb1:100@00000000:AAAA",
        "eb1:1e2@00000000:AAAA",
        "consumer-1 rebalanced",
        '{"eb1": 1}',
        "\N{SNOWMAN}" * 100,
    ],
)
def test_what_other_tools_write_there_means_nothing(text: str | None) -> None:
    assert unpack(100, text) == frozenset()


@given(st.text())
def test_no_text_at_all_does_harm(text: str) -> None:
    assert unpack(100, text) == frozenset()


@given(st.data())
def test_a_text_that_was_cut_short_names_nothing(data: st.DataObject) -> None:
    text = pack(100, range(105, 900, 7))
    cut = data.draw(st.integers(0, len(text) - 1))
    assert unpack(100, text[:cut]) == frozenset()


def test_a_bitmap_larger_than_any_of_ours_is_not_unfolded() -> None:
    bomb = b64encode(zlib.compress(b"\xff" * (64 << 20))).decode()
    assert unpack(100, f"eb1:100@00000000:{bomb}") == frozenset()
