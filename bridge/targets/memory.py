"""A target within this process: it answers as it is told, and remembers what it got."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from bridge.apis import MemorySettings
from bridge.model import Accepted, Envelope, Outcome
from bridge.ports import Groups


@dataclass(slots=True, frozen=True)
class Sent:
    """One event as it arrived, the attempt it came with, and what it was told."""

    event: Envelope
    attempt: int
    outcome: Outcome


class MemoryTarget:
    """
    Accepts every event unless `answer` has told it otherwise.

    `log` holds the last sends. With `dedups_by_id` it knows the ids it has accepted (the last ones, too) and says so.
    """

    def __init__(self, settings: MemorySettings | None = None) -> None:
        self._settings = settings or MemorySettings(type="memory")
        self.dedups_by_id = self._settings.dedups_by_id
        self.log: deque[Sent] = deque(maxlen=self._settings.keep)
        self.refreshed = 0
        self._answers: dict[str | None, deque[Outcome]] = {}
        self._accepted: dict[str, None] = {}

    def answer(self, *outcomes: Outcome, event_id: str | None = None) -> None:
        """Answer the next sends like this, one outcome each: those of one event, or of any event without its own."""
        self._answers.setdefault(event_id, deque()).extend(outcomes)

    @property
    def accepted(self) -> list[Envelope]:
        """The events it took, duplicates left out."""
        return [sent.event for sent in self.log if isinstance(sent.outcome, Accepted) and not sent.outcome.duplicate]

    async def open(self) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        """Nothing to let go of."""

    def refresh(self) -> None:
        self.refreshed += 1

    def native_delay(self, event: Envelope, now: int) -> bool:
        return event.due_at is not None and 0 < event.due_at - now <= self._settings.native_delay * 1000

    async def send(self, events: Sequence[Envelope], attempts: Sequence[int]) -> Groups:
        await asyncio.sleep(0)  # others have their turn, as they have with a target that is far away
        group = [(slot, self._take(events[slot], attempts[slot])) for slot in range(len(events))]
        if group:
            yield group

    def _take(self, event: Envelope, attempt: int) -> Outcome:
        answers = self._answers.get(event.id) or self._answers.get(None)
        outcome = answers.popleft() if answers else Accepted(event.id)
        if isinstance(outcome, Accepted) and self.dedups_by_id:
            if event.id in self._accepted:
                outcome = Accepted(event.id, duplicate=True)
            self._remember(event.id)
        self.log.append(Sent(event, attempt, outcome))
        return outcome

    def _remember(self, event_id: str) -> None:
        self._accepted[event_id] = None
        if len(self._accepted) > self._settings.keep:
            self._accepted.pop(next(iter(self._accepted)))
