"""The small codecs: JSON as other languages read it, ULIDs, ISO times."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.devserver.wire import BadJson, dump, iso, parse, ulid


@pytest.mark.parametrize("raw", [b"", b"{", b"NaN", b'{"a":Infinity}', b"nope", b"[" * 100_000])
def test_what_is_no_json_is_refused(raw: bytes) -> None:
    with pytest.raises(BadJson):
        parse(raw)


def test_what_javascript_and_go_read_is_read() -> None:
    assert parse(b'{"a":1,"a":2}') == {"a": 2}
    assert parse(b'"\\ud800"') == "\ud800"
    assert parse(b"123456789012345678901234567890") > 1e29


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_everything_that_can_be_read_can_be_written(value: object) -> None:
    assert json.loads(dump(value)) == value


def test_lone_surrogates_and_large_integers_survive() -> None:
    for value in ("\ud800", 1 << 80):
        assert json.loads(dump(value)) == value


@given(st.integers(0, (1 << 48) - 1), st.binary(min_size=10, max_size=10))
def test_ulids_sort_by_time_then_entropy(now: int, entropy: bytes) -> None:
    made = ulid(now, entropy)
    assert len(made) == 26
    alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    number = 0
    for letter in made:
        number = number * 32 + alphabet.index(letter)
    assert number == (now << 80) | int.from_bytes(entropy, "big")


def test_ulids_differ() -> None:
    assert len({ulid(0) for _ in range(1000)}) == 1000


def test_iso_has_milliseconds_and_z() -> None:
    assert iso(1_796_083_200_000.9) == "2026-12-01T00:00:00.000Z"
    assert iso(0) == "1970-01-01T00:00:00.000Z"
