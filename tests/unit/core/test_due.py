from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.due import FARTHEST, UNITS, after_delay, after_milliseconds, after_seconds, at_time
from bridge.errors import PoisonError

BASE = 1_763_700_000_000
SOON = "2026-01-31T09:00:00Z"
SOON_MS = 1_769_850_000_000


@pytest.mark.parametrize(
    ("delay", "wait"),
    [
        ({"seconds": 30}, 30_000),
        ({"minutes": 5}, 300_000),
        ({"hours": 24}, 86_400_000),
        ({"days": 2}, 172_800_000),
        ({"minutes": 5, "seconds": 30}, 330_000),  # units add up, unlike on the v1 server
        ({"days": 1, "hours": 1, "minutes": 1, "seconds": 1}, 90_061_000),
        ({"minutes": 5, "seconds": -30}, 270_000),
        ({"seconds": 0.25}, 250),
        ({"seconds": 1.1}, 1_100),  # as written, not its binary neighbour
        ({"seconds": 0.0001}, 1),  # rounded up
        ({"minutes": 5, "seconds": None}, 300_000),
        ("PT5M", 300_000),
        ("P1DT2H", 93_600_000),
        (30, 30_000),
        (0.5, 500),
        (0, 0),
        (-5, 0),
        ("-PT5M", 0),
        ({"seconds": -1e300}, 0),
        (-(10**300), 0),
    ],
)
def test_every_relative_form_counts_from_the_base(delay: object, wait: int) -> None:
    assert after_delay(delay, BASE, "delay") == BASE + wait


@pytest.mark.parametrize("delay", [{"until": SOON}, {"until": SOON_MS}, SOON, {"until": SOON, "seconds": None}])
def test_until_is_absolute(delay: object) -> None:
    assert after_delay(delay, BASE, "delay") == SOON_MS


@pytest.mark.parametrize(
    ("delay", "reason"),
    [
        ({}, "event.delay is empty: give seconds, minutes, hours, days or until"),
        ({"seconds": None}, "event.delay is empty: give seconds, minutes, hours, days or until"),
        ({"weeks": 1}, "event.delay.weeks is no unit of delay: use seconds, minutes, hours, days or until"),
        ({"a\n": 1}, r"event.delay['a\n'] is no unit of delay: use seconds, minutes, hours, days or until"),
        ({"minutes": "5"}, "event.delay.minutes must be a number, not a string"),
        ({"minutes": True}, "event.delay.minutes must be a number, not a boolean"),
        ({"minutes": [5]}, "event.delay.minutes must be a number, not an array"),
        ({"minutes": math.nan}, "event.delay.minutes must be a finite number"),
        ({"minutes": math.inf}, "event.delay.minutes must be a finite number"),
        ({"minutes": 1e300}, "event.delay.minutes is too far ahead: it would end after the year 9999"),
        ({"days": 3_000_000}, "event.delay is too far ahead: it would end after the year 9999"),
        ({"until": SOON, "hours": 1}, "event.delay.until cannot be combined with hours"),
        ({"until": "2026-01-31T09:00:00"}, "event.delay.until needs a time zone"),
        ({"until": True}, "event.delay.until must be an ISO 8601 time or epoch milliseconds, not a boolean"),
        ({"until": 1_763_700_000}, "event.delay.until must be epoch milliseconds: this looks like seconds"),
        ({"until": 1_763_700_000_000_000}, "event.delay.until is too far ahead"),
        ({"until": math.nan}, "event.delay.until must be a finite number"),
        (True, "event.delay must be an object, a string or a number of seconds, not a boolean"),
        ([], "event.delay must be an object, a string or a number of seconds, not an array"),
        (None, "event.delay must be an object, a string or a number of seconds, not null"),
        ("", "event.delay must be an ISO 8601 duration such as"),
        ("5m", "event.delay must be an ISO 8601 duration such as"),
        ("30", "event.delay must be an ISO 8601 duration such as"),
        ("P1M", "event.delay must not use years or months"),
        ("2026-01-31", "event.delay needs a time of day and a time zone"),
        (math.inf, "event.delay must be a finite number"),
        (10**300, "event.delay is too far ahead"),
    ],
)
def test_what_is_no_delay_is_refused_by_field(delay: object, reason: str) -> None:
    with pytest.raises(PoisonError) as caught:
        after_delay(delay, BASE, "event.delay")
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize(
    ("value", "at"),
    [(SOON, SOON_MS), (SOON_MS, SOON_MS), (SOON_MS + 0.5, SOON_MS + 1), (0, 0), (-5, 0), ("1960-01-01T00:00:00Z", 0)],
)
def test_an_absolute_time_is_iso_8601_or_epoch_ms(value: object, at: int) -> None:
    assert at_time(value, "options.deliverAt") == at


def test_the_calendar_ends_with_the_year_9999() -> None:
    last = 253_402_300_799_999
    assert at_time("9999-12-31T23:59:59.999Z", "until") == last
    assert at_time(last, "until") == last
    assert after_milliseconds(last, 0, "x-delay") == last
    with pytest.raises(PoisonError, match="is too far ahead"):
        at_time(last + 1, "until")
    with pytest.raises(PoisonError, match="is too far ahead"):
        after_milliseconds(last, 1, "x-delay")


def test_numbers_before_1980_are_taken_for_seconds() -> None:
    assert at_time(315_532_800_000, "until") == 315_532_800_000
    for seconds in (315_532_799_999, 1):
        with pytest.raises(PoisonError, match="this looks like seconds"):
            at_time(seconds, "until")


@pytest.mark.parametrize(
    ("value", "wait"),
    [(5000, 5000), ("5000", 5000), ("+5000", 5000), (-5000, 0), ("-5000", 0), (0, 0), (2.5, 3), (2**32 - 1, 2**32 - 1)],
)
def test_the_delay_header_is_milliseconds(value: object, wait: int) -> None:
    assert after_milliseconds(value, BASE, "headers.x-delay") == BASE + wait


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "must be a whole number of milliseconds"),
        ("5s", "must be a whole number of milliseconds"),
        ("5000 ", "must be a whole number of milliseconds"),
        ("9" * 30, "must be a whole number of milliseconds"),
        ("9" * 18, "is too far ahead"),
        (True, "must be a number, not a boolean"),
        ([1], "must be a number, not an array"),
        (math.nan, "must be a finite number"),
    ],
)
def test_a_bad_delay_header_is_refused(value: object, problem: str) -> None:
    with pytest.raises(PoisonError, match=rf"^headers\.x-delay {problem}"):
        after_milliseconds(value, BASE, "headers.x-delay")


numbers = st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6)


@given(st.dictionaries(st.sampled_from(list(UNITS)), numbers, min_size=1))
def test_units_add_up_exactly_and_are_never_early(delay: dict[str, float]) -> None:
    exact = sum((Fraction(str(value)) * UNITS[unit] for unit, value in delay.items()), Fraction())
    due = after_delay(delay, BASE, "delay")
    assert 0 <= due - max(Fraction(BASE), BASE + exact) < 1


@given(st.integers(0, FARTHEST), numbers)
def test_seconds_are_never_early_and_less_than_a_millisecond_late(base: int, seconds: float) -> None:
    try:
        due = after_seconds(seconds, base, "deliverAfter")
    except PoisonError:
        assert base + Fraction(str(seconds)) * 1000 > FARTHEST
    else:
        assert 0 <= due - max(Fraction(base), base + Fraction(str(seconds)) * 1000) < 1


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.sampled_from([*UNITS, "until"]), inner),
    max_leaves=5,
)


READINGS: dict[str, Callable[[object], int]] = {
    "delay": lambda value: after_delay(value, BASE, "delay"),
    "seconds": lambda value: after_seconds(value, BASE, "delay"),
    "milliseconds": lambda value: after_milliseconds(value, BASE, "delay"),
    "time": lambda value: at_time(value, "until"),
}


@given(st.sampled_from(sorted(READINGS)), anything)
def test_any_value_gets_a_time_or_a_reason_and_nothing_else(reading: str, value: object) -> None:
    try:
        due = READINGS[reading](value)
    except PoisonError as error:
        due, reason = 0, str(error)
        assert reason.isascii(), reason
    assert 0 <= due <= FARTHEST
    assert isinstance(due, int)


@given(st.integers(0, 2**53), st.integers(0, FARTHEST))
def test_whole_numbers_count_like_the_same_number_with_a_fraction(number: int, base: int) -> None:
    readings: list[Callable[[float], int]] = [
        lambda value: at_time(value, "at"),
        lambda value: after_seconds(value, base, "wait"),
        lambda value: after_milliseconds(value, base, "wait"),
        lambda value: after_delay({"minutes": value, "days": 0.0}, base, "wait"),
    ]
    for reading in readings:
        assert result(reading, number) == result(reading, float(number))


def result(reading: Callable[[float], int], value: float) -> int | str:
    try:
        return reading(value)
    except PoisonError as error:
        return str(error)
