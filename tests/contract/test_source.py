"""The contract of sources, over memory, RabbitMQ and Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiokafka import TopicPartition
from aiokafka.protocol.group import LeaveGroupRequest
from pydantic import SecretStr

from bridge.core.offsets import unpack
from bridge.kafka.session import Session
from bridge.rabbitmq.options import Client
from bridge.reconnecting import Reconnecting
from bridge.sources.kafka import KafkaSourceSettings
from bridge.sources.memory import MemorySource
from bridge.sources.rabbitmq import RabbitMQSourceSettings
from devtools.kafka_lab import Lab as KafkaLab
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
    def __init__(self, broker: Node, vhost: str, publisher: Lab, client: Client) -> None:
        self._broker, self._vhost, self._publisher = broker, vhost, publisher
        settings = RabbitMQSourceSettings(
            type="rabbitmq", url=SecretStr(broker.url_of(vhost)), queue="events", prefetch=self.prefetch, client=client
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


class KafkaPeer(SourcePeer):
    """One partition, so that there is an order. Losing the connection means being put out of the group."""

    def __init__(self, bootstrap: str, topic: str, outside: KafkaLab) -> None:
        self._outside, self._topic = outside, topic
        self.source = self._source = kafka_source(bootstrap, topic, prefetch=self.prefetch)

    async def publish(self, *bodies: bytes) -> None:
        await self._outside.produce(self._topic, bodies)

    async def waiting(self) -> int:
        place = TopicPartition(self._topic, 0)
        end = (await self._outside.ends(self._topic))[0]
        committed = (await self._outside.committed(self._topic)).get(place)
        if committed is None:
            return end
        return end - committed.offset - len(unpack(committed.offset, committed.metadata))

    async def lose_connection(self) -> None:
        await put_out_of_group(self._source)


def kafka_source(bootstrap: str, topic: str, **more: object) -> Reconnecting:
    settings = {"type": "kafka", "bootstrap_servers": bootstrap, "topics": [topic], "group_id": topic}
    quick = {"commit_interval": 0.05, "rebalance_drain": 0.1}
    return KafkaSourceSettings.model_validate(settings | quick | more).build("default")


async def put_out_of_group(source: Reconnecting) -> None:
    """As if our heartbeats had not come: the coordinator gives our partitions to others."""
    session = source._session
    assert isinstance(session, Session)
    coordinator = session._member.consumer._coordinator
    await coordinator._send_req(LeaveGroupRequest(coordinator.group_id, coordinator.member_id))


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


@pytest.mark.parametrize("client", ["native", "aio-pika"])
class TestRabbitMQSource(SourceContract):
    @pytest.fixture
    async def peer(self, broker: Node, vhost: str, client: Client) -> AsyncIterator[SourcePeer]:
        async with lab(broker.url_of(vhost)) as publisher:
            await publisher.declare("events", {"x-delivery-limit": 100})
            peer = RabbitMQPeer(broker, vhost, publisher, client)
            await peer.source.open()
            yield peer
            await peer.source.close()


class TestKafkaSource(SourceContract):
    @pytest.fixture
    async def peer(self, bootstrap: str, unique: str) -> AsyncIterator[SourcePeer]:
        async with KafkaLab(bootstrap) as outside:
            await outside.create_topic(unique)
            peer = KafkaPeer(bootstrap, unique, outside)
            await peer.source.open()
            yield peer
            await peer.source.close()
