"""Brings the ready slots of a batch to the target, as its gate lets them through, until each has its ending."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import aclosing

from bridge.core.ledger import Ledger
from bridge.core.slots import Slot
from bridge.core.tally import Tally
from bridge.gate import Admission, Gate
from bridge.model import Accepted, Envelope, Misconfigured, Outcome, Rejected, Retryable, Unsent
from bridge.parking import Parking
from bridge.ports import Target
from bridge.settling import Settling


class Sending:
    """One route's way to its target. `max_hold` is the longest wait at the gate, in seconds; `clock` tells ms."""

    def __init__(
        self,
        target: Target,
        gate: Gate,
        settling: Settling,
        parking: Parking,
        tally: Tally,
        *,
        max_hold: float,
        clock: Callable[[], int],
    ) -> None:
        self._target = target
        self._gate = gate
        self._settling = settling
        self._parking = parking
        self._tally = tally
        self._max_hold = max_hold
        self._clock = clock

    async def send(self, ledger: Ledger, owner: str) -> None:
        """
        Send everything that is undecided in the ledger.

        What the target is closed to for `max_hold` goes to the delay line with its attempt unused. At shutdown, what
        waits at a closed gate stays undecided. What the broker has taken back meanwhile is let go.
        """
        deadline = asyncio.get_running_loop().time() + self._max_hold
        while ledger.has_undecided:
            admission = await self._gate.admit(deadline)
            if admission is Admission.STOPPED:
                return
            if admission is not Admission.ONE:  # a probe that nobody made would keep the gate shut for long
                ledger.let_go(self._settling.owns)
                if ledger.has_endings:
                    await self._settling.carry_out(ledger, owner)
            waiting = ledger.undecided
            if admission is Admission.LATE:
                now, wait = self._clock(), int(self._max_hold * 1000)
                for slot in waiting:
                    ledger.defer(slot, now, wait, f"target: {self._gate.reason}")
                await self._settling.carry_out(ledger, owner)
            elif waiting:
                await self._attempt(ledger, owner, waiting if admission is Admission.ALL else waiting[:1])

    async def _attempt(self, ledger: Ledger, owner: str, slots: Sequence[Slot]) -> None:
        self._note_lateness(slots)
        sending = self._target.send([slot.event for slot in slots], [slot.attempt for slot in slots])
        async with aclosing(sending):
            async for group in sending:
                self._learn(ledger, slots, group)
                await self._settling.carry_out(ledger, owner)

    def _learn(self, ledger: Ledger, slots: Sequence[Slot], group: Sequence[tuple[int, Outcome]]) -> None:
        accepted = [slots[index] for index, outcome in group if isinstance(outcome, Accepted)]
        if len(accepted) < len(group):
            self._learn_others(ledger, slots, group)
        elif accepted:
            self._gate.passed(len(accepted))
        if not accepted:
            return
        ledger.accepted(accepted)
        self._tally.outcomes["accepted"] += len(accepted)
        now = self._clock()
        for since, count in Counter([_since(slot, now) for slot in accepted]).items():
            self._tally.seconds_to_accept.add((now - since) / 1000, count)
        if self._tally.traced is not None:
            self._show(accepted, now, self._tally.traced)

    def _show(self, accepted: Sequence[Slot], now: int, traced: Callable[[Envelope], str | None]) -> None:
        """Let one of them be found by its trace, where a publisher records it."""
        for slot in accepted:
            if (trace_id := traced(slot.event)) is not None:
                self._tally.seconds_to_accept.add((now - _since(slot, now)) / 1000, 0, trace_id, now)
                return

    def _learn_others(self, ledger: Ledger, slots: Sequence[Slot], group: Sequence[tuple[int, Outcome]]) -> None:
        """Learn what is more than an acceptance, and report the whole group to the breaker."""
        # Whether a failure counts is asked before it is reported: the one that opens the breaker still does.
        outage = not self._gate.healthy
        self._report([outcome for _, outcome in group])
        now, room = self._clock(), self._parking.room_for(ledger.open)
        for index, outcome in group:
            if not isinstance(outcome, Accepted):
                rand = random.random()  # noqa: S311  jitter, protects nothing
                ledger.sent(slots[index], outcome, now, outage=outage, rand=rand, room=room)
                room -= 1
                self._tally.outcomes[type(outcome).__name__.lower()] += 1

    def _note_lateness(self, slots: Sequence[Slot]) -> None:
        delayed = [slot for slot in slots if slot.event.due_at is not None and slot.attempt == 1]
        if not delayed:
            return
        now = self._clock()
        self._tally.lateness.observe(
            (now - due) / 1000
            for slot in delayed
            if (due := slot.event.due_at) is not None and slot.first_seen < due <= now
        )

    def _report(self, outcomes: Sequence[Outcome]) -> None:
        """Tell the breaker what the target answered."""
        passed = failed = 0
        reason = ""
        for outcome in outcomes:
            match outcome:
                case Accepted() | Rejected():
                    passed += 1
                case Retryable(why, _, False):
                    failed, reason = failed + 1, why
                case Retryable() | Misconfigured():
                    self._gate.hear(outcome)
                case Unsent():
                    pass
        if passed:
            self._gate.passed(passed)
        if failed:
            self._gate.failed(reason, failed)


def _since(slot: Slot, now: int) -> int:
    """When it could first have been sent: a delay that was asked for is no delay of ours."""
    due = slot.event.due_at
    return slot.first_seen if due is None or not slot.first_seen < due <= now else due
