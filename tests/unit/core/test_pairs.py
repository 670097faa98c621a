"""Headers whose names may repeat."""

from __future__ import annotations

from bridge.core.pairs import Pairs, mapping_of, pairs_of

TWICE = [("a", b"1"), ("b", None), ("a", b"2")]


def test_of_a_name_that_repeats_the_last_is_found_and_all_are_kept() -> None:
    headers = Pairs(TWICE)
    assert (headers["a"], headers.get("b"), headers.get("c"), list(headers), len(headers)) == (
        b"2",
        None,
        None,
        ["a", "b"],
        2,
    )
    assert list(pairs_of(headers)) == TWICE


def test_what_repeats_is_told_from_what_does_not() -> None:
    assert Pairs(TWICE) == Pairs(TWICE)
    assert Pairs(TWICE) != Pairs(TWICE[1:])
    assert Pairs(TWICE) == {"a": b"2", "b": None}
    assert Pairs(TWICE) != 7
    assert repr(Pairs(TWICE[:1])) == "Pairs([('a', b'1')])"


def test_a_dict_is_enough_where_no_name_repeats() -> None:
    assert type(mapping_of(TWICE[:2])) is dict
    assert type(mapping_of(TWICE)) is Pairs
    assert list(pairs_of(mapping_of(TWICE[:2]))) == TWICE[:2]
