"""
ISO 8601 times and durations, read exactly: no float, no time zone guessed, nothing rounded down.

Both functions take the `field` to name in their PoisonError.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from fractions import Fraction

from bridge.errors import PoisonError

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_LONGEST = 64  # characters; no time or duration anyone means is longer, and the patterns see bounded input

_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]+))?)?"
    r"(?P<zone>[Zz]|([+-])([0-9]{2})(?::?([0-9]{2}))?)?)?"
)
_NUMBER = r"([0-9]+(?:[.,][0-9]+)?)"
_DURATION = re.compile(
    rf"(?P<sign>[+-]?)P(?=[0-9]|T[0-9])(?:{_NUMBER}Y)?(?:{_NUMBER}M)?(?:{_NUMBER}W)?(?:{_NUMBER}D)?"
    rf"(?:T(?=[0-9])(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?",
    re.IGNORECASE,
)
_UNITS = (7 * DAY, DAY, HOUR, MINUTE, SECOND)

TIME_EXAMPLE = '"2026-01-31T09:00:00Z"'
DURATION_EXAMPLE = '"PT5M"'


def parse_time(text: str, field: str) -> int:
    """
    Turn a date and time with its zone (RFC 3339, and ISO 8601 with `,` or without seconds) into epoch ms.

    Parts of a millisecond are rounded up. Raises PoisonError, also where the time zone is missing: a guess would
    deliver hours early for somebody.
    """
    if (usual := in_utc(text)) is not None:
        return usual
    found = _TIME.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        raise PoisonError(field, f"must be an ISO 8601 time such as {TIME_EXAMPLE}")
    day, hour, minute, second, fraction, zone, sign, off_hour, off_minute = found.groups()
    if hour is None:
        raise PoisonError(field, f"needs a time of day and a time zone, such as {TIME_EXAMPLE}")
    if zone is None:
        raise PoisonError(field, "needs a time zone: end it with Z or with an offset such as +02:00")
    of_day = _clock(hour, minute, second or "00", field)
    offset = _clock(off_hour, off_minute or "00", "00", field) if sign else 0
    return _day(day, field) + of_day + _ceil_ms(fraction) - (-offset if sign == "-" else offset)


def parse_duration(text: str, field: str) -> Fraction:
    """
    Turn a duration such as "PT5M", "P1DT2H" or "PT0.5S" into ms, exactly; a leading "-" makes it negative.

    Raises PoisonError, also for years and months: their length depends on the day they are counted from.
    """
    found = _DURATION.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        raise PoisonError(field, f"must be an ISO 8601 duration such as {DURATION_EXAMPLE}")
    sign, years, months, *parts = found.groups()
    if years or months:
        raise PoisonError(field, "must not use years or months, whose length varies: use days or weeks")
    total = sum(
        (Fraction(part.replace(",", ".")) * unit for part, unit in zip(parts, _UNITS, strict=True) if part), Fraction()
    )
    return -total if sign == "-" else total


def in_utc(text: str) -> int | None:
    """
    Read "2026-01-31T09:00:00Z" and "2026-01-31T09:00:00.123Z", as programs write it, by the standard library.

    None for all other text, and for what is wrong: `fromisoformat` reads more forms than the two, which these tests
    leave out.
    """
    if len(text) not in (20, 24) or text[4:17:3] != "--T::" or text[-1] != "Z" or text[19] not in "Z.":
        return None
    try:
        since = datetime.fromisoformat(text) - _EPOCH
    except ValueError:
        return None
    return since.days * DAY + since.seconds * SECOND + since.microseconds // 1000


def _day(text: str, field: str) -> int:
    try:
        return (date.fromisoformat(text).toordinal() - _EPOCH_DAY) * DAY
    except ValueError:
        raise PoisonError(field, "is a date that does not exist") from None


def _clock(hour: str, minute: str, second: str, field: str) -> int:
    if hour > "23" or minute > "59" or second > "60":  # 60: a leap second, read as the first of the next minute
        raise PoisonError(field, "is a time of day or a zone that does not exist")
    return int(hour) * HOUR + int(minute) * MINUTE + int(second) * SECOND


def _ceil_ms(fraction: str | None) -> int:
    if not fraction:
        return 0
    return int(fraction[:3].ljust(3, "0")) + bool(fraction[3:].strip("0"))
