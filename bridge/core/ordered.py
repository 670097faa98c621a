"""
The books of a batch on a route where events of one key follow one another.

What stands in a lane never goes to the delay line: its followers would overtake it as soon as the process dies. It
waits in the process, whatever room there is, and they wait behind it.
"""

from __future__ import annotations

from collections.abc import Iterable

from bridge.core.lanes import Lanes, StuckRule
from bridge.core.ledger import Ledger
from bridge.core.slots import Ending, Park, Result, Rules, Slot


class OrderedLedger(Ledger):
    """One batch, of slots that have their turn and of slots that are in no order."""

    def __init__(self, rules: Rules, slots: Iterable[Slot], lanes: Lanes, rule: StuckRule) -> None:
        super().__init__(rules, slots)
        self._lanes = lanes
        self._rule = rule

    def defer(self, slot: Slot, now: int, wait: int, reason: str) -> None:
        if slot in self._lanes:
            self.end(slot, Ending(Result.PARKED, Park(now + self._rules.busy_poll), self._release(slot)))
        else:
            super().defer(slot, now, wait, reason)

    def _put_off(self, slot: Slot, until: int, now: int, room: int) -> bool:
        if slot not in self._lanes:
            return super()._put_off(slot, until, now, room)
        # The clock was set back: nothing enters a lane before it is due.
        self.end(slot, Ending(Result.PARKED, Park(until)))
        return True

    def _follow(self, slot: Slot, leader: Slot) -> None:
        """A duplicate holds nobody up: whatever comes of its leader, it will never be sent."""
        super()._follow(slot, leader)
        self._lanes.leave(slot)

    def _busy(self, slot: Slot, now: int, remaining: float, *, parkable: bool) -> Ending:
        return super()._busy(slot, now, remaining, parkable=parkable or slot in self._lanes)

    def _failed(
        self, slot: Slot, reason: str, after: float | None, now: int, *, free: bool, rand: float, room: int
    ) -> None:
        if slot not in self._lanes:
            super()._failed(slot, reason, after, now, free=free, rand=rand, room=room)
            return
        longest = self._rule.after
        if not free:
            left = self._rule.after - self._lanes.failed(slot, now)
            if self._rule.bury and self._ends(slot, reason, now, left):
                return
            if left > 0:
                longest = left
            else:
                self._lanes.stick(slot, reason)
        wait = min(longest, self._rules.retry.delay(slot.attempt, after=after, rand=rand))
        self._retry_here(slot, now + int(wait * 1000), slot.attempt if free else slot.attempt + 1)

    def _ends(self, slot: Slot, reason: str, now: int, left: float) -> bool:
        """Bury what has failed too often or for too long; False where it may go on."""
        if self._gives_up(slot, reason, now):
            return True
        if left <= 0:
            self._bury(slot, "stuck", f"held its key up for {self._rule.after - left:.0f} s: {reason}")
        return left <= 0
