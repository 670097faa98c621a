"""Servers that die, freeze and move: nothing hangs, nothing is granted twice, and all goes on by itself."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bridge.errors import StoreUnavailable
from bridge.model import Answer, Ask
from bridge.redis.scripts import slot_of, tags
from bridge.stores.redis import RedisSettings, RedisStore
from devtools.processes import CommandError, wait_until
from devtools.redis import RedisNode
from devtools.redis_groups import MASTER, RedisCluster, WatchedRedis
from tests.integration.redis.stores import PATIENCE, answers, insist, numbered, opened, settings_of

A, B = numbered(2)


class Swallower:
    """A way to the server on which answers get lost while `mute`: they are read, and the connection is cut."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.mute = False
        self.swallowed = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, onward = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            while request := await reader.read(65_536):
                onward.write(request)
                answer = await there.read(65_536)
                if self.mute:
                    self.swallowed += 1
                    break
                writer.write(answer)
        finally:
            for each in (onward, writer):
                each.close()


@asynccontextmanager
async def swallower(port: int) -> AsyncIterator[tuple[Swallower, str]]:
    way = Swallower(port)
    async with await asyncio.start_server(way.serve, "127.0.0.1", 0) as server:
        yield way, f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_claim_whose_answer_got_lost_is_not_busy_for_ourselves(redis_node: RedisNode, unique: str) -> None:
    async with swallower(redis_node.port) as (way, url), opened(settings_of(url, unique)) as store:
        await answers(store, *numbered(1, first=9))  # the script is there
        way.mute = True
        with pytest.raises(StoreUnavailable):
            await answers(store, A, B, owner="me")
        way.mute = False
        assert way.swallowed >= 1
        async with opened(settings_of(redis_node.url, unique)) as other:
            assert await answers(other, A, owner="you") == [Answer.BUSY]  # it was carried out
        assert await insist(lambda: answers(store, A, B, A, owner="me")) == [
            Answer.GRANTED,
            Answer.GRANTED,
            Answer.BUSY,
        ]
        assert await answers(store, A, owner="me") == [Answer.BUSY]


async def test_a_cancelled_call_leaves_nothing_that_a_later_one_could_read(redis_node: RedisNode, unique: str) -> None:
    async with opened(settings_of(redis_node.url, unique, pool=2)) as store:
        await store.commit([B], ttl=600)
        for round_ in range(200):
            call = asyncio.create_task(answers(store, *numbered(50, first=10 + 50 * round_), owner=f"cut {round_}"))
            for _ in range(round_ % 7):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.wait([call])
            assert await answers(store, B) == [Answer.DONE]
            assert await store.renew([B], owner="me", lease=1) == [False]


async def test_a_frozen_server_is_given_up_and_the_next_calls_fail_at_once(fresh_redis: RedisNode) -> None:
    settings = settings_of(fresh_redis.url, "eb", timeout=0.1)
    async with opened(settings) as store:
        fresh_redis.freeze()
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="no answer"):
                await answers(store, A)
        assert not store.stats().healthy
        began = time.monotonic()
        said = []
        while time.monotonic() < began + 0.3:
            with pytest.raises(StoreUnavailable) as raised:
                await answers(store, A)
            said.append(str(raised.value))
        assert len(said) > 10  # at once
        assert all("not asked again within the second" in text for text in said)
        fresh_redis.thaw()
        await insist(lambda: answers(store, B))
        assert store.stats().healthy


async def test_a_server_that_forgot_its_scripts_gets_them_again(redis_node: RedisNode, unique: str) -> None:
    async with opened(settings_of(redis_node.url, unique)) as store:
        assert await answers(store, A) == [Answer.GRANTED]
        redis_node.ask("SCRIPT", "FLUSH")
        assert await answers(store, A, B) == [Answer.BUSY, Answer.GRANTED]


async def test_idle_connections_that_the_server_closed_cost_no_call(redis_node: RedisNode, unique: str) -> None:
    async with opened(settings_of(redis_node.url, unique)) as store:
        await asyncio.gather(*(answers(store, key, owner=f"{key!r}") for key in numbered(20)))
        redis_node.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert await answers(store, *numbered(10, first=100)) == [Answer.GRANTED] * 10


async def race(stores: list[RedisStore], keys: list[bytes], stop: asyncio.Event) -> Counter[bytes]:
    """Claim and commit all keys from all stores, through whatever happens; count how often each was granted."""
    granted: Counter[bytes] = Counter()

    async def work(store: RedisStore, name: str) -> None:
        todo = keys if name.endswith("0") else keys[::-1]
        for at in range(0, len(todo), 40):
            some, owner = todo[at : at + 40], f"{name}/{at}"
            got = await insist(lambda some=some, owner=owner: answers(store, *some, owner=owner))  # type: ignore[misc]
            won = [key for key, answer in zip(some, got, strict=True) if answer is Answer.GRANTED]
            granted.update(won)
            await insist(lambda won=won: store.commit(won, ttl=600))  # type: ignore[misc]
        stop.set()

    await asyncio.gather(*(work(store, f"bridge {number}") for number, store in enumerate(stores)))
    return granted


async def test_a_server_that_is_killed_and_started_under_load_grants_nothing_twice(fresh_redis: RedisNode) -> None:
    settings, keys, finished = settings_of(fresh_redis.url, "eb"), numbered(4_000), asyncio.Event()

    async def strike() -> int:
        strikes = 0
        while not finished.is_set():
            await asyncio.to_thread(fresh_redis.kill)
            await asyncio.to_thread(fresh_redis.start)
            strikes += 1
            await asyncio.sleep(0.05)
        return strikes

    async with opened(settings) as one, opened(settings) as two:
        striking = asyncio.create_task(strike())
        granted = await race([one, two], keys, finished)
        assert await striking >= 1
        assert set(granted.values()) == {1}
        assert len(granted) == len(keys)
        assert set(await answers(one, *keys)) == {Answer.DONE}


def watched(servers: WatchedRedis) -> RedisSettings:
    sentinels = [f"127.0.0.1:{servers.sentinel.port}"]
    return RedisSettings.model_validate(
        {"mode": "sentinel", "sentinels": sentinels, "master_name": MASTER, "timeout": 5}
    )


async def test_the_replica_that_sentinels_promote_is_found(watched_redis: WatchedRedis) -> None:
    settings = watched(watched_redis)
    async with opened(settings) as store:
        await store.commit([A], ttl=600)
        await asyncio.to_thread(wait_until, lambda: watched_redis.replica.ask("DBSIZE") == 1, within=30, what="copied")
        watched_redis.master.kill()
        assert await insist(lambda: answers(store, A, B)) == [Answer.DONE, Answer.GRANTED]
        assert watched_redis.replica.ask("DBSIZE") == 2


def fails_over(watched: WatchedRedis) -> bool:
    """Whether the Sentinel obeys, which it does once it has looked at the replica."""
    try:
        watched.sentinel.ask("SENTINEL", "FAILOVER", MASTER)
    except CommandError:
        return False
    return True


async def test_a_master_that_has_become_a_replica_is_left_for_the_new_one(watched_redis: WatchedRedis) -> None:
    settings = watched(watched_redis)
    async with opened(settings) as store:
        await store.commit([A], ttl=600)
        async with asyncio.timeout(PATIENCE):
            while not fails_over(watched_redis):  # noqa: ASYNC110  a server's
                await asyncio.sleep(0.05)
            while b"role:master" not in watched_redis.replica.ask("INFO", "replication"):  # noqa: ASYNC110  a server's
                await asyncio.sleep(0.05)
        assert await insist(lambda: answers(store, A, B)) == [Answer.DONE, Answer.GRANTED]


async def test_a_slot_that_moves_to_another_node_is_followed(fresh_cluster: RedisCluster, unique: str) -> None:
    source, target, _ = fresh_cluster.nodes
    slot = slot_of(tags()[0])  # in the first third, which is the first node's
    keys = [number.to_bytes(16, "little") for number in range(0, 64 * 20, 64)]  # all in this slot
    async with opened(settings_of(source.url, unique, mode="cluster")) as store:
        await store.commit(keys[:10], ttl=600)
        here, there = source.ask("CLUSTER", "MYID"), target.ask("CLUSTER", "MYID")
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", here)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", there)
        moving = source.ask("CLUSTER", "GETKEYSINSLOT", slot, 1_000)
        source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 10_000, "KEYS", *moving)
        try:
            got = [answer for key in keys for answer in await answers(store, key)]  # ASK
            assert got == [Answer.DONE] * 10 + [Answer.GRANTED] * 10
            with pytest.raises(StoreUnavailable, match="the slot is on its way"):
                await answers(store, *keys, *numbered(10, first=5_000 * 64))  # which nobody can answer by now
        finally:
            for node in (target, source, fresh_cluster.nodes[2]):
                node.ask("CLUSTER", "SETSLOT", slot, "NODE", there)
        assert await answers(store, *keys) == [Answer.DONE] * 10 + [Answer.BUSY] * 10  # MOVED
        assert (await store.claim([Ask(keys[0])], owner="me", lease=1))[0].answer is Answer.DONE


async def test_a_cluster_whose_node_dies_goes_on_when_it_is_back(fresh_cluster: RedisCluster, unique: str) -> None:
    keys = numbered(300)
    async with opened(settings_of(fresh_cluster.nodes[0].url, unique, mode="cluster")) as store:
        await store.commit(keys[:200], ttl=600)
        fresh_cluster.nodes[2].kill()
        with pytest.raises(StoreUnavailable):
            await answers(store, *keys)
        await asyncio.to_thread(fresh_cluster.start)
        got = await insist(lambda: answers(store, *keys))
        assert got == [Answer.DONE] * 200 + [Answer.GRANTED] * 100
