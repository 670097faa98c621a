"""The ladder walked on paper: what a topic exchange would do with each routing key."""

from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.ladder import (
    GUARD,
    LEVELS,
    LONGEST,
    WINDOW,
    Binding,
    Exchange,
    Ladder,
    Queue,
    plan,
    routing_key,
    steps_of,
)

LADDER = Ladder("bridge")
waits = st.floats(min_value=-10, max_value=400 * 86_400.0)
steps = st.integers(min_value=0, max_value=LONGEST)


def matches(pattern: str, key: str) -> bool:
    """Whether a topic binding lets a key through (AMQP 0-9-1, 3.1.3.3)."""
    words, left = key.split("."), pattern.split(".")
    while left and left[0] != "#":
        if not words or left[0] not in ("*", words[0]):
            return False
        words, left = words[1:], left[1:]
    return bool(left) or not words


def walk(number: int) -> list[str]:
    """The queues that a copy passes, from where it enters to the due queue, following bindings and dead letters."""
    items = list(LADDER.items())
    bindings = [item for item in items if isinstance(item, Binding)]
    below = {item.name: str(item.arguments["x-dead-letter-exchange"]) for item in items if isinstance(item, Queue)}
    key, exchange, passed = routing_key(number), LADDER.entry(number), []
    while LADDER.due not in passed:
        [way] = [way for way in bindings if way.source == exchange and matches(way.key, key)]
        if way.to_queue:
            passed.append(way.destination)
        exchange = below[way.destination] if way.to_queue else way.destination
    return passed


@given(steps)
def test_a_copy_waits_for_exactly_the_bits_of_its_number(number: int) -> None:
    seconds = {LADDER.level(level): 2**level for level in range(LEVELS)}
    *waited, last = walk(number)
    assert sum(seconds[queue] for queue in waited) == number
    assert last == LADDER.due


@given(waits)
def test_a_plan_is_never_longer_than_the_wait(wait: float) -> None:
    assert 0 <= plan(wait) <= max(0.0, wait - GUARD)


@given(st.floats(min_value=0, max_value=LONGEST), st.floats(min_value=0, max_value=30) | st.just(WINDOW))
def test_what_the_plan_leaves_fits_into_the_window(wait: float, window: float) -> None:
    assert wait - plan(wait, window) <= max(window, GUARD + 1)


@given(st.floats(min_value=1.5, max_value=5_000.0), st.integers(min_value=0, max_value=40))
def test_no_number_in_the_window_takes_fewer_queues(wait: float, window: int) -> None:
    highest = int(wait - GUARD)
    lowest = max(1, min(highest, ceil(wait - window)))
    fewest = min(number.bit_count() for number in range(lowest, highest + 1))
    assert plan(wait, window).bit_count() == fewest


@pytest.mark.parametrize(
    ("wait", "window", "planned"),
    [
        (-5.0, 3.0, 0),
        (1.2, 3.0, 0),
        (1.25, 3.0, 1),
        (3_599.7, 0.0, 3_599),
        (86_399.7, 3.0, 86_398),
        (86_399.3, 3.5, 86_396),
        (20.0, 10.0, 16),
        (20.0, 30.0, 16),
        (LONGEST + 1_000_000.0, 0.0, LONGEST),
        (LONGEST + 1_000_000.0, 3.0, LONGEST - 3),
    ],
)
def test_plans(wait: float, window: float, planned: int) -> None:
    assert plan(wait, window) == planned


@given(steps)
def test_a_routing_key_can_be_read_back(number: int) -> None:
    assert steps_of(routing_key(number)) == number
    assert len(routing_key(number)) <= 255


@pytest.mark.parametrize("key", ["", "e", routing_key(3)[2:], routing_key(3) + ".e", routing_key(3).replace("1", "2")])
def test_other_keys_are_refused(key: str) -> None:
    with pytest.raises(ValueError, match="not a routing key"):
        steps_of(key)


def test_a_copy_enters_at_its_highest_bit() -> None:
    assert LADDER.entry(0) == LADDER.out
    assert LADDER.entry(1) == LADDER.level(0)
    assert LADDER.entry(0b1011) == LADDER.level(3)
    assert LADDER.entry(LONGEST) == LADDER.level(LEVELS - 1)


def test_everything_is_declared_before_it_is_bound_to() -> None:
    known: set[str] = set()
    for item in [*LADDER.dead_items(), *LADDER.items()]:
        if isinstance(item, Binding):
            assert {item.source, item.destination} <= known
        else:
            known.add(item.name)


def test_every_exchange_that_a_queue_dead_letters_into_exists() -> None:
    items = [*LADDER.dead_items(), *LADDER.items()]
    exchanges = {item.name for item in items if isinstance(item, Exchange)}
    queues = [item for item in items if isinstance(item, Queue) and "x-dead-letter-exchange" in item.arguments]
    assert {queue.arguments["x-dead-letter-exchange"] for queue in queues} <= exchanges


def test_no_queue_can_lose_what_is_in_it() -> None:
    """The traps, each measured: at-most-once dead lettering, self-deletion, and a limit that drops at once on 3.10."""
    for queue in [item for item in [*LADDER.dead_items(), *LADDER.items()] if isinstance(item, Queue)]:
        arguments = queue.arguments
        assert arguments["x-queue-type"] == "quorum"
        assert "x-expires" not in arguments
        assert int(arguments.get("x-delivery-limit", 1)) > 0
        if "x-dead-letter-exchange" in arguments:
            assert arguments["x-dead-letter-strategy"] == "at-least-once"
        assert arguments["x-overflow"] == "reject-publish", "a limit set by a policy would drop the oldest"


def test_what_people_and_tools_take_out_and_put_back_has_a_limit_of_its_own() -> None:
    """RabbitMQ 4 drops after 20 returns where a quorum queue says nothing."""
    queues = {item.name: item for item in [*LADDER.dead_items(), *LADDER.items()] if isinstance(item, Queue)}
    assert int(queues[LADDER.dead].arguments["x-delivery-limit"]) >= 1_000_000
    assert queues[LADDER.due].arguments["x-delivery-limit"] == 100
