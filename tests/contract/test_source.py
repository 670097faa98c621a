"""The contract of sources, over memory and over RabbitMQ."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from bridge.sources.memory import MemorySource
from bridge.sources.rabbitmq import RabbitMQSourceSettings
from devtools.rabbitmq import Node
from tests.contract.source import SourceContract, SourcePeer
from tests.integration.rabbitmq.lab import Lab, lab


class MemoryPeer(SourcePeer):
    def __init__(self) -> None:
        self._queue = MemorySource(prefetch=self.prefetch)
        self.source = self._queue

    async def publish(self, *bodies: bytes) -> None:
        for body in bodies:
            self._queue.publish(body)

    async def waiting(self) -> int:
        return self._queue.waiting

    async def lose_connection(self) -> None:
        self._queue.drop_connection()


class RabbitMQPeer(SourcePeer):
    def __init__(self, broker: Node, vhost: str, publisher: Lab) -> None:
        self._broker, self._vhost, self._publisher = broker, vhost, publisher
        settings = RabbitMQSourceSettings(
            type="rabbitmq", url=SecretStr(broker.url_of(vhost)), queue="events", prefetch=self.prefetch
        )
        self.source = settings.build("default")

    async def publish(self, *bodies: bytes) -> None:
        for body in bodies:
            await self._publisher.publish("events", body)

    async def waiting(self) -> int:
        depths = await asyncio.to_thread(self._broker.depths, self._vhost)
        return sum(depths["events"])

    async def lose_connection(self) -> None:
        await asyncio.to_thread(self._broker.eval, DROP_CONSUMERS.format(vhost=self._vhost))


DROP_CONSUMERS = """\
[exit(rabbit_misc:pget(pid, I), kill) || I <- rabbit_networking:connection_info_all([pid, vhost, client_properties]),
    rabbit_misc:pget(vhost, I) == <<"{vhost}">>,
    lists:any(fun({{K, _, V}}) -> K == <<"connection_name">> andalso
        binary:match(V, <<"source">>) =/= nomatch end, rabbit_misc:pget(client_properties, I))]"""


class TestMemorySource(SourceContract):
    @pytest.fixture
    async def peer(self) -> AsyncIterator[SourcePeer]:
        peer = MemoryPeer()
        await peer.source.open()
        yield peer
        await peer.source.close()


class TestRabbitMQSource(SourceContract):
    @pytest.fixture
    async def peer(self, broker: Node, vhost: str) -> AsyncIterator[SourcePeer]:
        async with lab(broker.url_of(vhost)) as publisher:
            await publisher.declare("events", {"x-delivery-limit": 100})
            peer = RabbitMQPeer(broker, vhost, publisher)
            await peer.source.open()
            yield peer
            await peer.source.close()
