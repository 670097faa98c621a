from __future__ import annotations

from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.keys import key_of, scope_of, scope_of_replay

parts = st.text(max_size=5)


@pytest.mark.parametrize(("source", "identity"), [(None, b"-\xc3\xbc"), ("/s", b"2:/s\xc3\xbc"), ("", b"0:\xc3\xbc")])
def test_a_key_is_the_hash_of_scope_and_identity(source: str | None, identity: bytes) -> None:
    scope = scope_of("orders", "http://target")
    expected = blake2b(scope + identity, digest_size=16).digest()
    assert key_of(scope, "ü", source) == expected == key_of(scope, "ü", source)  # a stored key is found for ever


@given(*[st.tuples(parts, parts, parts, parts, st.none() | parts)] * 2)
def test_two_events_have_one_key_only_if_all_of_it_is_equal(
    one: tuple[str, str, str, str, str | None], other: tuple[str, str, str, str, str | None]
) -> None:
    keys = [key_of(scope_of(*all_of[:3]), all_of[3], all_of[4]) for all_of in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)


@given(parts, st.lists(parts, min_size=2, max_size=200, unique=True))
def test_each_return_from_the_dead_letters_has_keys_of_its_own(event_id: str, replays: list[str]) -> None:
    scope = scope_of("orders", "http://target")
    keys = {key_of(scope_of_replay(scope, replay), event_id) for replay in replays}
    assert len(keys | {key_of(scope, event_id)}) == len(replays) + 1
