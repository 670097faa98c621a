"""Events that are cancelled, moved and replaced, on a real RabbitMQ."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bridge.cli.shapes import Composed
from bridge.cli.to_rabbitmq import ToRabbitMQ
from bridge.devserver import DevServer, DevServerSettings
from bridge.sources.rabbitmq import RabbitMQSourceSettings
from tests.integration import scheduling
from tests.integration.commands import starting
from tests.integration.scheduling import Scene


@pytest.fixture
async def scene(tmp_path: Path, amqp_url: str) -> AsyncIterator[Scene]:
    settings = RabbitMQSourceSettings(type="rabbitmq", url=SecretStr(amqp_url), queue="events", topology="declare")
    source = {
        "BRIDGE_SOURCE__TYPE": "rabbitmq",
        "BRIDGE_SOURCE__URL": amqp_url,
        "BRIDGE_SOURCE__QUEUE": "events",
        "BRIDGE_SOURCE__TOPOLOGY": "declare",
    }

    async def send(body: dict[str, Any]) -> None:
        await ToRabbitMQ(settings, "default").publish([[Composed(body=json.dumps(body).encode())]])

    async with DevServer(DevServerSettings(port=0)) as api, starting(tmp_path, source, api) as start:
        yield Scene(start, api, send, tmp_path)


async def test_what_is_cancelled_is_never_sent_and_what_is_moved_once_at_its_new_time(scene: Scene) -> None:
    await scheduling.cancel_and_move(scene)


async def test_a_record_that_is_lost_fires(scene: Scene) -> None:
    await scheduling.forget(scene)


async def test_the_last_of_two_delayed_copies_wins(scene: Scene) -> None:
    await scheduling.replace(scene)
