"""Where the events of a road wait: a queue of RabbitMQ, or a topic of Kafka."""

from __future__ import annotations

import asyncio
import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka.errors import GroupCoordinatorNotAvailableError

from bench import events
from bench.peers.job import GROUP
from bench.publishing import Pace, RabbitMQPublisher, to_kafka
from devtools.kafka_lab import Lab
from devtools.rabbitmq import Node

PARTITIONS = 4


@dataclass(frozen=True, slots=True)
class Lane:
    """One kind of road."""

    road: str  # its name in figures
    title: str
    kind: str  # of the place at the broker
    arrays: bool

    def event(self, number: int, size: int = events.SIZE) -> bytes:
        return (events.inngest_event if self.arrays else events.trigger_event)(number, size)


class Place(ABC):
    """A place at a broker that can be filled, emptied and looked at. All calls block."""

    broker: str  # as its peers are called
    lanes: tuple[Lane, ...]
    address: str
    name: str
    group: str = GROUP  # of those who consume from Kafka

    @abstractmethod
    def source(self) -> dict[str, Any]:
        """The bridge's settings for it."""

    @abstractmethod
    def fill(self, kind: str, bodies: Sequence[bytes]) -> None:
        """Make it anew, and put events into it; all of them are safe when it returns."""

    @abstractmethod
    def publish(self, bodies: Sequence[bytes], pace: Pace) -> list[float]:
        """Put more into it, each at its time; return when each went out, in epoch seconds."""

    @abstractmethod
    def settled(self) -> bool:
        """Whether nothing is in it that nobody has settled."""

    @abstractmethod
    def clear(self) -> None:
        """Take it away."""


class Queue(Place):
    """A queue in a virtual host of RabbitMQ."""

    broker = "rabbitmq"
    lanes: tuple[Lane, ...] = (
        Lane("rabbitmq-post", "quorum queue -> one POST an event (Trigger.dev v1)", "quorum", arrays=False),
        Lane("rabbitmq-classic-post", "classic queue -> one POST an event (Trigger.dev v1)", "classic", arrays=False),
        Lane("rabbitmq-arrays", "quorum queue -> arrays (Inngest)", "quorum", arrays=True),
        Lane("rabbitmq-classic-arrays", "classic queue -> arrays (Inngest)", "classic", arrays=True),
    )
    name = "bench"

    def __init__(self, node: Node, vhost: str = "/") -> None:
        self.address = node.url_of(vhost)
        self._node, self._vhost = node, vhost

    def source(self) -> dict[str, Any]:
        return {"type": "rabbitmq", "url": self.address, "queue": self.name}

    def fill(self, kind: str, bodies: Sequence[bytes]) -> None:
        asyncio.run(events.declare(self.address, self.name, kind))
        with RabbitMQPublisher(self.address, self.name) as publisher:
            publisher.publish(bodies)

    def publish(self, bodies: Sequence[bytes], pace: Pace) -> list[float]:
        with RabbitMQPublisher(self.address, self.name) as publisher:
            return publisher.publish_paced(bodies, pace)

    def settled(self) -> bool:
        return self._node.depths(self._vhost)[self.name] == (0, 0)

    def clear(self) -> None:
        asyncio.run(events.delete(self.address, self.name))


class Topic(Place):
    """A topic of Kafka, another one each time: what a group has committed outlives a topic for a while."""

    broker = "kafka"
    lanes: tuple[Lane, ...] = (
        Lane(
            "kafka-post",
            f"topic of {PARTITIONS} partitions -> one POST an event (Trigger.dev v1)",
            "topic",
            arrays=False,
        ),
        Lane("kafka-arrays", f"topic of {PARTITIONS} partitions -> arrays (Inngest)", "topic", arrays=True),
    )

    def __init__(self, bootstrap: str, prefix: str = "bench") -> None:
        self.address = bootstrap
        self._names = (f"{prefix}.{number}" for number in itertools.count(1))

    def source(self) -> dict[str, Any]:
        return {"type": "kafka", "bootstrap_servers": self.address, "topics": self.name, "group_id": self.group}

    def fill(self, kind: str, bodies: Sequence[bytes]) -> None:  # noqa: ARG002  there is but one kind
        self.name = self.group = next(self._names)  # a group of its own too: nobody waits until a former member is gone
        asyncio.run(self._fill(bodies))

    async def _fill(self, bodies: Sequence[bytes]) -> None:
        async with Lab(self.address) as lab:
            await lab.create_topic(self.name, PARTITIONS)
        await to_kafka(self.address, self.name, bodies, None, PARTITIONS)

    def publish(self, bodies: Sequence[bytes], pace: Pace) -> list[float]:
        return asyncio.run(to_kafka(self.address, self.name, bodies, pace, PARTITIONS))

    def settled(self) -> bool:
        return asyncio.run(self._settled())

    async def _settled(self) -> bool:
        async with Lab(self.address) as lab:
            try:
                ends, committed = await lab.ends(self.name), await lab.committed(self.group)
            except GroupCoordinatorNotAvailableError:  # the broker's first group, which it is making room for
                return False
        reached = {number: at.offset for (topic, number), at in committed.items() if topic == self.name}
        return all(reached.get(number, 0) == end for number, end in ends.items())

    def clear(self) -> None:
        asyncio.run(self._clear())

    async def _clear(self) -> None:
        async with Lab(self.address) as lab:
            await lab.delete_topic(self.name)
