"""Several bridges on one store: each key has one winner, and time is the server's."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from bridge.model import Answer, Ask, Move, Schedule, Stage, State
from bridge.stores.redis import RedisSettings, RedisStore
from devtools.redis import RedisNode
from devtools.redis_groups import RedisCluster
from tests.integration.redis.stores import PATIENCE, answers, numbered, opened, settings_of

A, B = numbered(2)


@pytest.fixture(params=["single", "cluster"])
def settings(request: pytest.FixtureRequest, unique: str) -> RedisSettings:
    if request.param == "single":
        node: RedisNode = request.getfixturevalue("redis_node")
        return settings_of(node.url, unique)
    cluster: RedisCluster = request.getfixturevalue("redis_cluster")
    return settings_of(cluster.nodes[0].url, unique, mode="cluster")


async def until_granted(store: RedisStore, *keys: bytes, owner: str) -> None:
    async with asyncio.timeout(PATIENCE):
        for key in keys:
            while await answers(store, key, owner=owner) != [Answer.GRANTED]:  # noqa: ASYNC110  the lease ends on a server
                await asyncio.sleep(0.02)


async def test_of_two_bridges_that_race_for_10_000_keys_each_key_has_one_winner(settings: RedisSettings) -> None:
    keys = numbered(10_000)
    async with opened(settings) as one, opened(settings) as two:

        async def race(store: RedisStore, name: str, todo: list[bytes]) -> Counter[bytes]:
            won: Counter[bytes] = Counter()
            for at in range(0, len(todo), 250):
                some = todo[at : at + 250]
                got = await answers(store, *some, owner=f"{name} {at}")
                won.update(key for key, answer in zip(some, got, strict=True) if answer is Answer.GRANTED)
            return won

        shares = await asyncio.gather(
            race(one, "one", keys),
            race(two, "two", keys),
            race(one, "three", keys[::-1]),
            race(two, "four", keys[::-1]),
        )
    assert sum(shares, Counter()) == Counter(keys)
    assert sum(bool(share) for share in shares) > 1  # it was a race


async def test_what_one_bridge_has_done_the_other_knows(settings: RedisSettings) -> None:
    async with opened(settings) as one, opened(settings) as two:
        await answers(one, A)
        assert await answers(two, A) == [Answer.BUSY]
        await one.commit([A], ttl=600)
        assert await answers(two, A) == [Answer.DONE]


async def test_a_lease_that_ends_is_taken_over_and_the_late_one_does_no_harm(settings: RedisSettings) -> None:
    async with opened(settings) as one, opened(settings) as two:
        assert await answers(one, A, B, owner="late", lease=0.05) == [Answer.GRANTED, Answer.GRANTED]
        await until_granted(two, A, B, owner="heir")
        assert await one.renew([A, B], owner="late", lease=600) == [False, False]
        await one.release([A, B], owner="late")
        await one.schedule([Schedule(A, 1, 1)], owner="late", ttl=600)
        assert await answers(one, A, B, owner="late") == [Answer.BUSY, Answer.BUSY]
        await one.commit([A], ttl=600)  # it was delivered, whoever says so
        assert await answers(two, A) == [Answer.DONE]


async def test_a_claim_that_is_renewed_outlives_its_lease(settings: RedisSettings) -> None:
    async with opened(settings) as one, opened(settings) as two:
        await answers(one, A, owner="slow", lease=30)
        assert await one.renew([A], owner="slow", lease=600) == [True]
        [claim] = await two.claim([Ask(A)], owner="other", lease=1)
        assert claim.answer is Answer.BUSY
        assert 300 < claim.remaining <= 600


async def test_marks_end_with_their_ttl(settings: RedisSettings) -> None:
    async with opened(settings) as store:
        await store.commit([A], ttl=0.05)
        await until_granted(store, A, owner="next")


async def test_the_clocks_of_bridges_do_not_matter(settings: RedisSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(settings) as one, opened(settings) as two:
        await answers(one, A, lease=600)
        monkeypatch.setattr("time.time", lambda: 1e12)
        monkeypatch.setattr("time.time_ns", lambda: 10**21)
        assert await answers(two, A) == [Answer.BUSY]


async def test_scheduled_events_are_moved_shown_and_cancelled_by_any_bridge(settings: RedisSettings) -> None:
    soon = 4_000_000_000_000
    async with opened(settings) as one, opened(settings) as two:
        await answers(one, A)
        await one.schedule([Schedule(A, 1, soon)], owner="me", ttl=600)
        assert [each.state for each in await two.move([Move(A, soon + 5), Move(B, 1)], ttl=600)] == [
            State.SCHEDULED,
            State.UNKNOWN,
        ]
        [shown] = await one.look([A])
        assert (shown.state, shown.due_at, shown.until) == (State.SCHEDULED, soon + 5, soon + 5 + 600_000)
        [claim] = await two.claim([Ask(A, Stage.DUE, 1, soon)], owner="x", lease=600)
        assert (claim.answer, claim.due_at) == (Answer.GRANTED, soon + 5)
        await two.release([A], owner="x")
        assert [each.state for each in await two.cancel([A], ttl=600)] == [State.SCHEDULED]
        assert await answers(one, A) == [Answer.CANCELLED]


async def test_more_keys_than_one_script_takes(settings: RedisSettings) -> None:
    keys = numbered(2_500)
    twice = [*keys, *keys[:3]]
    async with opened(settings) as store:
        assert await answers(store, *twice) == [Answer.GRANTED] * 2_500 + [Answer.BUSY] * 3
        assert await store.renew(keys, owner="me", lease=600) == [True] * 2_500
        await store.commit(keys, ttl=600)
        assert set(await answers(store, *keys)) == {Answer.DONE}


async def test_a_cluster_has_equal_shares_of_the_keys(redis_cluster: RedisCluster, unique: str) -> None:
    async with opened(settings_of(redis_cluster.nodes[0].url, unique, mode="cluster")) as store:
        await store.commit(numbered(6_400), ttl=600)
        shares = [len(node.ask("KEYS", f"{unique}*")) for node in redis_cluster.nodes]
    assert sum(shares) == 6_400
    assert min(shares) >= 2_000
