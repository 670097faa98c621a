"""What is open, undecided, decided and claimed in one batch: the bare bookkeeping under the ledger's decisions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from bridge.core.slots import Ending, Mark, Result, Slot


class Books:
    """
    The slots of a batch, each of them from `admit` to `close`.

    Dicts serve as ordered sets: whatever leaves costs the same, however many are still there.
    """

    def __init__(self, slots: Iterable[Slot] = ()) -> None:
        self.open: dict[Slot, None] = dict.fromkeys(slots)  # not yet settled, parked or returned
        self._undecided: dict[Slot, None] = dict(self.open)
        self._endings: list[tuple[Slot, Ending]] = []
        self.claimed_keys: dict[bytes, Slot] = {}

    def admit(self, slot: Slot) -> None:
        """Enter a slot into the books."""
        self.open[slot] = None
        self._undecided[slot] = None

    def withdraw(self, slot: Slot) -> None:
        """Take an undecided slot out of the books again."""
        del self.open[slot]
        del self._undecided[slot]

    def end(self, slot: Slot, ending: Ending) -> None:
        """Decide a slot's ending. Deciding twice is a bug, and raises KeyError."""
        del self._undecided[slot]
        self._endings.append((slot, ending))

    def end_all(self, slots: Sequence[Slot], ending: Ending) -> None:
        """Decide one ending for many slots."""
        undecided, endings = self._undecided, self._endings
        for slot in slots:
            del undecided[slot]
            endings.append((slot, ending))

    def take_endings(self) -> list[tuple[Slot, Ending]]:
        """Take what was decided since the last call."""
        endings, self._endings = self._endings, []
        return endings

    def let_go(self, owns: Callable[[Slot], bool]) -> None:
        """Return what the broker has taken back meanwhile, with all copies of it: it comes again, here or elsewhere."""
        for slot in [slot for slot in self._undecided if not owns(slot)]:
            if not any(map(owns, slot.twins)):
                self.end(slot, Ending(Result.RETURNED, mark=self._release(slot)))

    def reopen(self, slot: Slot) -> None:
        """Undo a decision whose act proved impossible: the slot needs another ending."""
        self._undecided[slot] = None

    def revive(self) -> list[Slot]:
        """Forget what was decided but could not be carried out: every leader is undecided again."""
        self._endings.clear()
        self._undecided = dict.fromkeys(self.leaders)
        return self.undecided

    def close(self, slot: Slot) -> None:
        """Strike the slot and its twins out: they were settled, parked or returned."""
        del self.open[slot]
        for twin in slot.twins:
            self.open.pop(twin, None)  # a slot that was parked brings its twins back unentered
        if self._owns(slot):
            del self.claimed_keys[slot.key]

    @property
    def undecided(self) -> list[Slot]:
        """Slots without an ending, in the order of the batch: once claims are answered, those to send."""
        return list(self._undecided)

    @property
    def has_undecided(self) -> bool:
        return bool(self._undecided)

    @property
    def has_endings(self) -> bool:
        """Whether something was decided since `take_endings`."""
        return bool(self._endings)

    @property
    def leaders(self) -> list[Slot]:
        """Open slots that follow no other one."""
        twins = {twin for slot in self.open for twin in slot.twins}
        return [slot for slot in self.open if slot not in twins]

    def _release(self, slot: Slot) -> Mark:
        return Mark.RELEASE if self._owns(slot) else Mark.NONE

    def _owns(self, slot: Slot) -> bool:
        return self.claimed_keys.get(slot.key) is slot
