from __future__ import annotations

import json
from datetime import UTC, datetime
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.apis.encoding import dumps, header_value, identity, in_calendar, iso_z, whole_event
from tests.unit.apis.samples import event

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(_JSON)
def test_any_json_comes_back_as_it_was(value: object) -> None:
    assert json.loads(dumps(value)) == value  # type: ignore[arg-type]


def test_what_orjson_refuses_is_written_all_the_same() -> None:
    nested: object = 1
    for _ in range(300):
        nested = [nested]
    assert dumps({"n": 2**80}) == b'{"n":%d}' % 2**80
    assert json.loads(dumps(nested)) == nested  # type: ignore[arg-type]
    assert dumps("\ud800") == b'"\\ud800"'


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (1_795_219_294_531, "2026-11-21T00:01:34.531Z"),
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_times_end_with_z(ms: int, text: str) -> None:
    assert iso_z(ms) == text


@given(st.integers(min_value=-(2**60), max_value=2**60))
def test_every_time_in_the_calendar_can_be_written(ms: int) -> None:
    if in_calendar(ms):
        back = datetime.fromisoformat(iso_z(ms))
        assert round((back - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000) == ms
        assert len(iso_z(ms)) == 24


def test_the_calendar_ends_where_dates_get_five_digits() -> None:
    assert in_calendar(None)
    assert not in_calendar(253_402_300_800_000)
    assert not in_calendar(-62_135_596_800_000)


@given(st.text())
def test_a_header_value_is_visible_ascii_and_can_be_read_back(text: str) -> None:
    value = header_value(text)
    assert all("!" <= char <= "~" for char in value)
    assert unquote(value) == text


def test_a_lone_surrogate_becomes_visible_too() -> None:
    assert header_value("a\ud800") == "a\\ud800"


def test_header_values_are_encoded_as_cloudevents_says() -> None:
    assert header_value('Euro € 😀 "50%"') == "Euro%20%E2%82%AC%20%F0%9F%98%80%20%2250%25%22"


def test_the_source_of_a_cloudevent_is_part_of_its_identity() -> None:
    assert identity(event("7")) == "7"
    assert identity(event("7", source="/shop")) == "/shop#7"
    assert identity(event("b#7", source="/a")) != identity(event("7", source="/a#b"))


def test_a_whole_event_leaves_empty_fields_out() -> None:
    assert whole_event(event(data=None)) == {"id": "e1", "name": "user.created", "data": None}
    full = event(user={"id": 1}, ts=5, v="2", context=[1], source="/s", due_at=9)
    assert whole_event(full) == {
        "id": "e1", "name": "user.created", "data": {"a": 1},
        "user": {"id": 1}, "ts": 5, "v": "2", "context": [1], "source": "/s", "due_at": 9,
    }  # fmt: skip
