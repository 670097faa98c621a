"""Fleets of bridges over one Redis, on the newest version of either broker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import TypeAlias

import pytest

from bridge.devserver.settings import DevServerSettings
from devtools import rabbitmq
from devtools.kafka import KafkaNode
from devtools.rabbitmq import Node
from devtools.redis import RedisNode
from tests.chaos.instances.fleet import Fleet, fleet
from tests.chaos.kafka.road import kafka_road
from tests.chaos.rabbitmq_road import road

API = DevServerSettings(port=0, max_events=50_000)

MakeFleet: TypeAlias = Callable[..., AbstractAsyncContextManager[Fleet]]
"""`fleet` without the road: size and settings are left to the test."""


@pytest.fixture(scope="session")
def broker_version() -> str:
    """What several instances do to each other has nothing to do with the version."""
    return rabbitmq.VERSIONS[-1]


@pytest.fixture
async def on_rabbitmq(tmp_path: Path, broker: Node, vhost: str, fresh_redis: RedisNode) -> AsyncIterator[MakeFleet]:
    async with road(tmp_path, broker, vhost, api=API) as made:
        yield partial(fleet, made, made.publisher.publish, tmp_path, fresh_redis)


@pytest.fixture
async def on_kafka(
    tmp_path: Path, newest_kafka: KafkaNode, unique: str, fresh_redis: RedisNode
) -> AsyncIterator[MakeFleet]:
    async with kafka_road(tmp_path, newest_kafka.bootstrap, unique, api=API) as made:
        yield partial(fleet, made, made.publish, tmp_path, fresh_redis)
