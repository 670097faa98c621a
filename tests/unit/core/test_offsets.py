from __future__ import annotations

import base64
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.offsets import FARTHEST, LIMIT, MARK, pack, unpack


@given(low=st.integers(0, 2**62), places=st.frozensets(st.integers(0, 10_000), max_size=200))
def test_what_is_done_comes_back(low: int, places: frozenset[int]) -> None:
    done = frozenset(low + place for place in places)
    text = pack(low, done)
    assert len(text) <= LIMIT
    assert unpack(low, text) == done


def test_what_does_not_fit_is_done_again_and_never_skipped() -> None:
    dice = random.Random(1)
    done = frozenset(offset for offset in range(100, 60_000) if dice.random() < 0.5)
    text = pack(100, done)
    kept = unpack(100, text)
    assert len(text) <= LIMIT
    assert kept < done
    assert kept == {offset for offset in done if offset <= max(kept)}, "the nearest are kept"
    assert len(kept) > 5_000


def test_a_window_of_ten_thousand_offsets_fits_whatever_is_done_in_it() -> None:
    dice = random.Random(2)
    done = frozenset(offset for offset in range(10_000) if dice.random() < 0.5)
    assert unpack(0, pack(0, done)) == done


def test_nothing_done_is_nothing_said() -> None:
    assert pack(5, []) == ""
    assert pack(5, [1, 2, 5 + FARTHEST]) == ""
    assert unpack(5, "") == frozenset()


@pytest.mark.parametrize(
    "text",
    [
        "from another tool",
        MARK,
        MARK + "!!!",
        MARK + "AAAA",
        MARK + base64.b64encode(zlib.compress(b"x" * 10**7)).decode(),
        MARK + base64.b64encode(zlib.compress(b"xyz")[:-4]).decode(),
    ],
)
def test_what_is_not_ours_says_nothing(text: str) -> None:
    assert unpack(7, text) == frozenset()


@given(st.text())
def test_any_text_is_survived(text: str) -> None:
    assert not unpack(0, text)
    unpack(0, MARK + text)
