"""What is sent to Kafka, and why something cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.core.pairs import Pair


@dataclass(slots=True, frozen=True)
class Outgoing:
    """One record. Without a `partition` the key chooses one, and without a key chance does."""

    topic: str
    key: bytes | None
    value: bytes
    headers: Sequence[Pair] = ()
    partition: int | None = None


class Refused(ValueError):
    """The brokers take other records, but not this one."""


class TooLarge(Refused):
    """A record of `size` bytes for a topic that takes `limit`."""

    def __init__(self, topic: str, size: int, limit: int) -> None:
        super().__init__(f"{size} bytes, more than the {limit} that topic {topic} takes (max.message.bytes)")
        self.topic = topic
        self.size = size
        self.limit = limit
