"""How `event-bridge publish` reaches a queue of RabbitMQ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING
from uuid import uuid4

from bridge.cli.shapes import Composed
from bridge.errors import Unavailable
from bridge.sources.rabbitmq import RabbitMQSourceSettings

if TYPE_CHECKING:
    from bridge.rabbitmq.connection import Session
    from bridge.rabbitmq.publisher import Outgoing


class ToRabbitMQ:
    """The queue that a route reads."""

    def __init__(self, source: RabbitMQSourceSettings, route: str) -> None:
        self.place = source.queue
        self._source, self._route = source, route
        self._where = f"routes.{route}.source"

    async def publish(self, batches: Iterable[Sequence[Composed]]) -> None:
        """Raises Unavailable when not all are confirmed, ConfigError for a queue that is not there."""
        from bridge.rabbitmq.publisher import Publisher

        publisher = Publisher(self._session, self._prepare, where=self._where)
        try:
            await publisher.open()
            for batch in batches:
                results = await publisher.publish([_outgoing(self.place, event) for event in batch])
                if failed := [result for result in results if result is not None]:
                    raise Unavailable(f"{len(failed)} were not taken: {failed[0]}")
        finally:
            await publisher.close()

    async def _session(self) -> Session:
        from bridge.rabbitmq.connection import connect

        return await connect(
            self._source.url,
            name=f"event-bridge publish {self._route}",
            where=self._where,
            heartbeat=self._source.heartbeat,
            ca_file=self._source.ca_file,
        )

    async def _prepare(self, made: Session) -> None:
        from bridge.rabbitmq.topology import Topology, ensure

        queue, mode = self._source.queue_to_declare(self._route), Topology(self._source.topology)
        await ensure(made, queue, mode, where=self._where)


def _outgoing(queue: str, event: Composed) -> Outgoing:
    from pamqp.commands import Basic

    from bridge.rabbitmq.publisher import Outgoing

    properties = Basic.Properties(
        headers=dict(event.headers), content_type=event.content_type, delivery_mode=2, message_id=uuid4().hex
    )
    return Outgoing("", queue, event.body, properties)
