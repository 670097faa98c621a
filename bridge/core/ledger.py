"""
The books of one batch: every slot ends with exactly one ending.

The ledger learns facts in order (sorted, claimed, sent) and decides; it does nothing. The pipeline carries the endings
out, always as durable act, then store, then settle. A slot that has no ending when the books close is given back to
the broker, so a failure anywhere can repeat an event but never lose one.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace

from bridge.core.books import Books
from bridge.core.claims import GRANTED
from bridge.core.control import TOO_SOON, Effect, effect_of
from bridge.core.copies import burial, hold, passed_on, poisoned
from bridge.core.retry import GiveUp
from bridge.core.slots import (
    ACCEPTED,
    CANCELLED,
    DUPLICATE,
    Ending,
    Mark,
    Native,
    Park,
    Result,
    Rules,
    Slot,
    ask_of,
    kin_of,
)
from bridge.model import (
    Accepted,
    Answer,
    Ask,
    Claim,
    Misconfigured,
    Outcome,
    Rejected,
    Retryable,
    Standing,
    Ticket,
    Unsent,
)


class Ledger(Books):
    """One batch. `room` arguments say how many more slots may be parked now."""

    def __init__(self, rules: Rules, slots: Iterable[Slot] = ()) -> None:
        super().__init__(slots)
        self._rules = rules
        self._later: dict[Slot, int] = {}  # to be held once claimed -> until when
        self._asked: list[Slot] = []

    @property
    def orders(self) -> list[Slot]:
        """Control envelopes that nothing has come of yet. They are never sent."""
        return [slot for slot in self._undecided if slot.control is not None and slot.effect is None]

    def sort(self, now: int, room: int, native: Native) -> list[Ask]:
        """Tell apart what is due now, what waits, and copies of the same event; say which keys to claim."""
        leaders: dict[Hashable, Slot] = {}
        for slot in self.undecided:
            if slot.control is not None and slot.control.event is None:
                self._until(slot, now, native)
                continue
            leader = leaders.setdefault(kin_of(slot), slot)
            if leader is not slot:
                self._follow(slot, leader)
                continue
            until = slot.alarm if slot.event.due_at is None else self._until(slot, now, native)
            if until is None:
                continue
            if until <= now:
                self._asked.append(slot)
            elif self._put_off(slot, until, now, room):
                room -= 1
        return [ask_of(slot) for slot in self._asked]

    def claimed(self, claims: Sequence[Claim], now: int, room: int) -> None:
        """Learn the store's answers to `sort`, in its order."""
        for slot, claim in zip(self._asked, claims, strict=True):
            if slot.control is not None and slot.effect is None and claim.answer is not Answer.BUSY:
                self._ordered(slot, claim)
                continue
            match claim.answer:
                case Answer.GRANTED:
                    if claim is not GRANTED:  # which is all that most answers say
                        self._take_over(slot, claim)
                    self._granted(slot)
                case Answer.BUSY:
                    # Never settled away: the one who has it may yet fail.
                    room -= 1
                    self.end(slot, self._busy(slot, now, claim.remaining, parkable=room >= 0))
                case Answer.CANCELLED:
                    self.end(slot, CANCELLED)
                case Answer.DONE | Answer.SCHEDULED:
                    self.end(slot, DUPLICATE)

    def unclaimed(self) -> None:
        """Go on without the store, which is down."""
        for slot in [each for each in self._asked if each in self._undecided]:
            self._granted(slot, claimed=False)

    def obeyed(self, slot: Slot, before: Standing, now: int, room: int) -> None:
        """Learn how it stood with the event of an order that came without one."""
        assert slot.control is not None
        slot.effect = effect_of(slot.control, before)
        if slot.effect is None:
            self.end(slot, self._busy(slot, now, max(0, before.until - now) / 1000, parkable=room > 0))
        elif slot.effect is Effect.REFUSED:
            self.end(slot, Ending(Result.POISON, burial(self._rules, slot, "poison", TOO_SOON)))
        else:
            self.end(slot, Ending(Result.CONTROL))

    def accepted(self, slots: Sequence[Slot]) -> None:
        """Learn that the target has all of these."""
        self.end_all(slots, ACCEPTED)

    def sent(self, slot: Slot, outcome: Outcome, now: int, *, outage: bool, rand: float, room: int) -> None:
        """
        Learn what the target said. Misconfigured and Unsent leave the slot undecided: it waits for the breaker.

        In an `outage` (the breaker is not closed) and after a pause that the target asked for, the attempt does not
        count and nobody gives up.
        """
        match outcome:
            case Accepted():
                self.end(slot, ACCEPTED)
            case Rejected(reason):
                self._bury(slot, "rejected", reason)
            case Retryable(reason, after, pause):
                self._failed(slot, reason, after, now, free=outage or pause, rand=rand, room=room)
            case Misconfigured() | Unsent():
                pass

    def defer(self, slot: Slot, now: int, wait: int, reason: str) -> None:
        """Hold a slot, for `wait` ms, that has waited long enough for what is down; its attempt is not used up."""
        copy = hold(self._rules, slot, now + wait, slot.attempt, reason)
        self.end(slot, Ending(Result.DEFERRED, copy, self._held(slot)))

    def pass_on(self, slot: Slot, ticket: Ticket) -> None:
        """Hold a copy that is not ours, under its own ticket."""
        self.end(slot, Ending(Result.DEFERRED, passed_on(slot, ticket)))

    def conflict(self, slot: Slot, reason: str) -> None:
        """Bury an event whose id belongs to another one."""
        self._bury(slot, "conflict", reason, Mark.NONE)

    def unholdable(self, slot: Slot, reason: str) -> None:
        """Bury what the delay line can never take (too large for the broker, say)."""
        self.reopen(slot)
        self._bury(slot, "rejected", f"cannot be held: {reason}")

    def poison(self, slot: Slot, reason: str, element: bytes | None = None) -> None:
        """Bury what is no event of this route, as the publisher sent it; of an array, only the bad `element`."""
        self.end(slot, Ending(Result.POISON, poisoned(self._rules, slot, reason, element)))

    def _ordered(self, slot: Slot, claim: Claim) -> None:
        """Let an order that carries its event take the place of the scheduled copy, where there is one."""
        if claim.gen is not None:
            slot.effect, slot.alone = Effect.DONE, False
            self._take_over(slot, claim)
            self._granted(slot)
        elif claim.answer is Answer.GRANTED:
            slot.effect = Effect.UNKNOWN
            self.end(slot, Ending(Result.CONTROL, mark=Mark.RELEASE))
        else:
            slot.effect = Effect.DONE if claim.answer is Answer.SCHEDULED else Effect.TOO_LATE
            self.end(slot, Ending(Result.CONTROL))

    def _take_over(self, slot: Slot, claim: Claim) -> None:
        """Go on under the generation, or wait for the time, that the store says."""
        if claim.gen is not None:
            slot.gen = claim.gen
        if claim.due_at is not None:
            slot.event = replace(slot.event, due_at=claim.due_at)
            self._later[slot] = claim.due_at

    def _granted(self, slot: Slot, *, claimed: bool = True) -> None:
        if claimed:
            self.claimed_keys[slot.key] = slot
        if self._later and (until := self._later.get(slot)) is not None:
            mark = Mark.SCHEDULE if claimed else Mark.NONE
            self.end(slot, Ending(Result.SCHEDULED, hold(self._rules, slot, until, slot.attempt, "delay"), mark))

    def _put_off(self, slot: Slot, until: int, now: int, room: int) -> bool:
        """Let a slot wait for its time, in the delay line or in the process; whether it takes room there."""
        if until - now <= self._rules.hold_window and room > 0:
            self.end(slot, Ending(Result.PARKED, Park(until)))
            return True
        if slot.alarm > now:  # came back early: its SCHEDULED record still stands
            self.end(slot, Ending(Result.DEFERRED, hold(self._rules, slot, until, slot.attempt, "delay")))
        else:
            self._later[slot] = until
            self._asked.append(slot)
        return False

    def _held(self, slot: Slot) -> Mark:
        """What becomes of the claim of an event that is held for its next attempt."""
        ticket = slot.carrier.delivery.ticket
        replaced = slot.gen > (ticket.gen if ticket else 0)
        return Mark.SCHEDULE if replaced and self._owns(slot) else self._release(slot)

    def _follow(self, slot: Slot, leader: Slot) -> None:
        del self._undecided[slot]
        leader.lead(slot)

    def _until(self, slot: Slot, now: int, native: Native) -> int | None:
        """When the slot may go on, in ms; None when it was buried because that is too far away."""
        due = slot.event.due_at or 0
        if due - now > self._rules.max_delay:
            why = f"due in {(due - now) // 1000} s, beyond max_delay of {self._rules.max_delay // 1000} s"
            self._bury(slot, "too_late", why, Mark.NONE)
            return None
        return max(slot.alarm, due) if due > now and not native(slot.event, now) else slot.alarm

    def _busy(self, slot: Slot, now: int, remaining: float, *, parkable: bool) -> Ending:
        wait = int(remaining * 1000)
        if parkable:
            return Ending(Result.PARKED, Park(now + min(wait, self._rules.busy_poll)))
        return Ending(Result.DEFERRED, hold(self._rules, slot, now + wait, slot.attempt, "a copy of it is being sent"))

    def _failed(
        self, slot: Slot, reason: str, after: float | None, now: int, *, free: bool, rand: float, room: int
    ) -> None:
        if not free and self._gives_up(slot, reason, now):
            return
        until = now + int(self._rules.retry.delay(slot.attempt, after=after, rand=rand) * 1000)
        attempt = slot.attempt if free else slot.attempt + 1
        if until - now <= self._rules.hold_window and room > 0:
            self._retry_here(slot, until, attempt)
            return
        result = Result.DEFERRED if free else Result.RETRIED
        self.end(slot, Ending(result, hold(self._rules, slot, until, attempt, reason), self._held(slot)))

    def _gives_up(self, slot: Slot, reason: str, now: int) -> bool:
        """Bury what has failed too often or is too old; False where it may go on."""
        # Counted from when it could first have been sent: a delay of days must not use up the time for retries.
        age = (now - max(slot.first_seen, min(slot.event.due_at or 0, now))) / 1000
        last = self._rules.retry.give_up(slot.attempt, age=age)
        if last is None:
            return False
        why = f"{slot.attempt} attempts" if last is GiveUp.EXHAUSTED else f"{age:.0f} s old"
        self._bury(slot, last.value, f"gave up after {why}: {reason}")
        return True

    def _retry_here(self, slot: Slot, until: int, attempt: int) -> None:
        slot.attempt, slot.alarm = attempt, until
        self.end(slot, Ending(Result.PARKED, Park(until), Mark.RELEASE))

    def _bury(self, slot: Slot, kind: str, reason: str, mark: Mark = Mark.COMMIT) -> None:
        """Buried counts as done in the store, so that a copy of a dead event is not tried all over again."""
        self.end(slot, Ending(Result.DEAD, burial(self._rules, slot, kind, reason), mark))
