"""
What every key store has to do, whatever it keeps its keys in.

A binding subclasses `KeyStoreContract` and provides the fixture `store`, opened, whose clock is the fixture `clock` and
whose ttl is TTL.
"""

from __future__ import annotations

import asyncio

import pytest

from bridge.model import Answer, Ask, Claim, Schedule, Stage
from bridge.ports import KeyStore

TTL = 3_600.0
LEASE = 40.0
A, B, C = (bytes([letter]) * 16 for letter in b"abc")


class FakeClock:
    """Epoch ms that stand still until they are moved."""

    def __init__(self) -> None:
        self.now = 1_763_690_000_000

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += round(seconds * 1000)


async def ask(store: KeyStore, *keys: bytes, owner: str = "me") -> list[Answer]:
    """Claim at intake."""
    return [claim.answer for claim in await store.claim([Ask(key) for key in keys], owner=owner, lease=LEASE)]


async def ask_due(store: KeyStore, key: bytes, gen: int, owner: str = "me") -> Answer:
    """Claim for a copy from the delay line."""
    [claim] = await store.claim([Ask(key, Stage.DUE, gen)], owner=owner, lease=LEASE)
    return claim.answer


async def put_aside(store: KeyStore, clock: FakeClock, key: bytes, gen: int = 1, delay: float = 600.0) -> None:
    """Claim and schedule."""
    assert await ask(store, key) == [Answer.GRANTED]
    await store.schedule([Schedule(key, gen, clock.now + round(delay * 1000))], owner="me", ttl=TTL)


class KeyStoreContract:
    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock()

    async def test_answers_come_in_the_order_of_the_asks(self, store: KeyStore, clock: FakeClock) -> None:
        await put_aside(store, clock, C)
        await store.commit([B], ttl=TTL)
        assert await ask(store, A, B, C, A) == [Answer.GRANTED, Answer.DONE, Answer.SCHEDULED, Answer.BUSY]

    async def test_nothing_asked_is_nothing_answered(self, store: KeyStore) -> None:
        assert await store.claim([], owner="me", lease=LEASE) == []
        assert await store.renew([], owner="me", lease=LEASE) == []
        await store.commit([], ttl=TTL)
        await store.release([], owner="me")
        await store.schedule([], owner="me", ttl=TTL)

    async def test_a_claimed_key_is_busy_for_the_rest_of_the_lease(self, store: KeyStore, clock: FakeClock) -> None:
        await ask(store, A)
        clock.advance(10)
        assert await store.claim([Ask(A)], owner="you", lease=LEASE) == [Claim(Answer.BUSY, LEASE - 10)]
        clock.advance(LEASE - 10)
        assert await ask(store, A, owner="you") == [Answer.GRANTED]

    async def test_a_claim_shuts_out_its_own_owner_too(self, store: KeyStore) -> None:
        await ask(store, A)
        assert await ask(store, A) == [Answer.BUSY]

    async def test_a_committed_key_is_done_for_the_ttl_and_not_for_ever(
        self, store: KeyStore, clock: FakeClock
    ) -> None:
        await ask(store, A)
        await store.commit([A], ttl=TTL)
        clock.advance(TTL - 1)
        assert await ask(store, A) == [Answer.DONE]
        clock.advance(TTL / 2)
        await self.settle_down(store)
        assert await ask(store, A) == [Answer.GRANTED]

    async def test_done_needs_no_claim(self, store: KeyStore) -> None:
        await store.commit([A], ttl=TTL)
        await ask(store, B, owner="you")
        await store.commit([B], ttl=TTL)
        assert await ask(store, A, B) == [Answer.DONE, Answer.DONE]
        assert await ask_due(store, A, gen=9) is Answer.DONE

    async def test_a_released_key_is_free(self, store: KeyStore) -> None:
        await ask(store, A)
        await store.release([A], owner="me")
        assert await ask(store, A, owner="you") == [Answer.GRANTED]

    async def test_nobody_releases_the_claim_of_another(self, store: KeyStore, clock: FakeClock) -> None:
        await ask(store, A)
        await store.release([A], owner="you")
        assert await ask(store, A, owner="you") == [Answer.BUSY]
        clock.advance(LEASE)
        await ask(store, A, owner="you")
        await store.release([A], owner="me")  # who has lost it
        assert await ask(store, A) == [Answer.BUSY]

    async def test_renew_prolongs_own_claims_and_tells_which_are_lost(self, store: KeyStore, clock: FakeClock) -> None:
        await ask(store, A, B)
        await ask(store, C, owner="you")
        await store.commit([B], ttl=TTL)
        clock.advance(LEASE - 1)
        assert await store.renew([A, B, C], owner="me", lease=LEASE) == [True, False, False]
        clock.advance(LEASE - 1)
        assert await ask(store, A, C) == [Answer.BUSY, Answer.GRANTED]
        clock.advance(LEASE)
        assert await store.renew([A], owner="me", lease=LEASE) == [False]

    async def test_a_scheduled_key_is_a_duplicate_at_intake_and_free_to_its_own_copy(
        self, store: KeyStore, clock: FakeClock
    ) -> None:
        await put_aside(store, clock, A, gen=1)
        clock.advance(600)
        assert await ask(store, A) == [Answer.SCHEDULED]
        assert await ask_due(store, A, gen=1) is Answer.GRANTED
        assert await ask(store, A) == [Answer.BUSY]
        await store.commit([A], ttl=TTL)
        assert await ask(store, A) == [Answer.DONE]
        assert await ask_due(store, A, gen=1) is Answer.DONE

    async def test_a_copy_older_than_the_last_schedule_is_stale(self, store: KeyStore, clock: FakeClock) -> None:
        await put_aside(store, clock, A, gen=2)
        assert await ask_due(store, A, gen=1) is Answer.CANCELLED
        assert await ask_due(store, A, gen=3) is Answer.GRANTED

    async def test_the_claim_of_a_scheduled_copy_ends_where_it_came_from(
        self, store: KeyStore, clock: FakeClock
    ) -> None:
        await put_aside(store, clock, A, gen=1)
        assert await ask_due(store, A, gen=1) is Answer.GRANTED
        await store.release([A], owner="me")
        assert await ask(store, A) == [Answer.SCHEDULED]
        assert await ask_due(store, A, gen=1) is Answer.GRANTED
        clock.advance(LEASE)
        assert await ask(store, A) == [Answer.SCHEDULED]

    async def test_a_scheduled_record_outlives_its_copy_by_the_ttl(self, store: KeyStore, clock: FakeClock) -> None:
        await put_aside(store, clock, A, delay=10 * TTL)
        clock.advance(11 * TTL - 1)
        assert await ask(store, A) == [Answer.SCHEDULED]
        clock.advance(1)
        assert await ask(store, A) == [Answer.GRANTED]

    async def test_a_lost_claim_schedules_nothing(self, store: KeyStore, clock: FakeClock) -> None:
        await ask(store, A)
        clock.advance(LEASE)
        await ask(store, A, owner="you")
        await store.schedule([Schedule(A, 1, clock.now), Schedule(B, 1, clock.now)], owner="me", ttl=TTL)
        assert await ask(store, A, B) == [Answer.BUSY, Answer.GRANTED]

    async def test_a_copy_without_a_record_goes_on(self, store: KeyStore) -> None:
        assert await ask_due(store, A, gen=5) is Answer.GRANTED

    async def test_cancel_stops_the_copy_and_further_duplicates(self, store: KeyStore, clock: FakeClock) -> None:
        await put_aside(store, clock, A, gen=1)
        assert await store.cancel(A, ttl=TTL)
        assert await ask_due(store, A, gen=1) is Answer.CANCELLED
        assert await ask(store, A) == [Answer.CANCELLED]
        assert await ask_due(store, A, gen=2) is Answer.GRANTED

    async def test_a_cancelled_key_is_forgotten_a_ttl_after_it_was_due(self, store: KeyStore, clock: FakeClock) -> None:
        await put_aside(store, clock, A, delay=600)
        await store.cancel(A, ttl=TTL)
        clock.advance(600 + TTL - 1)
        assert await ask(store, A) == [Answer.CANCELLED]
        clock.advance(1)
        assert await ask(store, A) == [Answer.GRANTED]

    async def test_only_what_is_scheduled_can_be_cancelled(self, store: KeyStore, clock: FakeClock) -> None:
        assert not await store.cancel(A, ttl=TTL)
        await ask(store, A)
        assert not await store.cancel(A, ttl=TTL)
        await store.commit([A], ttl=TTL)
        assert not await store.cancel(A, ttl=TTL)
        await put_aside(store, clock, B, gen=1)
        await ask_due(store, B, gen=1)
        assert not await store.cancel(B, ttl=TTL)
        await store.release([B], owner="me")
        assert await store.cancel(B, ttl=TTL)
        assert not await store.cancel(B, ttl=TTL)

    async def test_concurrent_claims_have_one_winner(self, store: KeyStore) -> None:
        answers = await asyncio.gather(*(ask(store, A, owner=f"batch {number}") for number in range(20)))
        assert sorted(answer.value for [answer] in answers) == ["busy"] * 19 + ["granted"]

    async def test_concurrent_commits_all_count(self, store: KeyStore) -> None:
        keys = [number.to_bytes(16, "big") for number in range(2_000)]
        await asyncio.gather(*(store.commit(keys[at : at + 40], ttl=TTL) for at in range(0, len(keys), 40)))
        assert set(await ask(store, *keys)) == {Answer.DONE}

    async def test_close_may_be_called_twice(self, store: KeyStore) -> None:
        await store.close()
        await store.close()

    async def settle_down(self, store: KeyStore) -> None:
        """Let the store do what it does now and then; a binding says how."""
