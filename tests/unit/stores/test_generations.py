from __future__ import annotations

import os

from bridge.stores.deadlines import Deadlines
from bridge.stores.generations import SHARDS, Generations, split

TTL, SPAN = 4_000, 1_000
A, B = b"a" * 16, b"b" * 16


def generations() -> Generations:
    return Generations(ttl=TTL, span=SPAN)


def test_a_key_is_known_in_whichever_generation_it_is() -> None:
    done = generations()
    done.begin(1_000, now=1_000)
    done.add(1_000, [A])
    done.begin(2_000, now=2_000)
    done.add(2_000, [B])
    assert done.known(A)
    assert done.known(B)
    assert not done.known(b"c" * 16)
    assert len(done) == 2


def test_a_generation_is_remembered_for_the_ttl_after_its_last_key() -> None:
    done = generations()
    done.begin(1_000, now=1_000)
    assert done.expired(1_000 + SPAN + TTL - 1) == []
    assert done.expired(1_000 + SPAN + TTL) == [1_000]


def test_a_generation_from_the_future_does_not_outlive_the_error_of_the_clock() -> None:
    done = generations()
    done.begin(1_000_000, now=2_000)
    assert done.expired(2_000 + SPAN + TTL) == [1_000_000]


def test_the_oldest_is_the_one_that_expires_first_and_never_the_only_one() -> None:
    done = generations()
    assert done.oldest() is None
    done.begin(9_000, now=2_000)  # the clock was ahead
    assert done.oldest() is None
    done.begin(2_500, now=2_500)
    assert done.oldest() == 9_000


def test_forgotten_keys_are_unknown_at_once_and_cleared_a_shard_at_a_time() -> None:
    done = generations()
    done.begin(1, now=1)
    done.add(1, [bytes([shard]) * 16 for shard in range(SHARDS)])
    assert done.size(1) == SHARDS
    steps = done.forget(1)
    assert not done.known(bytes(16))
    assert len(done) == 0
    assert sum(1 for _ in steps) == SHARDS


def test_cleared_sets_are_used_again() -> None:
    done = generations()
    for born in range(40):  # many more than the pool holds
        done.begin(born, now=born)
        done.add(born, [A])
        assert done.known(A)
        list(done.forget(born))
        assert not done.known(A)


def test_more_generations_than_the_pool_holds_are_no_problem() -> None:
    done = generations()
    keys = [os.urandom(16) for _ in range(40)]
    for born, key in enumerate(keys):
        done.begin(born, now=born)
        done.add(born, [key])
    assert all(done.known(key) for key in keys)


def test_a_block_is_split_into_its_keys() -> None:
    assert split(A + B) == [A, B]
    assert split(b"") == []


def test_deadlines_hand_out_a_key_once_its_bucket_is_past() -> None:
    deadlines = Deadlines(step=100)
    deadlines.add(A, 250)
    deadlines.add(B, 1_000)
    assert list(deadlines.pop(299)) == []
    assert list(deadlines.pop(300)) == [A]
    assert list(deadlines.pop(5_000)) == [B]
    assert list(deadlines.pop(9_000)) == []
