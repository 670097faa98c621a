"""The demo on a real Kafka: a private node, and the bridge as a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from bridge.kafka.quiet import quiet
from bridge.kafka.wire import exhumed
from devtools import kafka_jars
from devtools.containers import engine_answers
from devtools.demo.beside import Bridge, place_of, running_bridge
from devtools.demo.road import ROUTES, DeadLetter, dead_letter_of, private_broker
from devtools.demo.screen import Screen
from devtools.demo.story import Parcel
from devtools.kafka import VERSIONS, KafkaNode, private_node
from devtools.kafka_lab import Lab, opened

PARTITIONS = 3  # of each topic
ID = "x-deduplication-header"
LIMIT = 30.0  # seconds for a publish


class KafkaRoad:
    """One topic a route; the dead letters are watched where they lie, and stay there."""

    def __init__(self, node: KafkaNode, bridge: Bridge, producer: Any) -> None:
        self.admin_url = bridge.admin_url
        self._node, self._bridge, self._producer = node, bridge, producer
        self._dead: list[DeadLetter] = []
        self._watching: asyncio.Task[None] | None = None

    @property
    def dead(self) -> Sequence[DeadLetter]:
        return self._dead

    async def watch(self, consumer: Any) -> None:
        """Note what comes into the dead letters. Never returns."""
        async for record in consumer:
            self._dead.append(dead_letter_of(exhumed(record)))

    async def publish(self, route: str, parcel: Parcel) -> None:
        headers = [(_name_of(name), str(value).encode()) for name, value in parcel.headers.items()]
        headers += [("content-type", parcel.content_type.encode())]
        if ID not in parcel.headers:  # there is no property for it, as RabbitMQ has one
            headers += [(ID, parcel.message_id.encode())]
        topic, key = place_of(route), parcel.message_id.encode()
        await asyncio.wait_for(self._producer.send_and_wait(topic, parcel.body, key, headers=headers), LIMIT)

    def check(self) -> None:
        self._bridge.check()

    async def stop(self) -> int:
        return await self._bridge.stop()

    def addresses(self) -> Sequence[tuple[str, str]]:
        return [("Kafka", f"{self._node.bootstrap}  ({self._node.version})"), *self._bridge.addresses()]


@asynccontextmanager
async def kafka_road(screen: Screen, api_url: str) -> AsyncIterator[KafkaRoad]:
    """Start a broker and the bridge, and end both. Raises NoBrokerError, and RoadError when the bridge fails."""
    quiet()
    version = quickest_version()
    async with private_broker(screen, "Kafka", version, private_node, quick=is_quick(version)) as node:
        async with Lab(node.bootstrap) as lab:
            for route in ROUTES:
                await lab.create_topic(place_of(route), PARTITIONS)
        source = {"type": "kafka", "bootstrap_servers": node.bootstrap}
        dead = [f"bridge.{route}.dead.v1" for route in ROUTES]
        async with (
            running_bridge(screen, api_url, source, "topics") as bridge,
            opened(AIOKafkaProducer(bootstrap_servers=node.bootstrap, acks="all")) as producer,
            opened(AIOKafkaConsumer(*dead, bootstrap_servers=node.bootstrap, auto_offset_reset="earliest")) as consumer,
        ):
            road = KafkaRoad(node, bridge, producer)
            watching = asyncio.create_task(road.watch(consumer))
            try:
                yield road
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)


def quickest_version() -> str:
    """Return the newest version that is at hand, else the newest."""
    quick = [version for version in VERSIONS if is_quick(version)]
    return (quick or VERSIONS)[-1]


def is_quick(version: str) -> bool:
    """Whether nothing has to be fetched for this version; an engine fetches its images by itself."""
    return engine_answers() or kafka_jars.at_hand(version)


def _name_of(header: str) -> str:
    """What Kafka's binding of CloudEvents calls an attribute that AMQP's writes `cloudEvents:type`."""
    return header.replace("cloudEvents:", "ce_")
