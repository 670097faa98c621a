"""
Real Redis servers for the tests, started when the first test of a worker asks.

A test that uses one gets the marker `redis`. `redis_node`, `redis_cluster` and `secured_redis` are shared: a test keeps
to the namespace `unique`. `fresh_redis`, `fresh_cluster` and `watched_redis` belong to one test, and may be killed,
frozen and filled.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from devtools.redis import RedisNode, SecuredRedis, private_node, program
from devtools.redis_groups import RedisCluster, WatchedRedis

CERTIFICATES = Path(__file__).parent / "fakes" / "tls"
PASSWORD = "canary-password"

__all__ = [
    "fresh_cluster",
    "fresh_redis",
    "redis_cluster",
    "redis_node",
    "redis_program",
    "secured_redis",
    "watched_redis",
]


@pytest.fixture(scope="session")
def redis_program() -> str:
    """The server's program; every test that needs one has this among its fixtures."""
    return program()


@pytest.fixture(scope="session")
def redis_node(redis_program: str) -> Iterator[RedisNode]:  # noqa: ARG001  it marks the test
    with private_node() as node:
        yield node


@pytest.fixture(scope="session")
def redis_cluster(redis_program: str) -> Iterator[RedisCluster]:  # noqa: ARG001  same
    with RedisCluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def secured_redis(redis_program: str) -> Iterator[SecuredRedis]:  # noqa: ARG001  same
    with SecuredRedis(CERTIFICATES, PASSWORD) as node:
        yield node


@pytest.fixture
def fresh_redis(redis_program: str) -> Iterator[RedisNode]:  # noqa: ARG001  same
    with private_node() as node:
        yield node


@pytest.fixture
def fresh_cluster(redis_program: str) -> Iterator[RedisCluster]:  # noqa: ARG001  same
    with RedisCluster() as cluster:
        yield cluster


@pytest.fixture
def watched_redis(redis_program: str) -> Iterator[WatchedRedis]:  # noqa: ARG001  same
    with WatchedRedis() as watched:
        yield watched
