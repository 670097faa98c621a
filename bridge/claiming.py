"""Asks the key store about a batch: for the keys of its events, and to carry out the orders that came with them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

from bridge.core.control import Op
from bridge.core.ledger import Ledger
from bridge.core.slots import Slot
from bridge.core.tally import Tally
from bridge.errors import Unavailable
from bridge.intake import Intake
from bridge.model import Ask, Move, Standing
from bridge.parking import Parking
from bridge.ports import KeyStore
from bridge.route import Limits

log = logging.getLogger(__name__)


class Claiming:
    """One route's way to the key store. `clock` tells epoch ms."""

    def __init__(
        self,
        store: KeyStore,
        intake: Intake,
        parking: Parking,
        tally: Tally,
        *,
        limits: Limits,
        clock: Callable[[], int],
    ) -> None:
        self._store = store
        self._intake = intake
        self._parking = parking
        self._tally = tally
        self._limits = limits
        self._clock = clock

    async def claim(self, ledger: Ledger, owner: str, asks: Sequence[Ask]) -> None:
        """Tell the ledger what the store answers. While it is down, wait, or go on without it; as configured."""
        claim = partial(self._store.claim, asks, owner=owner, lease=self._limits.lease)
        try:
            if self._limits.bypass_store:
                claims = await claim()
            else:
                claims = await self._intake.insist("store", claim, self._limits.max_hold)
        except Unavailable as error:
            self._go_without_claims(ledger, len(asks), error)
        else:
            ledger.claimed(claims, self._clock(), self._parking.room_for(ledger.open))

    async def renew(self, ledger: Ledger, owner: str) -> None:
        """Prolong all claims of a batch, and count those that it still needs and has lost."""
        keys = list(ledger.claimed_keys)
        try:
            kept = await self._store.renew(keys, owner=owner, lease=self._limits.lease)
        except Unavailable as error:
            log.warning("leases_not_renewed", extra={"claims": len(keys), "reason": str(error)})
            return
        # A claim may end because its event did: only one that is still needed can be lost.
        needed = {slot.key for slot in ledger.undecided}
        if lost := sum(key in needed for key, held in zip(keys, kept, strict=True) if not held):
            self._tally.leases_lost += lost
            log.warning("leases_lost", extra={"claims": lost})

    async def obey(self, ledger: Ledger, orders: Sequence[Slot]) -> None:
        """Carry out the orders of the ledger. After its events, which they may be about."""
        try:
            before = await self._intake.insist("store", partial(self._change, orders), self._limits.max_hold)
        except Unavailable as error:
            self._defer(ledger, orders, error)
            return
        now = self._clock()
        for slot, standing in zip(orders, before, strict=True):
            ledger.obeyed(slot, standing, now, self._parking.room_for(ledger.open))

    async def _change(self, orders: Sequence[Slot]) -> list[Standing]:
        """Change the store, in the order of the orders as far as it matters; how it stood with their events before."""
        cancels = [slot for slot in orders if slot.control is not None and slot.control.op is Op.CANCEL]
        moves = [slot for slot in orders if slot not in cancels]
        found: dict[Slot, Standing] = {}
        if moves:
            items = [Move(slot.key, slot.event.due_at or 0) for slot in moves]
            found.update(zip(moves, await self._store.move(items, ttl=self._limits.ttl), strict=True))
        if cancels:
            keys = [slot.key for slot in cancels]
            found.update(zip(cancels, await self._store.cancel(keys, ttl=self._limits.ttl), strict=True))
        return [found[slot] for slot in orders]

    def _go_without_claims(self, ledger: Ledger, asks: int, error: Unavailable) -> None:
        """The store is down for longer than anyone waits: send all the same, or hold everything; as configured."""
        if not self._limits.bypass_store:
            self._defer(ledger, ledger.undecided, error)
            return
        log.warning("store_bypassed", extra={"events": asks, "reason": str(error)})
        self._tally.store_bypassed += asks
        self._defer(ledger, [slot for slot in ledger.orders if slot.control and slot.control.event], error)
        ledger.unclaimed()

    def _defer(self, ledger: Ledger, slots: Sequence[Slot], error: Unavailable) -> None:
        now, wait = self._clock(), int(self._limits.max_hold * 1000)
        for slot in slots:
            ledger.defer(slot, now, wait, f"key store: {error}")
