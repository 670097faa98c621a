"""Requests on their way, and the one clock that ends those that take too long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from bridge.targets.client import Done
from bridge.targets.failures import Failure


class Carrier(Protocol):
    """The connection that a trip is on."""

    def give_up(self, failure: Failure | None) -> None:
        """Close it, and end its trip with this failure; with None, nobody is told."""


class Queue(Protocol):
    """Where a trip waits for its connection."""

    def leave(self, trip: Trip, failure: Failure | None) -> None:
        """Let it wait no longer, and end it likewise."""


class Trip:
    """One request, from its start to the answer. It is the handle by which its owner gives it up."""

    __slots__ = ("body", "carrier", "deadline", "done", "head", "queue", "read_limit")

    def __init__(self, head: bytes, body: bytes, read_limit: int, done: Done, deadline: float) -> None:
        self.head = head
        self.body = body
        self.read_limit = read_limit
        self.done = done
        self.deadline = deadline
        self.carrier: Carrier | None = None
        self.queue: Queue | None = None

    def cancel(self) -> None:
        self.end(None)

    def end(self, failure: Failure | None) -> None:
        """End it from outside; it is neither on a connection nor waiting for one once it has ended."""
        if self.carrier is not None:
            self.carrier.give_up(failure)
        elif self.queue is not None:
            self.queue.leave(self, failure)


class Deadlines:
    """
    Ends trips when their time is up.

    All have the same time, so they run out in the order in which they began. One timer is set for the oldest; when it
    rings, mostly that one has long ended, and it is set anew for the one that is the oldest by then.
    """

    def __init__(self, expire: Callable[[Trip], None]) -> None:
        self._expire = expire
        self._running: dict[Trip, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._running)

    def add(self, trip: Trip) -> None:
        self._running[trip] = None
        if self._timer is None:
            self._set(trip.deadline)

    def remove(self, trip: Trip) -> None:
        self._running.pop(trip, None)

    def trips(self) -> list[Trip]:
        """All that are under way, the oldest first."""
        return list(self._running)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, when: float) -> None:
        self._timer = asyncio.get_running_loop().call_at(when, self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        late = []
        for trip in self._running:
            if trip.deadline > now:
                self._set(trip.deadline)
                break
            late.append(trip)
        for trip in late:
            self._expire(trip)
