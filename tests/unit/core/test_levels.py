"""The levels walked on paper: what the bridge does with a copy until it is due."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.levels import LEVELS, SLACK, WINDOW, Levels, level_for, partition_at, ripe_at

LONGEST = LEVELS[-1]
waits = st.floats(min_value=-10, max_value=400 * 86_400.0)
instants = st.integers(min_value=1_700_000_000_000, max_value=1_700_000_100_000)
windows = st.sampled_from([0.0, 0.3, 1.0, 3.0, 20.0])  # seconds
lateness = st.integers(min_value=0, max_value=80)  # ms from the time a copy is ripe until it is parked again


def walk(now: int, due: int, late: int = 0, window: float = WINDOW) -> list[tuple[int, int]]:
    """The levels that a copy passes until it is handed out, each with the time when it leaves it."""
    passed: list[tuple[int, int]] = []
    while not passed or due - now > window * 1000:
        level = level_for((due - now) / 1000, shortest=1 if passed else 0)
        now = ripe_at(now, level, due, window) + late
        passed.append((level, now - late))
    return passed


def digits(seconds: int) -> int:
    """The fewest powers of four, up to the longest level, that add up to so many seconds."""
    rounds, rest = divmod(seconds, LONGEST)
    total = rounds
    while rest:
        rest, digit = divmod(rest, 4)
        total += digit
    return total


@given(waits)
def test_no_level_is_longer_than_the_wait(wait: float) -> None:
    assert level_for(wait) <= max(0.0, wait)


@given(waits)
def test_the_next_longer_level_would_not_have_fitted(wait: float) -> None:
    assert all(level > wait for level in LEVELS if level > level_for(wait))


@given(waits)
def test_a_copy_that_found_no_room_takes_the_shortest_level_at_least(wait: float) -> None:
    assert level_for(wait, shortest=1) == max(1, level_for(wait))


@given(instants, waits, lateness, windows)
def test_a_copy_never_leaves_after_it_is_due(now: int, wait: float, late: int, window: float) -> None:
    due = now + int(wait * 1000)
    assert all(leaves <= max(now, due) for _, leaves in walk(now, due, late, window))


@given(instants, waits, windows)
def test_a_copy_is_handed_out_at_most_the_window_before_it_is_due(now: int, wait: float, window: float) -> None:
    due = now + int(wait * 1000)
    _, leaves = walk(now, due, 0, window)[-1]
    assert due - leaves <= window * 1000


@given(instants, waits)
def test_every_hop_brings_it_nearer(now: int, wait: float) -> None:
    due = now + int(wait * 1000)
    times = [now, *(leaves for _, leaves in walk(now, due)[:-1])]
    assert all(later - sooner >= 1000 - SLACK for sooner, later in pairwise(times))


@given(instants, waits)
def test_the_hops_are_as_few_as_can_be_but_for_the_slack(now: int, wait: float) -> None:
    due = now + int(wait * 1000)
    fewest = min(digits(seconds) for seconds in range(max(0, int(wait) - 3), max(0, int(wait)) + 1))
    rounds = int(max(0.0, wait)) // LONGEST
    assert len(walk(now, due)) <= max(1, fewest) + 3 + rounds


@given(instants, waits, st.integers(min_value=-7_200_000, max_value=7_200_000))
def test_the_clock_of_another_instance_delays_nothing_beyond_its_time(now: int, wait: float, skew: int) -> None:
    due = now + int(wait * 1000)
    assert ripe_at(now + skew, level_for(wait), due) <= due


@given(instants, instants, st.sampled_from(LEVELS))
def test_in_one_level_what_was_parked_first_leaves_first(first: int, second: int, level: int) -> None:
    first, second = sorted((first, second))
    due = second + level * 1000 + 30_000
    assert ripe_at(first, level, due) <= ripe_at(second, level, due)


def test_what_is_parked_again_leaves_in_batches() -> None:
    due = 1_700_000_100_000
    leaving = {ripe_at(1_700_000_000_000 + ms, 16, due) for ms in range(300)}
    assert leaving == {1_700_000_016_000, 1_700_000_016_100, 1_700_000_016_200}


def test_what_is_handed_out_leaves_to_the_millisecond() -> None:
    assert ripe_at(1_700_000_000_123, 4, 1_700_000_006_000) == 1_700_000_004_123


@given(instants, st.integers(min_value=1, max_value=12))
def test_partitions_take_turns_of_100_ms(now: int, partitions: int) -> None:
    assert partition_at(now, partitions) in range(partitions)
    assert partition_at(now + SLACK, partitions) == (partition_at(now, partitions) + 1) % partitions
    start = now - now % SLACK
    assert len({partition_at(start + ms, partitions) for ms in range(SLACK)}) == 1


@pytest.mark.parametrize(
    ("wait", "level"),
    [(-1, 0), (0, 0), (0.999, 0), (1, 1), (3.9, 1), (4, 4), (63, 16), (90, 64), (262_144, 262_144), (1e9, 262_144)],
)
def test_some_waits_and_their_levels(wait: float, level: int) -> None:
    assert level_for(wait) == level


def test_the_names_are_as_they_are_written_down() -> None:
    levels = Levels("bridge.orders")
    assert levels.group == "bridge.orders.delay.v1"
    assert levels.topic(64) == "bridge.orders.delay.v1.0000064"
    assert list(levels.topics().values()) == [0, 1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144]


def test_no_level_forgets_anything_by_itself() -> None:
    for level in LEVELS:
        configs = Levels("bridge").configs(level)
        assert (configs["retention.ms"], configs["retention.bytes"], configs["cleanup.policy"]) == (
            "-1",
            "-1",
            "delete",
        )


def test_short_levels_change_their_segments_often() -> None:
    assert "segment.ms" in Levels("bridge").configs(1_024)
    assert "segment.ms" not in Levels("bridge").configs(4_096)


def test_a_segment_has_room_for_the_largest_record() -> None:
    assert Levels("bridge").configs(1)["segment.bytes"] == str(64 << 20)
    assert Levels("bridge").configs(1, 128 << 20)["segment.bytes"] == str(128 << 20)
