"""Where keys fall on a cluster, and that every script is there."""

from __future__ import annotations

import hashlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from bridge.redis.scripts import SLOTS, TAGS, Names, script, slot_of, tags


@given(st.text(st.characters(codec="ascii", exclude_characters="{}"), max_size=40), st.binary(min_size=16, max_size=16))
def test_a_key_falls_into_the_slot_of_its_tag_whatever_its_bytes(namespace: str, key: bytes) -> None:
    names = Names(namespace)
    assert key_slot(names.name_of(key)) == names.slots[names.group_of(key)]


def test_the_groups_share_the_slots_evenly() -> None:
    assert sorted(slot_of(tag) * TAGS // SLOTS for tag in tags()) == list(range(TAGS))


def test_keys_share_the_groups_evenly() -> None:
    names = Names("eb")
    sizes = Counter(
        names.group_of(hashlib.blake2b(bytes([a, b]), digest_size=16).digest()) for a in range(100) for b in range(64)
    )
    assert len(sizes) == TAGS
    assert max(sizes.values()) < 2 * min(sizes.values())


@given(st.lists(st.binary(min_size=16, max_size=16), max_size=50))
def test_every_place_is_in_one_group_in_order(keys: list[bytes]) -> None:
    groups = Names("eb").grouped(keys)
    assert sorted(place for places in groups.values() for place in places) == list(range(len(keys)))
    assert all(places == sorted(places) for places in groups.values())


@pytest.mark.parametrize("name", ["claim", "renew", "commit", "release", "schedule", "cancel", "move", "look"])
def test_a_script_is_called_by_the_hash_of_its_text(name: str) -> None:
    assert script(name).sha == hashlib.sha1(script(name).text, usedforsecurity=False).hexdigest().encode()
    assert "local" not in repr(script(name))
