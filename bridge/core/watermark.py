"""The highest position under which everything is finished: what Kafka may commit and AMQP may ack in one go."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence


class Watermark:
    """
    Follow the positions of one partition or channel.

    Positions start in rising order and finish in any. Gaps are no obstacle: what was never started (compacted away, or
    a transaction marker) is not waited for. Every operation costs O(1) on average.
    """

    __slots__ = ("_last", "_open", "_order")

    def __init__(self) -> None:
        self._order: deque[int] = deque()  # from the oldest open position on, finished ones in between included
        self._open: set[int] = set()
        self._last: int | None = None

    def __len__(self) -> int:
        """How many positions are open: started and not finished."""
        return len(self._open)

    @property
    def oldest(self) -> int | None:
        """The oldest open position: what holds the watermark back."""
        return self._order[0] if self._order else None

    @property
    def last(self) -> int | None:
        """The newest position that was started."""
        return self._last

    def beyond(self) -> list[int]:
        """The positions above the oldest open one that are finished, in order."""
        return [position for position in self._order if position not in self._open]

    def start(self, position: int) -> None:
        """Take note of a position that was received. Raises ValueError unless it is above all before it."""
        if self._last is not None and position <= self._last:
            raise ValueError(f"position {position} came after {self._last}, but positions must rise")
        self._last = position
        self._order.append(position)
        self._open.add(position)

    def begin(self, positions: Sequence[int]) -> None:
        """Take note of many at once. Raises ValueError, and notes none, unless each is above all before it."""
        last = self._last
        for position in positions:
            if last is not None and position <= last:
                raise ValueError(f"position {position} came after {last}, but positions must rise")
            last = position
        self._last = last
        self._order.extend(positions)
        self._open.update(positions)

    def finish(self, position: int) -> int | None:
        """
        Finish one position; return the watermark if this moved it, else None.

        Raises ValueError for a position that is not open, because then the books no longer tell what is safe.
        """
        if position not in self._open:
            raise ValueError(f"position {position} is not open")
        self._open.remove(position)
        mark = None
        while self._order and self._order[0] not in self._open:
            mark = self._order.popleft()
        return mark

    def settle(self, positions: Iterable[int]) -> tuple[int | None, list[int]]:
        """
        Finish many positions; return (the one to ack with all before it, those to ack one by one).

        The first is the highest of the given positions under the watermark, not the watermark itself: that one may
        have been acked singly before, and RabbitMQ closes the channel over a tag that is no longer unacked
        ("unknown delivery tag"), with multiple=True too. Raises ValueError as `finish` does.
        """
        given = sorted(positions)
        before = len(self._open)
        self._open.difference_update(given)
        if before - len(self._open) != len(given):
            raise ValueError("a position is not open, or given twice")
        mark = None
        order, still_open = self._order, self._open
        while order and order[0] not in still_open:
            mark = order.popleft()
        under = 0 if mark is None else bisect_right(given, mark)
        return (given[under - 1] if under else None), given[under:]
