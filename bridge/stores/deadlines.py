"""Which keys may have expired by now, in O(1) a key."""

from __future__ import annotations

import heapq
from collections.abc import Iterator


class Deadlines:
    """
    Keys in buckets of `step` ms, each bucket handed out once it lies wholly in the past.

    An entry is a hint, not a fact: a key whose record was prolonged since has an entry in a later bucket as well.
    """

    def __init__(self, step: int = 60_000) -> None:
        self._step = step
        self._buckets: dict[int, list[bytes]] = {}
        self._order: list[int] = []  # a heap of the bucket numbers

    def add(self, key: bytes, until: int) -> None:
        number = until // self._step
        if (bucket := self._buckets.get(number)) is None:
            bucket = self._buckets[number] = []
            heapq.heappush(self._order, number)
        bucket.append(key)

    def pop(self, now: int) -> Iterator[bytes]:
        """Take out every key whose deadline, rounded up to `step`, has passed."""
        while self._order and self._order[0] < now // self._step:
            yield from self._buckets.pop(heapq.heappop(self._order))
