"""The partitions that are ours, and what of them may be handed out next. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from aiokafka import TopicPartition

from bridge.kafka.membership import Start
from bridge.kafka.pace import Bounds
from bridge.kafka.partition import Partition, Ripe

Ripening: TypeAlias = Callable[[str], Ripe]
"""By the topic, when a record of it may be handed out."""


class Shelf:
    """Books by partition. `seen` outlives them: the highest offset of each that this process has handed out."""

    def __init__(self, bounds: Bounds, ripening: Ripening | None, seen: dict[TopicPartition, int]) -> None:
        self._bounds = bounds
        self._ripening = ripening
        self._seen = seen
        self._parts: dict[TopicPartition, Partition] = {}

    def __iter__(self) -> Iterator[tuple[TopicPartition, Partition]]:
        return iter(self._parts.items())

    def get(self, place: TopicPartition) -> Partition | None:
        return self._parts.get(place)

    def open(self, place: TopicPartition, start: Start) -> Partition:
        """New books; what was handed out under the old ones counts no more."""
        if start.anew:
            self.forget(place)
            if (old := self._parts.get(place)) is not None:
                old.gone = True
        self.remove(place)
        seen = self._seen.get(place, -1)
        ripe = None if self._ripening is None else self._ripening(place.topic)
        part = Partition(start.offset, start.done, self._bounds, seen=seen, scope=start.scope, ripe=ripe)
        self._parts[place] = part
        return part

    def remove(self, place: TopicPartition) -> None:
        if (part := self._parts.pop(place, None)) is not None:
            part.ours = False

    def forget(self, place: TopicPartition) -> None:
        """Offsets that were handed out before belong to another log."""
        self._seen.pop(place, None)

    def take(self, limit: int, now: float) -> list[tuple[TopicPartition, Partition, list[Any]]]:
        """
        Up to `limit` records that may be handed out, from one partition after the other, with its books.

        `now` is in epoch seconds.
        """
        taken: list[tuple[TopicPartition, Partition, list[Any]]] = []
        for place, part in list(self._parts.items()):
            if records := part.hand_out(limit, now):
                taken.append((place, part, records))
                self._seen[place] = max(self._seen.get(place, -1), part.seen)
                self._parts[place] = self._parts.pop(place)  # to the end of the queue: the others go first
                limit -= len(records)
            if limit <= 0:
                break
        return taken

    def ripe_at(self) -> float | None:
        """When the next head may be handed out, in epoch seconds; None where that is no question of time."""
        if self._ripening is None:
            return None
        return min((at for part in self._parts.values() if (at := part.ripe_at()) is not None), default=None)
