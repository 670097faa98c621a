"""The copies that stand for a slot elsewhere: in the delay line, or in the dead letters."""

from __future__ import annotations

from bridge.core.slots import Rules, Slot
from bridge.model import Burial, Hold, Shape, Ticket


def hold(rules: Rules, slot: Slot, until: int, attempt: int, reason: str) -> Hold:
    """Write the copy that comes back at `until`, in epoch ms, to make the attempt of this number."""
    body, shape = _sealed(rules, slot)
    delivery = slot.carrier.delivery
    ticket = Ticket(
        route=rules.route,
        id=slot.event.id,
        due_at=until,
        attempt=attempt,
        first_seen=slot.first_seen,
        gen=slot.gen,
        shape=shape,
        reason=reason,
        origin=delivery.ticket.origin if delivery.ticket else delivery.origin,
        event_due=slot.event.due_at,
        replay=delivery.ticket.replay if delivery.ticket else "",
    )
    return Hold(delivery, body, ticket)


def passed_on(slot: Slot, ticket: Ticket) -> Hold:
    """The copy of another route, as it came."""
    return Hold(slot.carrier.delivery, slot.carrier.delivery.body, ticket)


def burial(rules: Rules, slot: Slot, kind: str, reason: str) -> Burial:
    """Write the copy of an event that can never pass."""
    body, shape = _sealed(rules, slot)
    return Burial(
        slot.carrier.delivery,
        body,
        reason,
        kind,
        event_id=slot.event.id or None,
        name=slot.event.name or None,
        attempts=slot.attempt if kind in {"rejected", "exhausted", "expired", "stuck"} else 0,
        first_seen=slot.first_seen,
        shape=shape,
        route=rules.route,
    )


def poisoned(rules: Rules, slot: Slot, reason: str, element: bytes | None = None) -> Burial:
    """Write the copy of what is no event, as the publisher sent it; of an array, only the bad `element`."""
    delivery = slot.carrier.delivery
    shape = delivery.ticket.shape if delivery.ticket else Shape.ORIGINAL
    body, route = element or delivery.body, rules.route
    return Burial(delivery, body, reason, "poison", first_seen=slot.first_seen, shape=shape, route=route)


def _sealed(rules: Rules, slot: Slot) -> tuple[bytes, Shape]:
    delivery = slot.carrier.delivery
    if slot.alone:
        return delivery.body, delivery.ticket.shape if delivery.ticket else Shape.ORIGINAL
    return rules.seal(slot.event), Shape.ENVELOPE
