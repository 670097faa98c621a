"""
The claim protocol: what one key's record becomes under each operation of the key store.

    absent ──claim──> Claimed ──commit──────────────> Done ──ttl──> absent
                        │  └──schedule──> Scheduled ──cancel──> Cancelled ──ttl──> absent
                        │                  ^ │   ^ └──move──> Scheduled, for later
                        │                  │ └───┴── claim of the copy that came due, and its release
                        │                  └──────── claim of a copy that replaces it, and its schedule
                        └──release, end of lease──> what it was before

The copy in the delay line is only an alarm clock; the record says what counts. A move changes the record alone: when
the copy rings, it is told to wait again. A copy that replaces another one has a higher generation; the old one is
dropped when it rings, so no record may end before the last alarm of its event: `until` never shrinks.

Pure functions over immutable records; None is the absent record. All times are epoch milliseconds of one clock. Every
store runs these very functions, and so does the exhaustive model check in `tests/unit/core/test_claim_model.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from bridge.model import Answer, Ask, Claim, Move, Schedule, Stage, Standing, State


@dataclass(slots=True, frozen=True)
class Scheduled:
    """A durable copy of generation `gen` waits in the delay line, for an event that is to be sent at `due_at`."""

    gen: int
    due_at: int
    until: int


@dataclass(slots=True, frozen=True)
class Cancelled:
    """Every copy is to be dropped when it rings, also one of which the store was not told. `gen` is the last known."""

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
    return _claim_waiting(record, ask, bid, now)


def _claim_waiting(record: Waiting, ask: Ask, bid: Claimed, now: int) -> tuple[Record, Claim]:
    if isinstance(record, Cancelled):
        return record, CANCELLED
    if ask.stage is Stage.INTAKE:
        return _claim_anew(record, ask, bid)
    return _claim_due(record, ask, bid, now)


def _claim_anew(record: Scheduled, ask: Ask, bid: Claimed) -> tuple[Record, Claim]:
    if not ask.replaces or ask.due_at == record.due_at:
        return record, SCHEDULED
    return replace(bid, was=record), Claim(Answer.GRANTED, gen=record.gen + 1)


def _claim_due(record: Scheduled, ask: Ask, bid: Claimed, now: int) -> tuple[Record, Claim]:
    if ask.gen < record.gen:
        return record, CANCELLED  # replaced since: the newer copy is durable, this one is stale
    if ask.gen == record.gen and record.due_at > max(ask.due_at, now):
        return replace(bid, was=record), Claim(Answer.GRANTED, due_at=record.due_at)
    if ask.gen > record.gen:  # the store was not told of it: what the copy says counts
        record = replace(record, gen=ask.gen, due_at=ask.due_at)
    return replace(bid, was=record), GRANTED


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
    if not (own := _own(record, owner, now)):
        return None
    return Scheduled(item.gen, item.due_at, max(_last_alarm(own), max(item.due_at, now) + ttl))


def cancel(record: Record | None, ttl: int, now: int) -> Cancelled | None:
    """What a scheduled record becomes, for `ttl` longer than the copy waits that it stops. None where it is not one."""
    live = current(record, now)
    return Cancelled(live.gen, max(live.until, now + ttl)) if isinstance(live, Scheduled) else None


def move(record: Record | None, item: Move, ttl: int, now: int) -> Scheduled | None:
    """What a record becomes that is scheduled for earlier. None where it is not one: it is to be left alone."""
    live = current(record, now)
    if not isinstance(live, Scheduled) or item.due_at <= live.due_at:
        return None
    return Scheduled(live.gen, item.due_at, max(live.until, max(item.due_at, now) + ttl))


def commit(record: Record | None, now: int, ttl: int) -> Done:
    """Done from any state and by anyone: that the event was delivered is a fact, whoever holds the claim."""
    return Done(max(_last_alarm(record), now + ttl))


def left_over(record: Record | None, now: int, ttl: int) -> Cancelled | None:
    """
    What a store that forgets every commit after the same `ttl` has to remember beside it, for as long as a copy rings.

    Only a copy that rings after half of that time needs it, so that a few ms between two clocks leave nothing behind.
    """
    was = record.was if isinstance(record, Claimed) else record
    return Cancelled(was.gen, was.until) if isinstance(was, Waiting) and was.until > now + ttl + ttl // 2 else None


def standing(record: Record | None, now: int) -> Standing:
    """How it stands with the event, for people and for control envelopes."""
    live = current(record, now)
    if live is None:
        return Standing(State.UNKNOWN)
    if isinstance(live, Done):
        return Standing(State.DONE, until=live.until)
    if isinstance(live, Cancelled):
        return Standing(State.CANCELLED, live.gen, until=live.until)
    if isinstance(live, Scheduled):
        return Standing(State.SCHEDULED, live.gen, live.due_at, live.until)
    if isinstance(live.was, Scheduled):
        return Standing(State.CLAIMED, live.was.gen, live.was.due_at, live.until)
    return Standing(State.CLAIMED, until=live.until)


def _last_alarm(record: Record | None) -> int:
    """Until when a copy of the event may still ring, as far as the record knows, and its ttl."""
    was = record.was if isinstance(record, Claimed) else record
    return was.until if was is not None else 0


def _own(record: Record | None, owner: str, now: int) -> Claimed | None:
    live = current(record, now)
    return live if isinstance(live, Claimed) and live.owner == owner else None
