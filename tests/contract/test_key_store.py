"""The key store contract, over every implementation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from bridge.ports import KeyStore
from bridge.stores.memory import MemoryStore
from bridge.stores.redis import RedisSettings, RedisStore
from bridge.stores.sqlite import SqliteStore
from devtools.redis import RedisNode
from devtools.redis_groups import RedisCluster
from tests.contract.key_store import TTL, FakeClock, KeyStoreContract


class TestMemoryStore(KeyStoreContract):
    @pytest.fixture
    async def store(self, clock: FakeClock) -> AsyncIterator[KeyStore]:
        store = MemoryStore(clock=clock)
        await store.open()
        yield store
        await store.close()


class TestSqliteStore(KeyStoreContract):
    @pytest.fixture
    async def store(self, clock: FakeClock, tmp_path: Path) -> AsyncIterator[KeyStore]:
        store = SqliteStore(tmp_path / "keys.db", ttl=TTL, clock=clock)
        await store.open()
        yield store
        await store.close()

    async def settle_down(self, store: KeyStore) -> None:
        assert isinstance(store, SqliteStore)
        store.tick()


class TestRedisStore(KeyStoreContract):
    @pytest.fixture
    async def store(self, clock: FakeClock, redis_node: RedisNode, unique: str) -> AsyncIterator[KeyStore]:
        store = RedisStore(RedisSettings(url=SecretStr(redis_node.url), namespace=unique, timeout=30), clock=clock)
        await store.open()
        yield store
        await store.close()


class TestRedisStoreOnACluster(KeyStoreContract):
    @pytest.fixture
    async def store(self, clock: FakeClock, redis_cluster: RedisCluster, unique: str) -> AsyncIterator[KeyStore]:
        url = SecretStr(redis_cluster.nodes[0].url)
        store = RedisStore(RedisSettings(url=url, mode="cluster", namespace=unique, timeout=30), clock=clock)
        await store.open()
        yield store
        await store.close()
