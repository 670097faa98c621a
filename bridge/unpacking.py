"""Turns deliveries into slots: decode, name rules, filter, keys. What is no event of the route ends here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from bridge.core.control import Control
from bridge.core.fingerprints import Fingerprints
from bridge.core.keys import key_of, scope_of_replay
from bridge.core.ledger import Ledger
from bridge.core.slots import FILTERED, Carrier, Slot
from bridge.core.tally import Tally
from bridge.errors import PoisonError
from bridge.model import Delivery, Envelope, Shape, Stage, Ticket
from bridge.ports import Format

log = logging.getLogger(__name__)

Item: TypeAlias = Envelope | Control | PoisonError
"""What a delivery may hold: an event, an order about one, or something bad."""

NO_EVENT = Envelope(id="", name="")  # stands in a slot that has none
FOREIGN_WAIT = 60_000  # ms until a copy of another route is looked at again, by whoever consumes it then


@dataclass(slots=True, frozen=True, kw_only=True)
class Unpacker:
    """
    The front of one route.

    `complaint` says what is wrong with a name by the naming convention (None: nothing); with `reject_names` such an
    event is poison, else it is counted. `wanted` is the route's filter by name. `control` reads control envelopes,
    on routes that take them. With `last_delay_wins` a delayed event takes the place of an earlier one with its id.
    """

    route: str
    scope: bytes
    format: Format
    checksum: Callable[[Envelope], int]  # of what makes two events with one id the same, however it was written
    unseal: Callable[[bytes], Envelope]  # reads what `Shape.ENVELOPE` stands for
    tally: Tally
    fingerprints: Fingerprints
    bury_conflicts: bool = False
    complaint: Callable[[str], str | None] | None = None
    reject_names: bool = False
    wanted: Callable[[str], bool] | None = None
    bury_unwanted: bool = False
    control: Callable[[Delivery, int], Control | None] | None = None
    last_delay_wins: bool = False

    def unpack(self, deliveries: Sequence[Delivery], now: int, ledger: Ledger) -> None:
        """Enter all slots of the deliveries into the ledger, and tell it of those that end right here."""
        for delivery in deliveries:
            items = self._items(delivery, now)
            carrier = Carrier(delivery, len(items))
            for item in items:
                slot = self._slot(carrier, item, now)
                ledger.admit(slot)
                self._sift(slot, item, now, ledger)

    def _items(self, delivery: Delivery, now: int) -> Sequence[Item]:
        try:
            return self._decode(delivery, now)
        except PoisonError as error:
            return [error]
        except Exception as error:
            # A bug in a decoder must cost one delivery, not the process.
            log.exception("decoder_fault", extra={"origin": delivery.origin})
            self.tally.faults += 1
            return [PoisonError("body", f"makes the decoder fail ({type(error).__name__})")]

    def _decode(self, delivery: Delivery, now: int) -> Sequence[Item]:
        ticket = delivery.ticket
        if delivery.stage is Stage.INTAKE:
            order = self.control(delivery, now) if self.control is not None else None
            return self.format.decode(delivery, now) if order is None else [order]
        if ticket is None:
            raise PoisonError("x-bridge-* headers", "of a copy from the delay line cannot be read")
        if ticket.route != self.route:
            return [Envelope(id=ticket.id, name="")]
        if ticket.shape is Shape.ENVELOPE:
            return [_restored(self.unseal(delivery.body), ticket)]
        if self.control is not None and (order := self.control(delivery, now)) is not None:
            return [order if ticket.event_due is None else replace(order, due_at=ticket.event_due)]
        items = self.format.decode(delivery, now)
        return [item if isinstance(item, PoisonError) else _restored(item, ticket) for item in items]

    def _slot(self, carrier: Carrier, item: Item, now: int) -> Slot:
        ticket = carrier.delivery.ticket
        alone = carrier.open == 1
        if isinstance(item, Envelope) and ticket is None:
            replaces = self.last_delay_wins and item.due_at is not None and item.due_at > now
            key = key_of(self.scope, item.id, item.source)
            return Slot(carrier, item, key, now, alone=alone, replaces=replaces)
        first_seen = ticket.first_seen if ticket else now
        if isinstance(item, PoisonError):
            return Slot(carrier, NO_EVENT, b"", first_seen, alone=alone)
        if isinstance(item, Control):
            return self._order(carrier, item, first_seen)
        assert ticket is not None
        scope = scope_of_replay(self.scope, ticket.replay) if ticket.replay else self.scope
        return Slot(
            carrier,
            item,
            key_of(scope, item.id, item.source),
            first_seen,
            attempt=ticket.attempt,
            gen=ticket.gen,
            alarm=ticket.due_at,
            alone=alone,
        )

    def _order(self, carrier: Carrier, order: Control, first_seen: int) -> Slot:
        """Make the slot of a control envelope. Whenever it comes, it is to be obeyed at once."""
        ticket = carrier.delivery.ticket
        event = order.event or Envelope(id=order.id, name="", source=order.source)
        return Slot(
            carrier,
            replace(event, due_at=order.due_at),
            key_of(self.scope, event.id, event.source),
            first_seen,
            attempt=ticket.attempt if ticket else 1,
            replaces=order.event is not None,
            control=order,
        )

    def _sift(self, slot: Slot, item: Item, now: int, ledger: Ledger) -> None:
        """End what is poison, foreign, badly named, filtered out or in conflict; leave the rest undecided."""
        ticket = slot.carrier.delivery.ticket
        if isinstance(item, PoisonError):
            ledger.poison(slot, str(item), item.element)
        elif isinstance(item, Control):
            return
        elif ticket is not None and ticket.route != self.route:
            log.error("foreign_copy", extra={"of_route": ticket.route, "cure": "set delay.namespace for each route"})
            ledger.pass_on(slot, replace(ticket, due_at=now + FOREIGN_WAIT))
        elif ticket is not None and ticket.id:
            return
        elif self.complaint is not None and (complaint := self._complaint(self.complaint(item.name), item.name)):
            ledger.poison(slot, complaint)
        elif self.wanted is not None and not self.wanted(item.name):
            if self.bury_unwanted:
                ledger.poison(slot, f"name {item.name!r} is not let through by the route's filter")
            else:
                ledger.end(slot, FILTERED)
        elif self._conflicts(slot):
            ledger.conflict(slot, "id was used before with another payload")

    def _complaint(self, complaint: str | None, name: str) -> str | None:
        """Why a name makes its event poison; a mere warning is counted and logged here."""
        if complaint is None:
            return None
        self.tally.naming_complaints += 1
        if self.reject_names:
            return f"name {complaint}"
        log.warning("event_name", extra={"event_name": name, "complaint": complaint})
        return None

    def _conflicts(self, slot: Slot) -> bool:
        """Whether the slot is to be buried for its id; otherwise a conflict is counted and logged here."""
        event = slot.event
        if slot.replaces:
            return False  # it is meant to differ
        if not self.fingerprints.differs(slot.key, self.checksum(event)):
            return False
        self.tally.conflicts += 1
        log.warning("id_conflict", extra={"event_id": event.id, "event_name": event.name})
        return self.bury_conflicts


def _restored(event: Envelope, ticket: Ticket) -> Envelope:
    """
    The event as it was decided at first sight: a relative delay must not count again from now.

    Of what the dead letters give back, nobody knows any more when it was due, and often not the id.
    """
    due_at = event.due_at if ticket.replay and ticket.event_due is None else ticket.event_due
    return replace(event, id=ticket.id or event.id, due_at=due_at)
