"""Events that are cancelled, moved and replaced, on a real Kafka."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.shapes import Composed
from bridge.cli.to_kafka import ToKafka
from bridge.devserver import DevServer, DevServerSettings
from bridge.sources.kafka import KafkaSourceSettings
from devtools.kafka_lab import Lab
from tests.integration import scheduling
from tests.integration.commands import starting
from tests.integration.scheduling import Scene


@pytest.fixture
async def scene(tmp_path: Path, bootstrap: str, unique: str) -> AsyncIterator[Scene]:
    async with Lab(bootstrap) as lab:
        topic = await lab.create_topic(f"{unique}.events", 3)
    settings = KafkaSourceSettings.model_validate({"type": "kafka", "bootstrap_servers": bootstrap, "topics": [topic]})
    source = {
        "BRIDGE_SOURCE__TYPE": "kafka",
        "BRIDGE_SOURCE__BOOTSTRAP_SERVERS": bootstrap,
        "BRIDGE_SOURCE__TOPICS": topic,
        "BRIDGE_SOURCE__GROUP_ID": unique,
        "BRIDGE_DELAY__NAMESPACE": unique,
        "BRIDGE_DEAD_LETTERS__NAMESPACE": unique,
    }

    async def send(body: dict[str, Any]) -> None:
        way = ToKafka(settings, "default", topic, key=None)
        await way.publish([[Composed(body=json.dumps(body).encode())]])

    async with DevServer(DevServerSettings(port=0)) as api, starting(tmp_path, source, api) as start:
        yield Scene(start, api, send, tmp_path)


async def test_what_is_cancelled_is_never_sent_and_what_is_moved_once_at_its_new_time(scene: Scene) -> None:
    await scheduling.cancel_and_move(scene)


async def test_a_record_that_is_lost_fires(scene: Scene) -> None:
    await scheduling.forget(scene)


async def test_the_last_of_two_delayed_copies_wins(scene: Scene) -> None:
    await scheduling.replace(scene)
