"""The demo on a real RabbitMQ: a private node, and the bridge as a process of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from devtools import debian
from devtools.containers import engine_answers
from devtools.demo.beside import Bridge, place_of, running_bridge
from devtools.demo.road import ROUTES, DeadLetter, private_broker
from devtools.demo.screen import Screen
from devtools.demo.story import Parcel
from devtools.rabbitmq import VERSIONS, Node, private_node

DLQ = "x-bridge-dlq-"


class RabbitMQRoad:
    """One queue a route; the dead letters are watched where they lie, and stay there."""

    def __init__(self, node: Node, bridge: Bridge) -> None:
        self.admin_url = bridge.admin_url
        self._dead: list[DeadLetter] = []
        self._node, self._bridge = node, bridge
        self._channel: AbstractChannel | None = None

    @property
    def dead(self) -> Sequence[DeadLetter]:
        return self._dead

    async def connect(self, connection: aio_pika.abc.AbstractConnection) -> None:
        """Get ready to publish, and watch the dead letters. The bridge has made their queues."""
        self._channel = await connection.channel(on_return_raises=True)
        for route in ROUTES:
            queue = await self._channel.get_queue(f"bridge.{route}.dead.v1")
            await queue.consume(self._found_dead)

    async def publish(self, route: str, parcel: Parcel) -> None:
        assert self._channel is not None
        letter = aio_pika.Message(
            parcel.body,
            headers=dict(parcel.headers),
            content_type=parcel.content_type,
            message_id=parcel.message_id,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )
        await self._channel.default_exchange.publish(letter, place_of(route), timeout=30)

    def check(self) -> None:
        self._bridge.check()

    async def stop(self) -> int:
        return await self._bridge.stop()

    def addresses(self) -> Sequence[tuple[str, str]]:
        return [("RabbitMQ", f"{self._node.url}  ({self._node.version})"), *self._bridge.addresses()]

    async def _found_dead(self, letter: AbstractIncomingMessage) -> None:
        said = {key: str(value) for key, value in letter.headers.items()}
        self._dead.append(
            DeadLetter(
                route=said.get(f"{DLQ}route", ""),
                message_id=said.get(f"{DLQ}message-id", ""),
                event_id=said.get(f"{DLQ}event-id", ""),
                name=said.get(f"{DLQ}event-name", ""),
                kind=said.get(f"{DLQ}kind", ""),
                reason=said.get(f"{DLQ}reason", ""),
            )
        )


@asynccontextmanager
async def rabbitmq_road(screen: Screen, api_url: str) -> AsyncIterator[RabbitMQRoad]:
    """Start a broker and the bridge, and end both. Raises NoBrokerError, and RoadError when the bridge fails."""
    version = quickest_version()
    async with private_broker(screen, "RabbitMQ", version, private_node, quick=is_quick(version)) as node:
        source = {"type": "rabbitmq", "url": node.url, "topology": "declare"}
        async with (
            running_bridge(screen, api_url, source, "queue") as bridge,
            await aio_pika.connect(node.url) as connection,
        ):
            road = RabbitMQRoad(node, bridge)
            await road.connect(connection)
            yield road


def quickest_version() -> str:
    """Return the newest version that is at hand, else the one that this machine's own release carries."""
    quick = [version for version in VERSIONS if is_quick(version)]
    own = [version for version in VERSIONS if debian.RELEASES[version] == debian.release()]
    return (quick or own or VERSIONS)[-1]


def is_quick(version: str) -> bool:
    """Whether nothing has to be installed for this version; an engine fetches its images by itself."""
    return engine_answers() or debian.at_hand(version)
