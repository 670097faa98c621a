"""A road from a real RabbitMQ."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aio_pika.abc import AbstractIncomingMessage

from bridge.devserver.app import DevServer
from bridge.devserver.settings import DevServerSettings
from devtools.rabbitmq import Node
from tests.chaos.process import Bridge
from tests.chaos.rabbitmq_publisher import QUEUE, Publisher
from tests.chaos.road import AnyRoad, settings_of

DEAD = "bridge.dead.v1"

BOTH = pytest.mark.parametrize("client", ["native", "aio-pika"], indirect=True)
"""Marks a test that runs with each client that can consume."""


@dataclass(kw_only=True)
class Road(AnyRoad):
    """Broker, bridge and event API of one test."""

    node: Node
    vhost: str
    publisher: Publisher

    async def depths(self) -> dict[str, tuple[int, int]]:
        """(ready, unsettled) of each queue that is not empty and does not hold dead letters."""
        depths = await asyncio.to_thread(self.node.depths, self.vhost)
        return {name: depth for name, depth in depths.items() if depth != (0, 0) and ".dead." not in name}

    async def dead_letters(self, queue: str = DEAD) -> list[AbstractIncomingMessage]:
        """Take everything out of the dead letters."""
        return await self.publisher.take_all(queue)

    async def limit_length(self, pattern: str, limit: int | None) -> None:
        """Let queues be full, as an operator does, by a policy; None takes it away."""
        vhost = f'<<"{self.vhost}">>'
        if limit is None:
            code = f'rabbit_policy:delete({vhost}, <<"full">>, <<"tests">>)'
        else:
            rules = f'[{{<<"max-length">>, {limit}}}]'
            code = f'rabbit_policy:set({vhost}, <<"full">>, <<"{pattern}">>, {rules}, 0, <<"queues">>, <<"tests">>)'
        await asyncio.to_thread(self.node.eval, f"ok = {code}")


@asynccontextmanager
async def road(
    folder: Path, node: Node, vhost: str, *, api: DevServerSettings | None = None, **settings: Any
) -> AsyncIterator[Road]:
    """Set up a road: source queue, event API, and a bridge that is not started yet. `settings` are its top level."""
    url = node.url_of(vhost)
    publisher = Publisher(url)
    await publisher.declare()
    async with DevServer(api or DevServerSettings(port=0)) as server:
        base = settings_of(folder, {"type": "rabbitmq", "url": url, "queue": QUEUE}, server)
        bridge = Bridge(folder, base | settings)
        try:
            yield Road(node=node, vhost=vhost, publisher=publisher, bridge=bridge, api=server)
        finally:
            if bridge.running:
                await bridge.kill()
