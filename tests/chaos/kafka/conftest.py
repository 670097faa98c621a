"""Roads over Kafka: `quiet_road` on the shared node, `rough_road` on one that may be hurt."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from devtools.kafka import KafkaNode
from tests.chaos.kafka.road import KafkaRoad, kafka_road


@pytest.fixture
async def quiet_road(tmp_path: Path, newest_kafka: KafkaNode, unique: str) -> AsyncIterator[KafkaRoad]:
    async with kafka_road(tmp_path, newest_kafka.bootstrap, unique) as made:
        yield made


@pytest.fixture
async def rough_road(tmp_path: Path, fresh_newest_kafka: KafkaNode, unique: str) -> AsyncIterator[KafkaRoad]:
    async with kafka_road(tmp_path, fresh_newest_kafka.bootstrap, unique) as made:
        yield made
