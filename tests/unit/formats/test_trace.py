from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.formats.trace import trace_of
from tests.unit.formats.test_given import PARENT

KEYS = st.from_regex(r"[a-z0-9][a-z0-9_*/@-]{0,20}", fullmatch=True)
VALUES = st.from_regex(r"[ -+\--<>-~]{0,40}[!-+\--<>-~]", fullmatch=True)
MEMBERS = st.lists(st.tuples(KEYS, VALUES), min_size=1, max_size=32, unique_by=lambda member: member[0])


def state_of(state: object) -> str | None:
    return trace_of(PARENT, state).get("tracestate")


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        ("a=1", "a=1"),
        ("a=1 ,\tb=2,, ", "a=1,b=2"),
        ("1a=x", "1a=x"),
        ("tenant@vendor=x y", "tenant@vendor=x y"),
        (b"a=1", "a=1"),
        (b"a=\xff", None),
        ("", None),
        (",", None),
        ("a", None),
        ("a=", None),
        ("A=1", None),
        ("a=1=2", None),
        ("a=1,a=2", None),
        ("a=1,b", None),
        ("a=1\r\nx-evil: 1", None),
        ("a=\N{LATIN SMALL LETTER E WITH ACUTE}", None),
        (",".join(f"k{n}=1" for n in range(33)), None),
        ("k" * 256 + "=1", "k" * 256 + "=1"),
        ("k" * 257 + "=1", None),
        ("k=" + "v" * 256, "k=" + "v" * 256),
        ("k=" + "v" * 257, None),
        (7, None),
    ],
)
def test_a_state_is_kept_where_the_grammar_allows_it(state: object, kept: str | None) -> None:
    assert state_of(state) == kept


def test_of_a_state_that_is_too_long_large_members_go_first_and_then_the_last_ones() -> None:
    large, small = "l=" + "x" * 200, [f"s{n}=" + "y" * 100 for n in range(6)]
    kept = state_of(",".join([small[0], large, *small[1:]]))
    assert kept == ",".join(small[:4])


@given(MEMBERS)
def test_what_is_kept_is_a_valid_state_of_the_first_members(members: list[tuple[str, str]]) -> None:
    given = [f"{key}={value.strip(' ')}" for key, value in members]
    kept = state_of(",".join(given))
    assert kept is not None
    assert len(kept) <= 512
    assert state_of(kept) == kept
    assert [member for member in given if member in kept.split(",")] == kept.split(",")


@given(st.one_of(st.text(), st.binary(), st.none(), st.integers()), st.one_of(st.text(), st.binary(), st.none()))
def test_nothing_gets_through_that_could_end_a_header(parent: object, state: object) -> None:
    for kept in (trace_of(parent, state), trace_of(PARENT, state)):
        assert set(kept) <= {"traceparent", "tracestate"}
        assert all(re.fullmatch(r"[ -~]{1,512}", value) for value in kept.values())


@given(st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", fullmatch=True))
def test_a_parent_of_the_right_form_is_kept_as_it_is_unless_its_version_or_an_id_is_reserved(parent: str) -> None:
    version, trace, span, _ = parent.split("-")
    reserved = version == "ff" or not int(trace, 16) or not int(span, 16)
    assert trace_of(parent, None) == ({} if reserved else {"traceparent": parent})
