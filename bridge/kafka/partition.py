"""The books of one partition for as long as it is ours. No I/O, no clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from bridge.core.offsets import pack
from bridge.core.watermark import Watermark
from bridge.kafka.pace import Bounds
from bridge.model import Delivery

Ripe: TypeAlias = Callable[[Any], float]
"""When a record may be handed out, in epoch seconds."""


class Partition:
    """
    What was read, handed out and settled since this partition was assigned to us.

    `next` is the offset that is read next; `done` holds offsets from there on that an earlier owner settled.
    """

    def __init__(self, start: int, done: frozenset[int], bounds: Bounds, *, seen: int = -1, scope: str = "") -> None:
        """
        Begin at the offset `start`.

        `seen` is the highest offset that this process has handed out before, in another assignment. `scope` is what
        the metadata of its commits is written for.
        """
        self.next = start
        self.ours = True  # until it is revoked, lost, or begun anew
        self.gone = False  # its log begins anew: what was handed out of it comes never again
        self.closing = False  # to be revoked: nothing more is handed out
        self.full = False
        self.seen = seen
        self._before = seen
        self._low = start
        self._done = done
        self.scope = scope
        self._bounds = bounds
        self._marks = Watermark()
        self._buffer: deque[Any] = deque()
        self._out: dict[int, Any] = {}
        self._again: set[int] = set()  # given back in this assignment
        self._bytes = 0

    def __len__(self) -> int:
        """How many records are handed out and not settled."""
        return len(self._out)

    @property
    def low(self) -> int:
        """The offset to commit: everything below it is settled."""
        oldest = self._marks.oldest
        if oldest is not None:
            return oldest
        last = self._marks.last
        return self._low if last is None else last + 1

    @property
    def done(self) -> list[int]:
        """Settled offsets above `low`, and what an earlier owner settled that was not read yet."""
        return [*self._marks.beyond(), *(offset for offset in self._done if offset >= self.next)]

    def committable(self) -> tuple[int, str]:
        """What to commit: an offset, and what is done above it as text."""
        low = self.low
        return low, pack(low, self.done, self.scope)

    def take_in(self, records: Iterable[Any]) -> None:
        """Enter records in the order of their offsets, the first of which is at least `next`."""
        for record in records:
            offset = record.offset
            self._marks.start(offset)
            self.next = offset + 1
            if offset in self._done:
                self._marks.finish(offset)
            else:
                self._buffer.append(record)
                self._bytes += _size(record)
        self._weigh()

    def hand_out(self, limit: int, now: float, ripe: Ripe | None) -> list[tuple[Any, bool]]:
        """Up to `limit` records whose time has come, each with whether it was handed out before."""
        given: list[tuple[Any, bool]] = []
        while self._buffer and len(given) < limit and len(self._out) < self._bounds.out and not self.closing:
            record = self._buffer[0]
            if ripe is not None and ripe(record) > now:
                break
            self._buffer.popleft()
            self._out[record.offset] = record
            given.append((record, record.offset <= self._before or record.offset in self._again))
            self.seen = max(self.seen, record.offset)
        return given

    def ripe_at(self, ripe: Ripe) -> float | None:
        """When the head may be handed out; None when there is none that could."""
        if not self._buffer or self.closing or len(self._out) >= self._bounds.out:
            return None
        return ripe(self._buffer[0])

    def finish(self, offset: int) -> bool:
        """Settle one that is handed out; False for any other."""
        if not self.ours or (record := self._out.pop(offset, None)) is None:
            return False
        self._bytes -= _size(record)
        self._marks.finish(offset)
        self._again.discard(offset)
        self._weigh()
        return True

    def give_back(self, offset: int) -> bool:
        """Take one back that was handed out: it is the next to be handed out again. False for any other."""
        if not self.ours or (record := self._out.pop(offset, None)) is None:
            return False
        self._buffer.appendleft(record)
        self._again.add(offset)
        return True

    def close(self) -> None:
        """Hand out nothing more; forget what was read ahead."""
        self.closing = True
        self._buffer.clear()

    def owns(self, offset: int) -> bool:
        return self.ours and offset in self._out

    def _weigh(self) -> None:
        span = self.next - self.low
        bounds = self._bounds
        part = max(len(self._marks) / bounds.held, self._bytes / bounds.bytes, span / bounds.window)
        self.full = part >= 1 or (self.full and part > 0.5)  # noqa: PLR2004  half of the bound, so as not to flap


def _size(record: Any) -> int:
    return len(record.value or b"") + len(record.key or b"") + 64


def place_of(delivery: Delivery) -> tuple[Partition | None, int]:
    """The books that a delivery stands in, and its offset; (None, -1) for one of another source."""
    token = delivery.token
    if isinstance(token, tuple) and len(token) == 2 and isinstance(token[0], Partition):  # noqa: PLR2004  ours
        return token[0], token[1]
    return None, -1
