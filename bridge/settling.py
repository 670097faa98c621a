"""
Carries endings out, in the order that is law: durable act, then store, then settle.

Nothing here decides. What cannot be made safe stays unsettled, and the broker keeps it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from bridge.core.ledger import Ledger
from bridge.core.slots import Carrier, Ending, Mark, Park, Result, Slot
from bridge.core.tally import Tally
from bridge.errors import Disconnected, Unavailable
from bridge.intake import Intake
from bridge.model import Burial, Hold, Schedule, Stage, Verdict
from bridge.owed import Owed
from bridge.parking import Parking
from bridge.ports import DeadLetters, DelayLine, KeyStore, Source

log = logging.getLogger(__name__)

Endings = Sequence[tuple[Slot, Ending]]

_DURABLE: Final = (Hold, Burial)  # acts that others have to confirm


@dataclass(slots=True, frozen=True, kw_only=True)
class Settling:
    """
    Makes endings real. `ttl` (of marks) and `max_hold` (how long to wait for the store) are seconds.

    Where events go on without a store that is away, `owed` keeps the marks for it.

    Where the order of events matters, `closed` is told of what has become real, and nothing is returned by hand: what a
    broker takes back all at once, when its session ends, it hands out again in the old order.
    """

    sources: Mapping[Stage, Source]
    store: KeyStore
    delay: DelayLine
    dead_letters: DeadLetters
    intake: Intake
    parking: Parking
    tally: Tally
    ttl: float
    max_hold: float
    owed: Owed | None = None
    closed: Callable[[Endings], None] | None = None

    def owns(self, slot: Slot) -> bool:
        """Whether the broker still counts on us for it: settling it would be heard."""
        delivery = slot.carrier.delivery
        return self.sources[delivery.stage].owns(delivery)

    async def carry_out(self, ledger: Ledger, owner: str) -> None:
        """
        Make everything real that the ledger has decided so far.

        Raises Unavailable at shutdown, when an act could not be made durable: its slots stay open in the ledger.
        """
        while endings := ledger.take_endings():
            acting = [(slot, ending) for slot, ending in endings if isinstance(ending.act, _DURABLE)]
            if not acting:
                await self._finish(ledger, endings, owner)
                continue
            # What needs no durable act does not wait for a delay line or dead letters that may be away.
            plain = [(slot, ending) for slot, ending in endings if not isinstance(ending.act, _DURABLE)]
            await self._finish(ledger, plain, owner)
            done = await self._hold(ledger, acting)
            await self._bury(done)
            await self._finish(ledger, done, owner)

    async def give_back(self, ledger: Ledger) -> None:
        """Return every slot that is still open to the broker."""
        leaders = ledger.leaders
        ledger.open.clear()
        await self.return_slots(leaders)

    async def return_slots(self, slots: Sequence[Slot]) -> None:
        """Give slots back that no ledger has any more. A delivery goes back once nothing of it is in flight."""
        closed: list[Carrier] = []
        for slot in slots:
            self._leave(slot, Result.RETURNED, closed)
        await self._settle(closed)

    async def _finish(self, ledger: Ledger, endings: Endings, owner: str) -> None:
        if endings:
            await self._mark(endings, owner)
            await self._close(ledger, endings)

    async def _hold(self, ledger: Ledger, endings: Endings) -> Endings:
        """Hold what is to be held; what can never be held gets another ending, so it is not in the result."""
        holds = [(slot, ending.act) for slot, ending in endings if isinstance(ending.act, Hold)]
        if not holds:
            return endings
        results = await self.intake.insist("delay", lambda: self.delay.hold([hold for _, hold in holds]))
        refused = {slot: error for (slot, _), error in zip(holds, results, strict=True) if error is not None}
        for slot, error in refused.items():
            ledger.unholdable(slot, str(error))
        return [(slot, ending) for slot, ending in endings if slot not in refused] if refused else endings

    async def _bury(self, endings: Endings) -> None:
        burials = [ending.act for _, ending in endings if isinstance(ending.act, Burial)]
        if burials:
            await self.intake.insist("dead_letters", lambda: self.dead_letters.bury(burials))
            for burial in burials:
                self.tally.buried[burial.kind] += 1
                details = {"kind": burial.kind, "reason": burial.reason, "event_id": burial.event_id}
                log.warning("event_buried", extra={**details, "event_name": burial.name})

    async def _mark(self, endings: Endings, owner: str) -> None:
        commits = [slot.key for slot, ending in endings if ending.mark is Mark.COMMIT]
        try:
            if commits:
                await self._tell(partial(self.store.commit, commits, ttl=self.ttl))
            if len(commits) < len(endings):
                await self._mark_others(endings, owner)
        except Unavailable:
            # The events are safe already. What the store does not know can only cost a second send.
            if self.owed is not None:
                self.owed.owe(commits)  # claims end by themselves, and a copy without a record goes on when it is due
                return
            self.tally.marks_failed += sum(ending.mark is not Mark.NONE for _, ending in endings)
            log.exception("marks_failed")

    async def _mark_others(self, endings: Endings, owner: str) -> None:
        releases = [slot.key for slot, ending in endings if ending.mark is Mark.RELEASE]
        schedules = [
            Schedule(slot.key, ending.act.ticket.gen, ending.act.ticket.due_at)
            for slot, ending in endings
            if ending.mark is Mark.SCHEDULE and isinstance(ending.act, Hold)
        ]
        if releases:
            await self._tell(partial(self.store.release, releases, owner=owner))
        if schedules:
            await self._tell(partial(self.store.schedule, schedules, owner=owner, ttl=self.ttl))

    def _tell(self, act: Callable[[], Awaitable[None]]) -> Awaitable[None]:
        return act() if self.owed is not None else self.intake.insist("store", act, self.max_hold)

    async def _close(self, ledger: Ledger, endings: Endings) -> None:
        closed: list[Carrier] = []
        for slot, ending in endings:
            ledger.close(slot)
            if isinstance(ending.act, Park):
                self.tally.events[Result.PARKED] += 1
                self.parking.park(slot, ending.act.until)
            else:
                self._leave(slot, ending.result, closed)
        if self.closed is not None:
            self.closed(endings)
        await self._settle(closed)

    def _leave(self, slot: Slot, result: Result, closed: list[Carrier]) -> None:
        """Take a slot and its twins off their carriers; `closed` gets those that are complete by that."""
        events = self.tally.events
        events[result] += 1
        if slot.twins:
            events[Result.RETURNED if result is Result.RETURNED else Result.DUPLICATE] += len(slot.twins)
        for member in (slot, *slot.twins) if slot.twins else (slot,):
            carrier = member.carrier
            if result is Result.RETURNED:
                carrier.returned = True
            elif member.control is not None:
                self._tell_of_orders(member)
            carrier.open -= 1
            if not carrier.open:
                closed.append(carrier)

    def _tell_of_orders(self, slot: Slot) -> None:
        if slot.control is not None and slot.effect is not None:
            self.tally.controls[slot.control.op, slot.effect] += 1
            details = {"op": slot.control.op.value, "result": slot.effect.value}
            log.info("control_obeyed", extra={**details, "event_id": slot.event.id})

    async def _settle(self, carriers: Sequence[Carrier]) -> None:
        for stage, source in self.sources.items():
            batch = [carrier for carrier in carriers if carrier.delivery.stage is stage]
            if batch:
                await self._settle_at(source, stage, batch)

    async def _settle_at(self, source: Source, stage: Stage, batch: Sequence[Carrier]) -> None:
        returned = sum(carrier.returned for carrier in batch)
        told, verdicts = batch, [Verdict.SETTLE] * len(batch)
        if returned and self.closed is None:
            verdicts = [Verdict.RETURN if carrier.returned else Verdict.SETTLE for carrier in batch]
        elif returned:
            told = [carrier for carrier in batch if not carrier.returned]
            verdicts = verdicts[: len(told)]
        try:
            await source.settle([carrier.delivery for carrier in told], verdicts)
        except Disconnected as lost:
            # The broker has them back already, and will deliver them again.
            self.tally.forgotten += len(batch)
            log.info("settled_too_late", extra={"deliveries": len(batch), "reason": str(lost)})
        self.tally.in_flight[stage] -= len(batch)
        self.tally.settled[stage, Verdict.SETTLE] += len(batch) - returned
        if returned:
            self.tally.settled[stage, Verdict.RETURN] += returned
