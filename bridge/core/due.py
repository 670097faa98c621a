"""
When an event is due: every spelling of a delay becomes one absolute time, in epoch ms.

A relative delay counts from `base`, the moment the event was published as far as anyone can tell. Whatever is negative
or past means now. Parts of a millisecond are rounded up, so that no event is early. Each function takes the `field` to
name in its PoisonError.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from math import ceil, isfinite

from bridge.core.iso8601 import (
    DAY,
    DURATION_EXAMPLE,
    HOUR,
    MINUTE,
    SECOND,
    TIME_EXAMPLE,
    parse_duration,
    parse_time,
)
from bridge.core.kinds import kind_of, place
from bridge.errors import PoisonError

FARTHEST = 253_402_300_799_999
"""The last millisecond of the year 9999: nothing later can be written as a date."""

NOT_SECONDS = 315_532_800_000
"""1980-01-01 in epoch ms. A smaller positive number is taken for seconds and refused, as Inngest does."""

UNITS: Mapping[str, int] = {"seconds": SECOND, "minutes": MINUTE, "hours": HOUR, "days": DAY}
"""The relative units of a delay object, in ms. Several of them add up."""

_KNOWN = f"{', '.join(UNITS)} or until"
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")


def after_delay(delay: object, base: int, field: str) -> int:
    """
    Read `delay` in any of its forms.

    A number is seconds; text is an ISO 8601 duration, or a time; an object has relative units, which add up
    (`{"minutes": 5, "seconds": 30}`), or `until` with a time. Raises PoisonError.
    """
    if isinstance(delay, dict):
        return _after_units(delay, base, field)
    if isinstance(delay, str):
        return _after_text(delay, base, field)
    if isinstance(delay, bool) or not isinstance(delay, int | float):
        raise PoisonError(field, f"must be an object, a string or a number of seconds, not {kind_of(delay)}")
    return after_seconds(delay, base, field)


def after_seconds(value: object, base: int, field: str) -> int:
    """Read a number of seconds from `base`, fractions allowed. Raises PoisonError."""
    return _after(_exact(value, SECOND, field), base, field)


def after_milliseconds(value: object, base: int, field: str) -> int:
    """
    Read a number of milliseconds from `base`, or its digits as text: the `x-delay` header.

    The delayed-message plugin hands on the negated header of what it has held already; negative means now. Raises
    PoisonError.
    """
    if isinstance(value, str):
        if not _WHOLE.fullmatch(value):
            raise PoisonError(field, "must be a whole number of milliseconds")
        value = int(value)
    return _after(_exact(value, 1, field), base, field)


def at_time(value: object, field: str) -> int:
    """Read an absolute time: ISO 8601 text with its zone, or a number of epoch ms. Raises PoisonError."""
    if type(value) is int and NOT_SECONDS <= value <= FARTHEST:  # as nearly all are
        return value
    if isinstance(value, str):
        return _within(max(0, parse_time(value, field)), field)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PoisonError(field, f"must be an ISO 8601 time or epoch milliseconds, not {kind_of(value)}")
    at = ceil(_exact(value, 1, field))
    if 0 < at < NOT_SECONDS:
        raise PoisonError(field, "must be epoch milliseconds: this looks like seconds, multiply by 1000")
    return _within(max(0, at), field)


def _after_units(delay: Mapping[str, object], base: int, field: str) -> int:
    given = {unit: value for unit, value in delay.items() if value is not None}
    for unit in given:
        if unit not in UNITS and unit != "until":
            raise PoisonError(place(field, unit), f"is no unit of delay: use {_KNOWN}")
    if not given:
        raise PoisonError(field, f"is empty: give {_KNOWN}")
    until = given.pop("until", None)
    if until is None:
        waits = [_exact(value, UNITS[unit], place(field, unit)) for unit, value in given.items()]
        return _after(sum(waits), base, field)
    if given:
        raise PoisonError(place(field, "until"), f"cannot be combined with {', '.join(sorted(given))}")
    return at_time(until, place(field, "until"))


def _after_text(delay: str, base: int, field: str) -> int:
    if delay.lstrip("+-")[:1] in ("P", "p"):
        return _after(parse_duration(delay, field), base, field)
    if not delay[:1].isdigit() or "-" not in delay:
        raise PoisonError(
            field, f"must be an ISO 8601 duration such as {DURATION_EXAMPLE} or a time such as {TIME_EXAMPLE}"
        )
    return at_time(delay, field)


def _exact(value: object, unit: int, field: str) -> Fraction | int:
    """Turn a JSON number into exact ms; what lies absurdly far back is cut, since it means now in any case."""
    if type(value) is int and 0 <= value <= FARTHEST:  # as nearly all are
        return value * unit
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PoisonError(field, f"must be a number, not {kind_of(value)}")
    if isinstance(value, float) and not isfinite(value):
        raise PoisonError(field, "must be a finite number")
    if value > FARTHEST:
        raise PoisonError(field, "is too far ahead: it would end after the year 9999")
    written = repr(value) if isinstance(value, float) else value  # 0.1 means a tenth, not its binary neighbour
    return max(Fraction(written) * unit, Fraction(-FARTHEST))


def _after(wait: Fraction | int, base: int, field: str) -> int:
    return _within(base + max(0, ceil(wait)), field)


def _within(at: int, field: str) -> int:
    if at > FARTHEST:
        raise PoisonError(field, "is too far ahead: it would end after the year 9999")
    return at
