"""
Control envelopes: orders to cancel or move an event that was published before. Pure.

What an order comes to depends on how it stands with the event in the key store. While somebody works on the event that
is not known yet, so the order waits: "too late" is only said where it is true.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bridge.model import Envelope, Standing, State


class Op(StrEnum):
    """What is to be done."""

    CANCEL = "cancel"
    RESCHEDULE = "reschedule"


class Effect(StrEnum):
    """What an order came to; the label of its metric."""

    DONE = "done"
    TOO_LATE = "too_late"  # sent, dead or cancelled already
    UNKNOWN = "unknown"  # nothing is scheduled under this id, as far as the key store knows
    REFUSED = "refused"  # it would have to be sent sooner, and the order does not carry the event


@dataclass(slots=True, frozen=True, kw_only=True)
class Control:
    """
    One order. A reschedule has the new time, in epoch ms, and perhaps the `event` itself, due at that time.

    `source` is that of a CloudEvent, whose id alone does not name it.
    """

    op: Op
    id: str
    due_at: int | None = None
    event: Envelope | None = None
    source: str | None = None


TOO_SOON = (
    "until: is before the time for which the event is scheduled, and only another copy of it can be sent sooner: add "
    "the event to the control envelope, as `event`"
)
"""The reason of what is REFUSED."""


def effect_of(control: Control, before: Standing) -> Effect | None:
    """
    Tell what an order without an event comes to, by how it stood with the event. None: it is to be given again.

    An order that is given twice is done twice, since a broker may deliver it twice.
    """
    match before.state:
        case State.CLAIMED:
            return None
        case State.UNKNOWN:
            return Effect.UNKNOWN
        case State.DONE:
            return Effect.TOO_LATE
        case State.CANCELLED:
            return Effect.DONE if control.op is Op.CANCEL else Effect.TOO_LATE
        case State.SCHEDULED:
            sooner = (control.due_at or 0) < (before.due_at or 0)
            return Effect.REFUSED if control.op is Op.RESCHEDULE and sooner else Effect.DONE
