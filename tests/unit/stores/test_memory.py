from __future__ import annotations

import logging

import pytest

from bridge.model import Answer, Ask, Schedule, Stage
from bridge.stores.memory import MemoryStore
from tests.contract.key_store import TTL, FakeClock, ask


def numbered(count: int, start: int = 0) -> list[bytes]:
    return [number.to_bytes(16, "big") for number in range(start, start + count)]


async def test_beyond_max_keys_the_oldest_done_keys_go_and_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore(max_keys=10, clock=FakeClock())
    keys = numbered(12)
    with caplog.at_level(logging.WARNING):
        for key in keys:
            await store.commit([key], ttl=TTL)
    assert store.stats().keys == 10
    assert store.stats().evicted == 2
    assert [record.message for record in caplog.records] == ["store_keys_evicted"]
    assert await ask(store, *keys) == [Answer.GRANTED] * 2 + [Answer.DONE] * 10


async def test_claims_are_never_evicted() -> None:
    store = MemoryStore(max_keys=1, clock=FakeClock())
    claimed = numbered(5)
    await ask(store, *claimed)
    await store.commit(numbered(5, start=100), ttl=TTL)
    assert await ask(store, *claimed) == [Answer.BUSY] * 5


async def test_a_key_committed_again_counts_as_young() -> None:
    store = MemoryStore(max_keys=2, clock=FakeClock())
    old, young, new = numbered(3)
    for key in (old, young, old, new):
        await store.commit([key], ttl=TTL)
    assert await ask(store, old, young, new) == [Answer.DONE, Answer.GRANTED, Answer.DONE]


async def test_beyond_max_keys_an_event_is_held_without_a_record() -> None:
    clock = FakeClock()
    store = MemoryStore(max_keys=2, clock=clock)
    keys = numbered(3)
    await ask(store, *keys)
    await store.schedule([Schedule(key, 1, clock.now + 1_000) for key in keys], owner="me", ttl=TTL)
    assert store.stats().scheduled == 2
    assert store.stats().unrecorded == 1
    assert await ask(store, *keys) == [Answer.SCHEDULED, Answer.SCHEDULED, Answer.GRANTED]


async def test_what_has_expired_takes_no_memory() -> None:
    clock = FakeClock()
    store = MemoryStore(clock=clock)
    done, scheduled, claimed = numbered(10), numbered(10, start=100), numbered(10, start=200)
    await store.commit(done, ttl=TTL)
    await ask(store, *scheduled)
    await store.schedule([Schedule(key, 1, clock.now) for key in scheduled], owner="me", ttl=TTL)
    await ask(store, *claimed)
    clock.advance(2 * TTL)
    await ask(store, b"x" * 16)
    assert (store.stats().keys, store.stats().scheduled, store.stats().claims) == (0, 0, 1)


async def test_the_end_of_a_lease_brings_a_scheduled_record_back_though_nobody_asks() -> None:
    clock = FakeClock()
    store = MemoryStore(clock=clock)
    [key] = numbered(1)
    await ask(store, key)
    await store.schedule([Schedule(key, 1, clock.now)], owner="me", ttl=TTL)
    await store.claim([Ask(key, Stage.DUE, 1)], owner="me", lease=40)
    clock.advance(60)
    await ask(store, b"x" * 16)
    assert (store.stats().scheduled, store.stats().claims) == (1, 1)
    assert await ask(store, key) == [Answer.SCHEDULED]
