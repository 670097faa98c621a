"""Random histories: every store answers as a dict of records that the pure functions change."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from pydantic import SecretStr

from bridge.core import claims
from bridge.core.claims import Claimed, Done, Record, Scheduled, Waiting
from bridge.model import Ask, Move, Schedule, Stage, State
from bridge.stores.memory import MemoryStore
from bridge.stores.redis import RedisSettings, RedisStore
from bridge.stores.sqlite import SqliteStore
from devtools.redis import RedisNode
from tests.contract.key_store import LEASE, TTL, FakeClock

T = TypeVar("T")

KEYS = [bytes([number]) * 16 for number in (0, 1, 255)]
keys = st.lists(st.sampled_from(KEYS), max_size=4)
owners = st.sampled_from(["me", "you"])
gens = st.integers(0, 3)
delays = st.sampled_from([-10, 0, 600, 1_200])
# Either so short that no key expires in a history, or so long that every store has forgotten every key.
pauses = st.sampled_from([1.0, LEASE / 2, LEASE, 2 * TTL])


class MemoryHistories(RuleBasedStateMachine):
    """The histories of a memory store; those of another one override `make` and say what it `survives`."""

    survives = False  # whether the store comes back from a restart with what it knew

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = FakeClock()
        self.records: dict[bytes, Record | None] = dict.fromkeys(KEYS)
        self.written: dict[bytes, Waiting] = {}  # what a restart finds of keys that are not done
        self.store = self.make()
        self.run(self.store.open())

    def make(self) -> MemoryStore | SqliteStore | RedisStore:
        return MemoryStore(clock=self.clock)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.run(self.store.close())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        shutil.rmtree(self.folder)

    @rule(keys=keys, stage=st.sampled_from(Stage), gen=gens, delay=delays, replaces=st.booleans(), owner=owners)
    def claim(self, keys: list[bytes], stage: Stage, gen: int, delay: int, replaces: bool, owner: str) -> None:
        asks = [Ask(key, stage, gen, self.clock.now + delay * 1000, replaces) for key in keys]
        expected = []
        for ask in asks:
            bid = Claimed(owner, self.clock.now + round(LEASE * 1000))
            self.records[ask.key], answer = claims.claim(self.records[ask.key], ask, bid, self.clock.now)
            expected.append(answer)
        assert self.run(self.store.claim(asks, owner=owner, lease=LEASE)) == expected

    @rule(keys=keys, owner=owners)
    def renew(self, keys: list[bytes], owner: str) -> None:
        expected = []
        for key in keys:
            bid = Claimed(owner, self.clock.now + round(LEASE * 1000))
            self.records[key], kept = claims.renew(self.records[key], bid, self.clock.now)
            expected.append(kept)
        assert self.run(self.store.renew(keys, owner=owner, lease=LEASE)) == expected

    @rule(keys=keys)
    def commit(self, keys: list[bytes]) -> None:
        for key in keys:
            self.records[key] = claims.commit(self.records[key], self.clock.now, round(TTL * 1000))
            self.written.pop(key, None)
        self.run(self.store.commit(keys, ttl=TTL))

    @rule(keys=keys, owner=owners)
    def release(self, keys: list[bytes], owner: str) -> None:
        for key in keys:
            self.records[key] = claims.release(self.records[key], owner, self.clock.now)
        self.run(self.store.release(keys, owner=owner))

    @rule(keys=keys, gen=gens, delay=delays, owner=owners)
    def schedule(self, keys: list[bytes], gen: int, delay: int, owner: str) -> None:
        items = [Schedule(key, gen, self.clock.now + delay * 1000) for key in keys]
        for item in items:
            self.waits(
                item.key, claims.schedule(self.records[item.key], item, owner, round(TTL * 1000), self.clock.now)
            )
        self.run(self.store.schedule(items, owner=owner, ttl=TTL))

    @rule(keys=keys)
    def cancel(self, keys: list[bytes]) -> None:
        expected = []
        for key in keys:
            expected.append(self.state(key))
            self.waits(key, claims.cancel(self.records[key], round(TTL * 1000), self.clock.now))
        assert [each.state for each in self.run(self.store.cancel(keys, ttl=TTL))] == expected

    @rule(keys=keys, delay=delays)
    def move(self, keys: list[bytes], delay: int) -> None:
        moves = [Move(key, self.clock.now + delay * 1000) for key in keys]
        expected = []
        for item in moves:
            expected.append(self.state(item.key))
            self.waits(item.key, claims.move(self.records[item.key], item, round(TTL * 1000), self.clock.now))
        assert [each.state for each in self.run(self.store.move(moves, ttl=TTL))] == expected

    @rule(keys=keys)
    def look(self, keys: list[bytes]) -> None:
        for seen, key in zip(self.run(self.store.look(keys)), keys, strict=True):
            due = claims.standing(self.records[key], self.clock.now)
            assert seen == replace(due, until=seen.until) if due.state is State.DONE else seen == due

    def state(self, key: bytes) -> State:
        return claims.standing(self.records[key], self.clock.now).state

    def waits(self, key: bytes, after: Waiting | None) -> None:
        if after:
            self.records[key] = self.written[key] = after

    @rule(pause=pauses)
    def time_passes(self, pause: float) -> None:
        self.clock.advance(pause)
        self.run(self.settle_down())

    @precondition(lambda self: self.survives)
    @rule()
    def restart(self) -> None:
        for key, record in self.records.items():
            if not isinstance(record, Done):
                self.records[key] = self.written.get(key)
        self.run(self.store.close())
        self.store = self.make()
        self.run(self.store.open())

    async def settle_down(self) -> None:
        """What the store does by itself every second."""

    @invariant()
    def the_numbers_agree(self) -> None:
        live = [claims.current(record, self.clock.now) for record in self.records.values()]
        assert self.store.stats().keys >= sum(isinstance(record, Done) for record in live)
        assert self.store.stats().scheduled >= sum(isinstance(record, Scheduled) for record in live)


class SqliteHistories(MemoryHistories):
    survives = True

    def make(self) -> SqliteStore:
        return SqliteStore(self.folder / "keys.db", ttl=TTL, clock=self.clock)

    async def settle_down(self) -> None:
        assert isinstance(self.store, SqliteStore)
        self.store.tick()


class RedisHistories(MemoryHistories):
    """Claims too are on the server, so a restart of the bridge changes nothing at all."""

    url = SecretStr("")

    def __init__(self) -> None:
        self.namespace = secrets.token_hex(8)
        super().__init__()

    def make(self) -> RedisStore:
        return RedisStore(RedisSettings(url=self.url, namespace=self.namespace, timeout=30), clock=self.clock)

    @rule()
    def restart(self) -> None:
        self.run(self.store.close())
        self.store = self.make()
        self.run(self.store.open())

    @invariant()
    def the_numbers_agree(self) -> None:
        assert self.store.stats().healthy


@pytest.fixture
def redis_of_histories(redis_node: RedisNode) -> None:
    RedisHistories.url = SecretStr(redis_node.url)


TestMemoryHistories = MemoryHistories.TestCase
TestMemoryHistories.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestSqliteHistories = SqliteHistories.TestCase
TestSqliteHistories.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestRedisHistories = pytest.mark.usefixtures("redis_of_histories")(RedisHistories.TestCase)
TestRedisHistories.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
