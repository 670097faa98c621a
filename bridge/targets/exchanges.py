"""The requests of one call of `send`: under way side by side, split where need be, handed out as they finish."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Sequence

from bridge.model import Envelope, Outcome, Rejected, Retryable
from bridge.ports import Api, Groups

log = logging.getLogger(__name__)

Slots = Sequence[int]
Exchange = Callable[[Slots], Awaitable[Sequence[Outcome | None]]]


def refusals(api: Api, events: Sequence[Envelope]) -> dict[int, Outcome]:
    """Ask the API which of the events it can never take."""
    reasons = {slot: api.refuse(event) for slot, event in enumerate(events)}
    return {slot: Rejected(reason) for slot, reason in reasons.items() if reason is not None}


def slices(api: Api, events: Sequence[Envelope], slots: Slots) -> list[Slots]:
    """Cut the slots into requests: each of one group, none over the API's limit, in order within a group."""
    if api.batch_limit == 1:
        return [[slot] for slot in slots]
    groups: dict[Hashable, list[int]] = {}
    for slot in slots:
        groups.setdefault(api.group(events[slot]), []).append(slot)
    limit = api.batch_limit
    return [group[start : start + limit] for group in groups.values() for start in range(0, len(group), limit)]


def halves(slots: Slots) -> list[Slots]:
    """Cut in two, so that in the end each stands alone."""
    middle = (len(slots) + 1) // 2
    return [half for half in (slots[:middle], slots[middle:]) if half]


class Exchanges:
    """Runs exchanges until every slot has its outcome, and hands out what has finished since the last look."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._tasks: set[asyncio.Task[None]] = set()
        self._finished: list[tuple[int, Outcome]] = []
        self._wake = asyncio.Event()

    async def groups(self, parts: Sequence[Slots], known: dict[int, Outcome]) -> Groups:
        """Send all parts; yield first what was known without sending, then the rest in groups as they finish."""
        left = len(known) + sum(map(len, parts))
        self._finish(list(known.items()))
        try:
            for part in parts:
                self._start(part)
            while left:
                await self._wake.wait()
                self._wake.clear()
                group, self._finished = self._finished, []
                left -= len(group)
                yield group
        finally:
            await self._cancel()

    def _start(self, slots: Slots) -> None:
        task = asyncio.create_task(self._run(slots))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(done, slots))

    async def _run(self, slots: Slots) -> None:
        outcomes = await self._exchange(slots)
        pairs = list(zip(slots, outcomes, strict=True))
        known = [(slot, outcome) for slot, outcome in pairs if outcome is not None]
        unknown = [slot for slot, outcome in pairs if outcome is None]
        if len(slots) == 1 and unknown:
            known, unknown = [(slots[0], Retryable("the answer says nothing about this event"))], []
        for half in halves(unknown):
            self._start(half)
        self._finish(known)

    def _ended(self, task: asyncio.Task[None], slots: Slots) -> None:
        """Give an outcome to the slots of a task that a fault of ours has ended: they are tried again, never lost."""
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("request_faulty", exc_info=error, extra={"events": len(slots)})
        if error is not None or task.cancelled():
            reason = f"a fault in the bridge: {type(error).__name__ if error else 'cancelled'}"
            self._finish([(slot, Retryable(reason)) for slot in slots])

    def _finish(self, group: list[tuple[int, Outcome]]) -> None:
        if group:
            self._finished += group
            self._wake.set()

    async def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
