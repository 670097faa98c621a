"""
Lanes: the events of one key one after the other, in the order in which they came.

A lane is a queue of slots. The first of it has its turn, and keeps it until it leaves; all others wait. Lanes come and
go with their slots, so only keys that are being worked on take memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field

from bridge.core.slots import Slot


@dataclass(slots=True, frozen=True, kw_only=True)
class StuckRule:
    """What becomes of an event that fails for longer than `after` seconds: buried, or waited for without end."""

    after: float = 300.0
    bury: bool = True


@dataclass(slots=True, eq=False)
class Trouble:
    """What holds a lane up. It outlives its slot when that comes again from the broker."""

    slot: Slot
    since: int  # ms on a clock that stands still in outages


@dataclass(slots=True, eq=False)
class Lane:
    """The slots of one key; the first has its turn."""

    queue: deque[Slot] = field(default_factory=deque)
    trouble: Trouble | None = None


class Lanes:
    """All lanes of a route. `now` arguments are epoch ms."""

    def __init__(self) -> None:
        self._lanes: dict[Hashable, Lane] = {}
        self._keys: dict[Slot, Hashable] = {}
        self._ready: list[Slot] = []
        self._stuck: set[Lane] = set()
        self._news: list[tuple[Slot, str]] = []
        self._frozen_at: int | None = None
        self._frozen = 0  # ms in all

    def __contains__(self, slot: Slot) -> bool:
        return slot in self._keys

    @property
    def waiting(self) -> int:
        """How many slots wait for their turn."""
        return len(self._keys) - len(self._lanes)

    @property
    def stuck(self) -> int:
        """How many lanes are held up by an event that was waited for long enough."""
        return len(self._stuck)

    def enter(self, key: Hashable, slot: Slot) -> bool:
        """Stand in line; whether it is the slot's turn at once."""
        lane = self._lanes.setdefault(key, Lane())
        lane.queue.append(slot)
        self._keys[slot] = key
        return len(lane.queue) == 1

    def leave(self, slot: Slot, *, comes_again: bool = False) -> None:
        """
        Give the turn to the next, who is then `ready`. A slot that stands in no lane may leave too.

        With `comes_again` another copy of the slot stands, or will stand, behind it. That one takes over what this one
        has gone through: its attempts, and the time since it first failed.
        """
        if (key := self._keys.pop(slot, None)) is None:
            return
        lane = self._lanes[key]
        assert lane.queue[0] is slot, "only the one whose turn it is leaves"
        lane.queue.popleft()
        if not (comes_again and lane.queue):
            self._relax(lane)
        if lane.queue:
            self._ready.append(self._next(lane))
        else:
            del self._lanes[key]

    def take_ready(self) -> list[Slot]:
        """Take the slots whose turn has come since the last call."""
        ready, self._ready = self._ready, []
        return ready

    def empty(self) -> list[Slot]:
        """Take everybody out who waits, lane by lane in order; for shutdown. The first of each lane stays."""
        waiting = [slot for lane in self._lanes.values() for slot in list(lane.queue)[1:]]
        for slot in waiting:
            self._lanes[self._keys.pop(slot)].queue.pop()
        return waiting

    def failed(self, slot: Slot, now: int) -> float:
        """For how many seconds the slot, whose turn it is, has been failing; 0 the first time."""
        lane = self._lanes[self._keys[slot]]
        if lane.trouble is None or lane.trouble.slot is not slot:
            self._relax(lane)
            lane.trouble = Trouble(slot, self._clock(now))
        return (self._clock(now) - lane.trouble.since) / 1000

    def stick(self, slot: Slot, reason: str) -> None:
        """Count the lane of a slot that has `failed` as stuck."""
        lane = self._lanes[self._keys[slot]]
        if lane not in self._stuck:
            self._stuck.add(lane)
            self._news.append((slot, reason))

    def take_news(self) -> list[tuple[Slot, str]]:
        """Take the slots that were found to be stuck since the last call, each once, with what they fail of."""
        news, self._news = self._news, []
        return news

    def freeze(self, now: int) -> None:
        """Let no time pass for what fails: something that all events need is away."""
        if self._frozen_at is None:
            self._frozen_at = now

    def thaw(self, now: int) -> None:
        if self._frozen_at is not None:
            self._frozen += max(0, now - self._frozen_at)
            self._frozen_at = None

    @staticmethod
    def _next(lane: Lane) -> Slot:
        """Whose turn it is now; a later copy of what failed takes over from it."""
        slot, trouble = lane.queue[0], lane.trouble
        if trouble is not None and trouble.slot.key == slot.key:
            slot.attempt, slot.first_seen = trouble.slot.attempt, trouble.slot.first_seen
            trouble.slot = slot
        return slot

    def _clock(self, now: int) -> int:
        """Time without outages, in ms."""
        return (now if self._frozen_at is None else self._frozen_at) - self._frozen

    def _relax(self, lane: Lane) -> None:
        lane.trouble = None
        self._stuck.discard(lane)
