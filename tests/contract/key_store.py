"""
What every key store has to do, whatever it keeps its keys in.

A binding subclasses `KeyStoreContract` and provides the fixture `store`, opened, whose clock is the fixture `clock` and
whose ttl is TTL.
"""

from __future__ import annotations

import asyncio

import pytest

from bridge.model import Answer, Ask, Claim, Move, Schedule, Stage, Standing, State
from bridge.ports import KeyStore

TTL = 3_600.0
LEASE = 40.0
A, B, C, D, E = (bytes([letter]) * 16 for letter in b"abcde")
NEVER = 1 << 62  # later than any event is due


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
    """Claim for a copy from the delay line whose time has come, whatever the record says."""
    [claim] = await store.claim([Ask(key, Stage.DUE, gen, NEVER)], owner=owner, lease=LEASE)
    return claim.answer


async def ask_copy(store: KeyStore, key: bytes, alarm: int, gen: int = 1) -> Claim:
    """Claim for a copy that was to ring at `alarm`."""
    [claim] = await store.claim([Ask(key, Stage.DUE, gen, alarm)], owner="me", lease=LEASE)
    return claim


async def ask_anew(store: KeyStore, key: bytes, due_at: int) -> Claim:
    """Claim for a published copy that replaces an earlier one."""
    [claim] = await store.claim([Ask(key, due_at=due_at, replaces=True)], owner="me", lease=LEASE)
    return claim


async def cancel(store: KeyStore, *keys: bytes) -> list[State]:
    """Cancel; how it stood before."""
    return [standing.state for standing in await store.cancel(keys, ttl=TTL)]


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
        assert await cancel(store, A) == [State.SCHEDULED]
        assert await ask_due(store, A, gen=1) is Answer.CANCELLED
        assert await ask(store, A) == [Answer.CANCELLED]
        assert await ask_due(store, A, gen=2) is Answer.CANCELLED

    async def test_a_cancelled_key_is_forgotten_a_ttl_after_it_was_due(self, store: KeyStore, clock: FakeClock) -> None:
        await put_aside(store, clock, A, delay=600)
        await cancel(store, A)
        clock.advance(600 + TTL - 1)
        assert await ask(store, A) == [Answer.CANCELLED]
        clock.advance(1)
        assert await ask(store, A) == [Answer.GRANTED]

    async def test_only_what_is_scheduled_can_be_cancelled(self, store: KeyStore, clock: FakeClock) -> None:
        await put_aside(store, clock, A)
        await put_aside(store, clock, B)
        await ask_due(store, B, gen=1)
        await ask(store, C)
        await store.commit([D], ttl=TTL)
        states = [State.SCHEDULED, State.CANCELLED, State.CLAIMED, State.CLAIMED, State.DONE, State.UNKNOWN]
        assert await cancel(store, A, A, B, C, D, E) == states
        await store.release([B], owner="me")
        assert await cancel(store, B, B) == [State.SCHEDULED, State.CANCELLED]
        assert await store.renew([C], owner="me", lease=LEASE) == [True]
        assert await ask(store, D, E) == [Answer.DONE, Answer.GRANTED]

    async def test_a_copy_of_a_moved_event_is_told_to_wait_again(self, store: KeyStore, clock: FakeClock) -> None:
        await put_aside(store, clock, A, delay=600)
        due_at, later = clock.now + 600_000, clock.now + 900_000
        [before] = await store.move([Move(A, later)], ttl=TTL)
        assert before == Standing(State.SCHEDULED, 1, due_at, due_at + round(TTL * 1000))
        clock.advance(600)
        assert await ask_copy(store, A, due_at) == Claim(Answer.GRANTED, due_at=later)
        await store.schedule([Schedule(A, 1, later)], owner="me", ttl=TTL)
        clock.advance(300)
        assert await ask_copy(store, A, later) == Claim(Answer.GRANTED)

    async def test_a_moved_event_whose_time_has_come_goes_on(self, store: KeyStore, clock: FakeClock) -> None:
        await put_aside(store, clock, A, delay=600)
        due_at = clock.now + 600_000
        await store.move([Move(A, due_at + 1_000)], ttl=TTL)
        clock.advance(601)
        assert await ask_copy(store, A, due_at) == Claim(Answer.GRANTED)

    async def test_a_retry_of_a_moved_event_waits_for_its_own_time(self, store: KeyStore, clock: FakeClock) -> None:
        await put_aside(store, clock, A, delay=600)
        await store.move([Move(A, clock.now + 700_000)], ttl=TTL)
        assert await ask_copy(store, A, clock.now + 800_000) == Claim(Answer.GRANTED)

    async def test_only_what_is_scheduled_for_earlier_can_be_moved(self, store: KeyStore, clock: FakeClock) -> None:
        for key in (A, B, C):
            await put_aside(store, clock, key, delay=600)
        await ask_due(store, B, gen=1)
        await cancel(store, C)
        await store.commit([D], ttl=TTL)
        due_at = clock.now + 600_000
        moves = [Move(A, due_at - 1), Move(A, due_at), *(Move(key, due_at + 1) for key in (B, C, D, E))]
        assert [each.state for each in await store.move(moves, ttl=TTL)] == [
            State.SCHEDULED,
            State.SCHEDULED,
            State.CLAIMED,
            State.CANCELLED,
            State.DONE,
            State.UNKNOWN,
        ]
        assert [each.due_at for each in await store.look([A, B, C, D, E])] == [due_at, due_at, None, None, None]

    async def test_two_moves_of_one_key_in_one_call_are_two_moves(self, store: KeyStore, clock: FakeClock) -> None:
        await put_aside(store, clock, A, delay=600)
        due_at = clock.now + 600_000
        before = await store.move([Move(A, due_at + 1), Move(A, due_at + 2)], ttl=TTL)
        assert [each.due_at for each in before] == [due_at, due_at + 1]
        assert (await store.look([A]))[0].due_at == due_at + 2

    async def test_a_moved_record_outlives_its_new_time_by_the_ttl(self, store: KeyStore, clock: FakeClock) -> None:
        await put_aside(store, clock, A, delay=600)
        await store.move([Move(A, clock.now + 900_000)], ttl=TTL)
        clock.advance(900 + TTL - 1)
        assert await ask(store, A) == [Answer.SCHEDULED]
        clock.advance(1)
        assert await ask(store, A) == [Answer.GRANTED]

    async def test_a_copy_that_replaces_takes_the_key_over(self, store: KeyStore, clock: FakeClock) -> None:
        await put_aside(store, clock, A, delay=600)
        old, new = clock.now + 600_000, clock.now + 60_000
        assert await ask_anew(store, A, old) == Claim(Answer.SCHEDULED)
        assert await ask_anew(store, A, new) == Claim(Answer.GRANTED, gen=2)
        assert await ask_copy(store, A, old) == Claim(Answer.BUSY, LEASE)
        await store.schedule([Schedule(A, 2, new)], owner="me", ttl=TTL)
        assert await ask_copy(store, A, old) == Claim(Answer.CANCELLED)
        assert await ask_copy(store, A, new, gen=2) == Claim(Answer.GRANTED)

    async def test_replacing_grants_nothing_that_is_done_or_cancelled(self, store: KeyStore, clock: FakeClock) -> None:
        await put_aside(store, clock, A)
        await cancel(store, A)
        await store.commit([B], ttl=TTL)
        assert await ask_anew(store, A, clock.now) == Claim(Answer.CANCELLED)
        assert await ask_anew(store, B, clock.now) == Claim(Answer.DONE)
        assert await ask_anew(store, C, clock.now) == Claim(Answer.GRANTED)

    async def test_a_replacement_that_fails_leaves_the_old_copy_in_force(
        self, store: KeyStore, clock: FakeClock
    ) -> None:
        await put_aside(store, clock, A, delay=600)
        old = clock.now + 600_000
        await ask_anew(store, A, clock.now)
        clock.advance(LEASE)
        assert await ask_copy(store, A, old) == Claim(Answer.GRANTED, due_at=None)

    async def test_a_replaced_copy_is_dropped_even_long_after_the_event_is_done(
        self, store: KeyStore, clock: FakeClock
    ) -> None:
        await put_aside(store, clock, A, delay=10 * TTL)
        old = clock.now + round(10 * TTL * 1000)
        await ask_anew(store, A, clock.now)
        await store.commit([A], ttl=TTL)
        await self.settle_down(store)
        clock.advance(10 * TTL)
        await self.settle_down(store)
        assert (await ask_copy(store, A, old)).answer in {Answer.DONE, Answer.CANCELLED}
        clock.advance(TTL)
        assert await ask(store, A) == [Answer.GRANTED]

    async def test_look_tells_how_it_stands_and_changes_nothing(self, store: KeyStore, clock: FakeClock) -> None:
        for key in (A, B):
            await put_aside(store, clock, key, gen=3, delay=600)
        await cancel(store, B)
        await ask(store, C)
        await store.commit([D], ttl=TTL)
        due_at, end = clock.now + 600_000, clock.now + 600_000 + round(TTL * 1000)
        for _ in range(2):
            scheduled, cancelled, claimed, done, unknown = await store.look([A, B, C, D, E])
            assert scheduled == Standing(State.SCHEDULED, 3, due_at, end)
            assert cancelled == Standing(State.CANCELLED, 3, None, end)
            assert claimed == Standing(State.CLAIMED, until=clock.now + round(LEASE * 1000))
            assert done.state is State.DONE
            assert done.until >= clock.now + round(TTL * 1000)
            assert unknown == Standing(State.UNKNOWN)

    async def test_look_knows_the_plan_of_what_is_being_sent(self, store: KeyStore, clock: FakeClock) -> None:
        await put_aside(store, clock, A, gen=3, delay=600)
        due_at = clock.now + 600_000
        clock.advance(600)
        await ask_due(store, A, gen=3)
        assert await store.look([A]) == [Standing(State.CLAIMED, 3, due_at, clock.now + round(LEASE * 1000))]

    async def test_nothing_to_change_is_nothing_changed(self, store: KeyStore) -> None:
        assert await store.cancel([], ttl=TTL) == await store.move([], ttl=TTL) == await store.look([]) == []

    async def test_the_numbers_count_what_is_kept(self, store: KeyStore, clock: FakeClock) -> None:
        await put_aside(store, clock, A)
        await store.commit([B], ttl=TTL)
        stats = store.stats()
        assert stats.healthy
        assert stats.evicted == stats.unrecorded == stats.damaged == 0

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
