"""What a batch is made of: slots on their way, the endings they can have, and the rules of their route."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import KW_ONLY, dataclass
from enum import Enum
from typing import Final, TypeAlias

from bridge.core.control import Control, Effect
from bridge.core.retry import RetryPolicy
from bridge.model import Ask, Burial, Delivery, Envelope, Hold, Stage

Native: TypeAlias = Callable[[Envelope, int], bool]
"""Whether the target itself would hold an event, asked at this time, in epoch ms."""


@dataclass(slots=True, eq=False)
class Carrier:
    """A delivery on its way through the pipeline, and how many of its events are not safe yet."""

    delivery: Delivery
    open: int
    returned: bool = False


@dataclass(slots=True, eq=False)
class Slot:
    """One event of a delivery. It may pass through several batches (parked in between); its carrier waits for it."""

    carrier: Carrier
    event: Envelope
    key: bytes
    first_seen: int
    _: KW_ONLY
    attempt: int = 1
    gen: int = 0
    alarm: int = 0  # when a held copy was to come back; 0 for a delivery from the intake
    alone: bool = True  # the only event of its delivery, so the publisher's bytes stand for it
    replaces: bool = False  # it takes the place of an earlier copy that is scheduled for another time
    control: Control | None = None  # the order that it is, or that came with it
    effect: Effect | None = None  # what that came to, once it is known
    twins: Sequence[Slot] = ()  # later copies of the same key; they share its fate

    @property
    def stage(self) -> Stage:
        """Where its delivery came from."""
        return self.carrier.delivery.stage

    def lead(self, copy: Slot) -> None:
        """Take a later copy along, and those that it led."""
        twins = self.twins if isinstance(self.twins, list) else []  # made for those few that need one
        twins += (copy, *copy.twins)
        self.twins, copy.twins = twins, ()


class Mark(Enum):
    """What the key store is told once the durable act is done."""

    NONE = "none"
    COMMIT = "commit"
    RELEASE = "release"
    SCHEDULE = "schedule"


@dataclass(slots=True, frozen=True)
class Park:
    """Keep the slot in this process, unsettled, and take it up again at `until`."""

    until: int


class Result(Enum):
    """What became of an event; the label of its metric."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    SCHEDULED = "scheduled"  # held until it is due
    RETRIED = "retried"  # held for its next attempt
    DEFERRED = "deferred"  # held, same attempt: an outage, or a copy of it is being sent elsewhere
    CANCELLED = "cancelled"
    FILTERED = "filtered"
    CONTROL = "control"  # no event, but an order: cancel or move another one
    POISON = "poison"
    DEAD = "dead"
    RETURNED = "returned"  # given back to the broker at shutdown, or taken back by it while the event waited
    PARKED = "parked"  # not an end: it comes back within seconds

    __hash__ = object.__hash__  # as for `Stage`


@dataclass(slots=True, frozen=True)
class Ending:
    """How a slot leaves the batch: the act that makes it safe, then what the store is told."""

    result: Result
    act: Hold | Burial | Park | None = None
    mark: Mark = Mark.NONE


ACCEPTED: Final = Ending(Result.ACCEPTED, mark=Mark.COMMIT)
DUPLICATE: Final = Ending(Result.DUPLICATE)
CANCELLED: Final = Ending(Result.CANCELLED)
FILTERED: Final = Ending(Result.FILTERED)


@dataclass(slots=True, frozen=True, kw_only=True)
class Rules:
    """What the configuration says about one route. Durations in ms."""

    route: str
    retry: RetryPolicy
    seal: Callable[[Envelope], bytes]  # one event as bytes that `Shape.ENVELOPE` stands for
    hold_window: int = 3_000
    max_delay: int = 365 * 86_400_000
    busy_poll: int = 500  # how soon a parked slot asks again after BUSY


def kin_of(slot: Slot) -> Hashable:
    """
    What makes two slots of a batch copies of each other, so that one may follow the other.

    The store answers a copy that came due and its own original differently; an order is no copy of its event; and of
    two that are due at different times, the second may be meant to replace the first.
    """
    stage = slot.carrier.delivery.stage
    if stage is Stage.INTAKE and not slot.replaces and slot.control is None and not slot.gen:
        return slot.key
    due_at = slot.event.due_at if slot.replaces else None
    return slot.key, stage, slot.gen, slot.control is None, due_at


def ask_of(slot: Slot) -> Ask:
    """What the key store is asked. An order asks like a new event, whatever way it came."""
    if slot.carrier.delivery.stage is Stage.DUE and slot.control is None:
        return Ask(slot.key, Stage.DUE, slot.gen, slot.alarm)
    return Ask(slot.key, Stage.INTAKE, 0, slot.event.due_at or 0, slot.replaces)
