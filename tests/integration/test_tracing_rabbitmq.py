"""Traces through a real RabbitMQ, by either client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bridge.cli.shapes import Composed
from bridge.cli.to_rabbitmq import ToRabbitMQ
from bridge.devserver import DevServer, DevServerSettings
from bridge.sources.rabbitmq import RabbitMQSourceSettings
from tests.integration.commands import starting
from tests.integration.tracing import follow, stage


@pytest.mark.parametrize("client", ["native", "aio-pika"])
async def test_an_event_is_followed_from_its_publisher_to_the_target(
    tmp_path: Path, amqp_url: str, client: str
) -> None:
    settings = RabbitMQSourceSettings(type="rabbitmq", url=SecretStr(amqp_url), queue="events", topology="declare")
    source = {
        "BRIDGE_SOURCE__TYPE": "rabbitmq",
        "BRIDGE_SOURCE__URL": amqp_url,
        "BRIDGE_SOURCE__QUEUE": "events",
        "BRIDGE_SOURCE__TOPOLOGY": "declare",
        "BRIDGE_SOURCE__CLIENT": client,
        "BRIDGE_DELAY__CLIENT": client,
    }

    async def publish(body: Any, traceparent: str) -> None:
        composed = Composed(body=json.dumps(body).encode(), headers={"traceparent": traceparent})
        await ToRabbitMQ(settings, "default").publish([[composed]])

    async with (
        DevServer(DevServerSettings(port=0)) as api,
        starting(tmp_path, source, api) as start,
        stage(start) as followed,
    ):
        await follow(followed, publish)
