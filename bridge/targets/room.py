"""How many requests are under way at once: the others wait, first come, first served."""

from __future__ import annotations

from collections import deque
from typing import Protocol


class Turn(Protocol):
    """What waits for a place."""

    over: bool  # it no longer wants one

    def begin(self) -> None:
        """Its turn has come: it calls `Room.leave` once when it needs its place no more. Never raises."""


class Room:
    """So many places; `limit` may change at any time."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.under_way = 0
        self._waiting: deque[Turn] = deque()
        self._admitting = False

    @property
    def crowded(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)

    def enter(self, turn: Turn) -> None:
        """Begin at once where there is a place, else when it is its turn."""
        if self.under_way < self.limit and not self._waiting:
            self.under_way += 1
            turn.begin()
        else:
            self._waiting.append(turn)
            self._admit()

    def leave(self) -> None:
        self.under_way -= 1
        if self._waiting:
            self._admit()

    def _admit(self) -> None:
        """Let in whoever has a place. A turn may be over at once and call us again, which must not nest."""
        if self._admitting:
            return
        self._admitting = True
        try:
            while self._waiting and self.under_way < self.limit:
                turn = self._waiting.popleft()
                if not turn.over:
                    self.under_way += 1
                    turn.begin()
        finally:
            self._admitting = False
