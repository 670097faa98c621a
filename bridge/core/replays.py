"""How a dead letter goes back: as a copy that is due at once, under a return of its own."""

from __future__ import annotations

from hashlib import blake2b

from bridge.core.pairs import pairs_of
from bridge.model import Burial, Hold, Ticket

# Sent before, so that it was an event of the route and has an id that the target may know.
_DECIDED = frozenset({"rejected", "exhausted", "expired", "stuck", "conflict"})


def identity_of(burial: Burial) -> str:
    """Tell a dead letter from all others, the same each time it is read: 32 hexadecimal digits."""
    delivery = burial.delivery
    facts = (
        burial.kind,
        burial.buried_at,
        burial.first_seen,
        burial.event_id,
        delivery.origin,
        delivery.position,
        delivery.message_id,
        sorted(map(repr, pairs_of(delivery.headers))),
    )
    return blake2b(repr(facts).encode("utf-8", "backslashreplace") + burial.body, digest_size=16).hexdigest()


def hindrance(burial: Burial, route: str) -> str | None:
    """Say why a dead letter cannot go back to `route`; None where it can."""
    if burial.truncated is not None:
        place = burial.delivery.position or "the source"
        return f"only the beginning of its {burial.truncated} bytes was kept; look for the whole of it at {place}"
    if burial.route not in ("", route):
        return f"it belongs to the route {burial.route}"
    return None


def replay(burial: Burial, route: str, now: int) -> Hold:
    """
    Make the copy that goes back through the delay line of `route`.

    It is decoded anew, so that a delay counts again and can never be early. One return is made of one dead letter,
    however often this is called, and so it is one event to the key store; of what the broker itself brought there may
    be many that look alike, so each call is a return.
    """
    identity = identity_of(burial)
    ticket = Ticket(
        route=route,
        id=(burial.event_id or "") if burial.kind in _DECIDED else "",
        due_at=now,
        attempt=1,
        first_seen=now,
        shape=burial.shape,
        reason="replay",
        origin=burial.delivery.origin,
        replay=identity if burial.buried_at is not None else f"{identity}-{now}",
    )
    return Hold(burial.delivery, burial.body, ticket)
