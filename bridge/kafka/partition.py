"""The books of one partition for as long as it is ours. No I/O, no clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Final, TypeAlias

from bridge.core.offsets import pack
from bridge.core.watermark import Watermark
from bridge.kafka.pace import Bounds
from bridge.model import Delivery

Ripe: TypeAlias = Callable[[Any], float]
"""When a record may be handed out, in epoch seconds."""


RECORD: Final = 64  # bytes that are counted for a record itself


class Partition:
    """
    What was read, handed out and settled since this partition was assigned to us.

    `next` is the offset that is read next; `done` holds offsets from there on that an earlier owner settled.
    """

    def __init__(
        self,
        start: int,
        done: frozenset[int],
        bounds: Bounds,
        *,
        seen: int = -1,
        scope: str = "",
        ripe: Ripe | None = None,
    ) -> None:
        """
        Begin at the offset `start`.

        `seen` is the highest offset that this process has handed out before, in another assignment. `scope` is what
        the metadata of its commits is written for. `ripe` says from when on a record may be handed out.
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
        self._ripe = ripe
        self._marks = Watermark()
        self._buffer: deque[Any] = deque()
        self._out: dict[int, Any] = {}
        self._again: set[int] = set()  # given back in this assignment
        self._bytes = 0
        self._to_commit: tuple[int, str] | None = None  # until something changes it

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
        if self._to_commit is None:
            low = self.low
            self._to_commit = low, pack(low, self.done, self.scope)
        return self._to_commit

    @property
    def ready(self) -> bool:
        """Whether something may be handed out, if it is ripe."""
        return bool(self._buffer) and not self.closing and len(self._out) < self._bounds.out

    def take_in(self, records: Sequence[Any]) -> None:
        """Enter records in the order of their offsets, the first of which is at least `next`."""
        if not records:
            return
        offsets = [record.offset for record in records]
        self._marks.begin(offsets)
        self.next = offsets[-1] + 1
        self._to_commit = None
        if known := self._done.intersection(offsets):
            self._marks.settle(known)
            records = [record for record in records if record.offset not in known]
        self._buffer += records
        self._bytes += _size(records)
        self._weigh()

    def hand_out(self, limit: int, now: float) -> list[Any]:
        """Up to `limit` records whose time has come."""
        room = min(limit, self._bounds.out - len(self._out), len(self._buffer))
        if room <= 0 or self.closing:
            return []
        if self._ripe is not None:
            room = self._ripe_heads(self._ripe, room, now)
        given = [self._buffer.popleft() for _ in range(room)]
        if given:
            offsets = [record.offset for record in given]
            self._out.update(zip(offsets, given, strict=True))
            self.seen = max(self.seen, *offsets)
        return given

    def was_out(self, offset: int) -> bool:
        """Whether what is handed out now was handed out before."""
        return offset <= self._before or offset in self._again

    def repeats(self, offset: int) -> bool:
        """Whether anything from this offset on may have been handed out before."""
        return offset <= self._before or bool(self._again)

    def ripe_at(self) -> float | None:
        """When the head may be handed out; None when there is none that could, or where that is no question of time."""
        return self._ripe(self._buffer[0]) if self._ripe is not None and self.ready else None

    def finish(self, *offsets: int) -> int:
        """Settle those of them that are handed out; return how many these are."""
        if not self.ours:
            return 0
        records = [self._out.pop(offset) for offset in offsets if offset in self._out]
        self._to_commit = None
        self._bytes -= _size(records)
        self._marks.settle([record.offset for record in records])
        if self._again:
            self._again.difference_update(offsets)
        if self.full:
            self._weigh()
        return len(records)

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

    def _ripe_heads(self, ripe: Ripe, limit: int, now: float) -> int:
        """How many of the first `limit` may be handed out before one that may not."""
        for count, record in enumerate(islice(self._buffer, limit)):
            if ripe(record) > now:
                return count
        return limit

    def _weigh(self) -> None:
        span = self.next - self.low
        bounds = self._bounds
        part = max(len(self._marks) / bounds.held, self._bytes / bounds.bytes, span / bounds.window)
        self.full = part >= 1 or (self.full and part > 0.5)  # noqa: PLR2004  half of the bound, so as not to flap


def _size(records: Sequence[Any]) -> int:
    return sum([len(record.value or b"") + len(record.key or b"") for record in records]) + RECORD * len(records)


def place_of(delivery: Delivery) -> tuple[Partition | None, int]:
    """The books that a delivery stands in, and its offset; (None, -1) for one of another source."""
    token = delivery.token
    if type(token) is tuple and len(token) == 2 and type(token[0]) is Partition:  # noqa: PLR2004  ours
        return token
    return None, -1
