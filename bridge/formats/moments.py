"""When an event with a payload happened, and when it is due."""

from __future__ import annotations

from bridge.core.due import FARTHEST, NOT_SECONDS
from bridge.core.iso8601 import in_utc
from bridge.formats.fields import Fields
from bridge.formats.given import Given

STRAY_DELAY = 'write delay, such as {"minutes": 5} or {"until": "2026-01-31T09:00:00Z"}'
"""The cure for a delay that an event has under a name that nothing reads."""


def moments_of(fields: Fields, given: Given) -> tuple[int | None, int | None]:
    """
    Read `timestamp`, `ts` and `delay`: when it happened and when it is due, in epoch ms.

    A `timestamp` never delays, as at Trigger.dev. `ts` is Inngest's word, which no server for payloads knows; a future
    one delays there, so it does here.
    """
    due_at, happened, ts = fields.delay("delay", given.base), fields.moment("timestamp"), fields.moment("ts")
    return (ts if happened is None else happened), later(ts, due_at, given.now)


def plain_moment(value: object) -> int | None:
    """Read a time as nearly all are: epoch ms, or ISO 8601 as programs write it. None for all else, right or wrong."""
    if type(value) is str:
        return in_utc(value)
    return value if type(value) is int and NOT_SECONDS <= value <= FARTHEST else None


def later(ts: int | None, due_at: int | None, now: int) -> int | None:
    """When an event of time `ts` is due that is not to be sent before `due_at`; a past `ts` delays nothing."""
    if ts is None or ts <= now:
        return due_at
    return ts if due_at is None else max(ts, due_at)
