"""Where the events of a road wait: a queue of RabbitMQ, or a topic of Kafka."""

from __future__ import annotations

import asyncio
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bench import events
from bench.peers.job import GROUP
from devtools.kafka_lab import Lab
from devtools.rabbitmq import Node

PARTITIONS = 4


@dataclass(frozen=True, slots=True)
class Lane:
    """One kind of road."""

    title: str
    kind: str  # of the place at the broker
    arrays: bool

    @property
    def event(self) -> Callable[[int], bytes]:
        return events.inngest_event if self.arrays else events.trigger_event


class Place(ABC):
    """A place at a broker that can be filled, emptied and looked at. All calls block."""

    broker: str  # as its peers are called
    lanes: tuple[Lane, ...]
    address: str
    name: str

    @abstractmethod
    def source(self) -> dict[str, Any]:
        """The bridge's settings for it."""

    @abstractmethod
    def fill(self, kind: str, bodies: Sequence[bytes]) -> None:
        """Make it anew, and put events into it; all of them are safe when it returns."""

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
        Lane("quorum queue -> one POST an event (Trigger.dev v1)", "quorum", arrays=False),
        Lane("classic queue -> one POST an event (Trigger.dev v1)", "classic", arrays=False),
        Lane("quorum queue -> arrays (Inngest)", "quorum", arrays=True),
        Lane("classic queue -> arrays (Inngest)", "classic", arrays=True),
    )
    name = "bench"

    def __init__(self, node: Node, vhost: str = "/") -> None:
        self.address = node.url_of(vhost)
        self._node, self._vhost = node, vhost

    def source(self) -> dict[str, Any]:
        return {"type": "rabbitmq", "url": self.address, "queue": self.name}

    def fill(self, kind: str, bodies: Sequence[bytes]) -> None:
        asyncio.run(self._fill(kind, bodies))

    async def _fill(self, kind: str, bodies: Sequence[bytes]) -> None:
        await events.declare(self.address, self.name, kind)
        await events.fill(self.address, self.name, bodies)

    def settled(self) -> bool:
        return self._node.depths(self._vhost)[self.name] == (0, 0)

    def clear(self) -> None:
        asyncio.run(events.delete(self.address, self.name))


class Topic(Place):
    """A topic of Kafka, another one each time: what a group has committed outlives a topic for a while."""

    broker = "kafka"
    lanes: tuple[Lane, ...] = (
        Lane(f"topic of {PARTITIONS} partitions -> one POST an event (Trigger.dev v1)", "topic", arrays=False),
        Lane(f"topic of {PARTITIONS} partitions -> arrays (Inngest)", "topic", arrays=True),
    )

    def __init__(self, bootstrap: str, prefix: str = "bench") -> None:
        self.address = bootstrap
        self._names = (f"{prefix}.{number}" for number in itertools.count(1))

    def source(self) -> dict[str, Any]:
        return {"type": "kafka", "bootstrap_servers": self.address, "topics": self.name, "group_id": GROUP}

    def fill(self, kind: str, bodies: Sequence[bytes]) -> None:  # noqa: ARG002  there is but one kind
        self.name = next(self._names)
        asyncio.run(self._fill(bodies))

    async def _fill(self, bodies: Sequence[bytes]) -> None:
        async with Lab(self.address) as lab:
            await lab.create_topic(self.name, PARTITIONS)
            for partition in range(PARTITIONS):
                await lab.produce(self.name, bodies[partition::PARTITIONS], partition=partition)

    def settled(self) -> bool:
        return asyncio.run(self._settled())

    async def _settled(self) -> bool:
        async with Lab(self.address) as lab:
            ends, committed = await lab.ends(self.name), await lab.committed(GROUP)
        reached = {number: at.offset for (topic, number), at in committed.items() if topic == self.name}
        return reached == ends

    def clear(self) -> None:
        asyncio.run(self._clear())

    async def _clear(self) -> None:
        async with Lab(self.address) as lab:
            await lab.delete_topic(self.name)
