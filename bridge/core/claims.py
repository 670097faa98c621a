"""
The claim protocol: what one key's record becomes under each operation of the key store.

    absent ──claim──> Claimed ──commit──────────────> Done ──ttl──> absent
                        │  └──schedule──> Scheduled ──cancel──> Cancelled ──ttl──> absent
                        │                   │   ^
                        │                   └───┴── claim of the copy that came due, and its release
                        └──release, end of lease──> what it was before

Pure functions over immutable records; None is the absent record. All times are epoch milliseconds of one clock. Every
store runs these very functions, and so does the exhaustive model check in `tests/unit/core/test_claim_model.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from bridge.model import Answer, Ask, Claim, Schedule, Stage


@dataclass(slots=True, frozen=True)
class Scheduled:
    """A durable copy of generation `gen` waits in the delay line until `due_at`."""

    gen: int
    due_at: int
    until: int


@dataclass(slots=True, frozen=True)
class Cancelled:
    """Copies up to generation `gen` are to be dropped when they ring."""

    gen: int
    until: int


Waiting: TypeAlias = Scheduled | Cancelled


@dataclass(slots=True, frozen=True)
class Claimed:
    """Someone is at work on it until `until`; then, or on release, it is again what it `was`."""

    owner: str
    until: int
    was: Waiting | None = None


@dataclass(slots=True, frozen=True)
class Done:
    """Delivered, or dead for good."""

    until: int


Record: TypeAlias = Claimed | Scheduled | Cancelled | Done

GRANTED: Final = Claim(Answer.GRANTED)
DONE: Final = Claim(Answer.DONE)
SCHEDULED: Final = Claim(Answer.SCHEDULED)
CANCELLED: Final = Claim(Answer.CANCELLED)


def current(record: Record | None, now: int) -> Record | None:
    """What is left of the record at `now`: a claim whose lease ended is what it was before."""
    while record is not None and record.until <= now:
        record = record.was if isinstance(record, Claimed) else None
    return record


def claim(record: Record | None, ask: Ask, bid: Claimed, now: int) -> tuple[Record, Claim]:
    """
    Answer one ask. `bid` is the claim to put in place where it is granted; one value serves a whole batch.

    A copy that came due and finds no record goes on: a lost cancel is better than a lost event.
    """
    record = current(record, now)
    if record is None:
        return bid, GRANTED
    if isinstance(record, Claimed):
        return record, Claim(Answer.BUSY, (record.until - now) / 1000)
    if isinstance(record, Done):
        return record, DONE
    return _claim_waiting(record, ask, bid)


def _claim_waiting(record: Waiting, ask: Ask, bid: Claimed) -> tuple[Record, Claim]:
    if isinstance(record, Cancelled):
        if ask.stage is Stage.DUE and ask.gen > record.gen:
            return replace(bid, was=record), GRANTED
        return record, CANCELLED
    if ask.stage is Stage.INTAKE:
        return record, SCHEDULED
    if ask.gen < record.gen:
        return record, CANCELLED  # rescheduled since: the newer copy is durable, this one is stale
    return replace(bid, was=replace(record, gen=ask.gen)), GRANTED


def renew(record: Record | None, bid: Claimed, now: int) -> tuple[Record | None, bool]:
    """Prolong the claim of `bid.owner` to `bid.until`, never shorten it; False where that claim was lost."""
    if not (own := _own(record, bid.owner, now)):
        return record, False
    return replace(own, until=max(own.until, bid.until)), True


def release(record: Record | None, owner: str, now: int) -> Record | None:
    """Give the owner's claim back: what it was before, or nothing. Anything else stays as it is."""
    own = _own(record, owner, now)
    return current(own.was, now) if own else record


def schedule(record: Record | None, item: Schedule, owner: str, ttl: int, now: int) -> Scheduled | None:
    """What the owner's claim becomes once its event is held, until `due_at` + ttl. None where the claim was lost."""
    if not _own(record, owner, now):
        return None
    return Scheduled(item.gen, item.due_at, max(item.due_at, now) + ttl)


def cancel(record: Record | None, ttl: int, now: int) -> Cancelled | None:
    """What a scheduled record becomes, for `ttl` longer than the copy waits that it stops. None where it is not one."""
    live = current(record, now)
    return Cancelled(live.gen, max(live.due_at, now) + ttl) if isinstance(live, Scheduled) else None


def commit(now: int, ttl: int) -> Done:
    """Done from any state and by anyone: that the event was delivered is a fact, whoever holds the claim."""
    return Done(now + ttl)


def _own(record: Record | None, owner: str, now: int) -> Claimed | None:
    live = current(record, now)
    return live if isinstance(live, Claimed) and live.owner == owner else None
