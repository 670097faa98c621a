from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.iso8601 import in_utc, parse_duration, parse_time
from bridge.errors import PoisonError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-01-31T09:00:00Z", 1_769_850_000_000),
        ("2026-01-31T09:00:00.5Z", 1_769_850_000_500),
        ("2026-01-31T09:00:00.531Z", 1_769_850_000_531),
        ("2026-01-31T09:00:00,531Z", 1_769_850_000_531),
        ("2026-01-31T09:00:00.531000Z", 1_769_850_000_531),
        ("2026-01-31T09:00:00.5310001Z", 1_769_850_000_532),  # parts of a millisecond are rounded up
        ("2026-01-31T09:00:00.5311Z", 1_769_850_000_532),
        ("2026-01-31T09:00Z", 1_769_850_000_000),
        ("2026-01-31t09:00:00z", 1_769_850_000_000),
        ("2026-01-31 09:00:00Z", 1_769_850_000_000),
        ("2026-01-31T11:00:00+02:00", 1_769_850_000_000),
        ("2026-01-31T11:00:00+0200", 1_769_850_000_000),
        ("2026-01-31T11:00:00+02", 1_769_850_000_000),
        ("2026-01-31T03:30:00-05:30", 1_769_850_000_000),
        ("2026-01-31T08:59:60Z", 1_769_850_000_000),  # a leap second
        ("1969-12-31T23:59:59Z", -1000),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
    ],
)
def test_times_with_a_zone_are_read(text: str, ms: int) -> None:
    assert parse_time(text, "ts") == ms


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "must be an ISO 8601 time"),
        ("tomorrow", "must be an ISO 8601 time"),
        ("2026-1-31T09:00:00Z", "must be an ISO 8601 time"),
        ("2026-01-31T09:00:00Z\n", "must be an ISO 8601 time"),
        ("\uff12026-01-31T09:00:00Z", "must be an ISO 8601 time"),  # a full-width digit
        ("2026-01-31T09:00:00+02:", "must be an ISO 8601 time"),
        ("2026-01-31T09:00:00." + "0" * 60 + "Z", "must be an ISO 8601 time"),
        ("2026-01-31", "needs a time of day and a time zone"),
        ("2026-01-31T09:00:00", "needs a time zone"),
        ("2026-02-30T09:00:00Z", "is a date that does not exist"),
        ("0000-01-01T00:00:00Z", "is a date that does not exist"),
        ("2026-01-31T24:00:00Z", "is a time of day or a zone that does not exist"),
        ("2026-01-31T09:60:00Z", "is a time of day or a zone that does not exist"),
        ("2026-01-31T09:00:61Z", "is a time of day or a zone that does not exist"),
        ("2026-01-31T09:00:00+24:00", "is a time of day or a zone that does not exist"),
    ],
)
def test_other_times_are_refused_by_field(text: str, problem: str) -> None:
    with pytest.raises(PoisonError, match=rf"^event\.timestamp {problem}"):
        parse_time(text, "event.timestamp")


@given(
    st.datetimes(timezones=st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))),
    st.sampled_from(["seconds", "milliseconds", "microseconds"]),
)
def test_whatever_isoformat_writes_is_read_exactly_and_never_early(moment: datetime, precision: str) -> None:
    text = moment.isoformat(timespec=precision)
    exact = (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)
    assert 0 <= parse_time(text, "ts") - Fraction(exact, 1000) < 1


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("PT5M", 300_000),
        ("P1DT2H", 93_600_000),
        ("P2W", 1_209_600_000),
        ("P1W2DT3H4M5S", 788_645_000),
        ("PT0.5S", 500),
        ("PT0,5S", 500),
        ("PT1.5H", 5_400_000),
        ("PT36H", 129_600_000),
        ("PT0S", 0),
        ("pt5m", 300_000),
        ("+PT5M", 300_000),
        ("-PT5M", -300_000),
        ("PT0.0001S", Fraction(1, 10)),
    ],
)
def test_durations_are_read_exactly(text: str, ms: Fraction) -> None:
    assert parse_duration(text, "delay") == ms


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "P1DT", "5M", "PT5", "P5S", "PT5M ", "PT1S1M", "PT-5M", "P" + "1" * 80]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(PoisonError, match=r"^delay must be an ISO 8601 duration such as"):
        parse_duration(text, "delay")


@pytest.mark.parametrize("text", ["P1Y", "P1M", "P1Y2M3DT4H", "P0.5M"])
def test_years_and_months_are_refused_with_the_cure(text: str) -> None:
    with pytest.raises(PoisonError, match=r"^delay must not use years or months, .*: use days or weeks$"):
        parse_duration(text, "delay")


digits = st.text("0123456789", min_size=2, max_size=2)
written = st.builds(
    "{}{}-{}-{}{}{}:{}:{}{}".format,
    st.sampled_from(["20", "00", "99", "2_"]),
    digits,
    st.sampled_from(["01", "02", "12", "13", "W1", "1"]),
    st.sampled_from(["01", "29", "31", "00", "1"]),
    st.sampled_from("Tt -"),
    st.sampled_from(["00", "23", "24"]),
    st.sampled_from(["00", "59", "60"]),
    st.sampled_from(["00", "59", "60", "1"]),
    st.sampled_from(["Z", "z", ".123Z", ",123Z", ".12Z", ".1234567Z", ".1+0Z", "+01Z", "", ".00\u0660Z"]),
)


@given(written)
def test_the_short_way_for_times_in_utc_reads_what_the_long_way_reads(text: str) -> None:
    short = in_utc(text)
    if short is not None:
        assert short == parse_time(f"{text[:-1]}+00:00", "at")


@given(st.datetimes(timezones=st.just(UTC)), st.sampled_from(["seconds", "milliseconds"]))
def test_times_as_programs_write_them_go_the_short_way(moment: datetime, precision: str) -> None:
    text = moment.isoformat(timespec=precision).replace("+00:00", "Z")
    step = timedelta(seconds=1) if precision == "seconds" else timedelta(milliseconds=1)
    assert in_utc(text) == (moment - EPOCH) // step * (step // timedelta(milliseconds=1))
