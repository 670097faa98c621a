"""Traces through a real Kafka."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bridge.cli.shapes import Composed
from bridge.cli.to_kafka import ToKafka
from bridge.devserver import DevServer, DevServerSettings
from bridge.sources.kafka import KafkaSourceSettings
from devtools.kafka_lab import Lab
from tests.integration.commands import starting
from tests.integration.tracing import follow, stage


async def test_an_event_is_followed_from_its_publisher_to_the_target(
    tmp_path: Path, bootstrap: str, unique: str
) -> None:
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

    async def publish(body: Any, traceparent: str) -> None:
        composed = Composed(body=json.dumps(body).encode(), headers={"traceparent": traceparent})
        await ToKafka(settings, "default", topic, key=None).publish([[composed]])

    async with (
        DevServer(DevServerSettings(port=0)) as api,
        starting(tmp_path, source, api) as start,
        stage(start) as followed,
    ):
        await follow(followed, publish)
