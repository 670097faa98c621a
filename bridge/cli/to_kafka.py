"""How `event-bridge publish` reaches a topic of Kafka."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from bridge.cli.shapes import Composed
from bridge.errors import ConfigError, Unavailable
from bridge.settings.problems import Problem
from bridge.sources.kafka import KafkaSourceSettings

if TYPE_CHECKING:
    from bridge.kafka.producer import Outgoing


class ToKafka:
    """A topic that a route reads. `key` is the key of each record."""

    def __init__(self, source: KafkaSourceSettings, route: str, topic: str, key: str | None) -> None:
        self.place = topic
        self._source, self._where = source, f"routes.{route}.source"
        self._key = None if key is None else key.encode()

    async def publish(self, batches: Iterable[Sequence[Composed]]) -> None:
        """Raises Unavailable when not all are in sync on the brokers, ConfigError for a topic that is not there."""
        from bridge.kafka.producer import Producer

        producer = Producer(self._source, where=self._where, prepare=self._prepare)
        try:
            await producer.open()
            for batch in batches:
                results = await producer.send([self._outgoing(event) for event in batch])
                if failed := [result for result in results if result is not None]:
                    raise Unavailable(f"{len(failed)} were not taken: {failed[0]}")
        finally:
            await producer.close()

    async def _prepare(self, admin: Any) -> None:
        """Nothing is created: whoever owns the topic decides on its partitions."""
        from bridge.kafka.topics import look

        if self.place not in await look(admin, [self.place], where=self._where):
            raise ConfigError(f"{self._where}.topics", f"there is no topic {self.place}", "Create it")

    def _outgoing(self, event: Composed) -> Outgoing:
        from bridge.kafka.producer import Outgoing

        headers = [("content-type", event.content_type.encode())]
        headers += [(name, str(value).encode()) for name, value in event.headers.items()]
        return Outgoing(self.place, self._key, event.body, headers)


def topic_of(source: KafkaSourceSettings, wanted: str | None) -> str:
    """Find the topic to publish to: the one that is asked for, else the only one. Raises Problem."""
    if wanted is None:
        if len(source.topics) == 1:
            return source.topics[0]
        named = f"{len(source.topics)} topics" if source.topics else "a pattern of topics"
        raise Problem("--topic", f"is missing, and the source reads {named}", "Name one of them")
    pattern = source.topic_pattern
    if wanted in source.topics or (pattern is not None and re.fullmatch(pattern, wanted)):
        return wanted
    read = ", ".join(source.topics) or f"what matches {pattern}"
    raise Problem("--topic", f"the source does not read {wanted}", f"Name one that it reads: {read}")
