"""
Inngest's event payload, and the `SentEvent` of `step.ext.sendEvent`, which is the same.

    {"name": .., "data"?: {..}, "user"?: {..}, "id"?: .., "ts"?: epoch ms, "v"?: ..}

A `ts` in the future is a delay until then. Inngest drops unknown fields; of these, `delay` counts here.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from bridge.core import due
from bridge.core.due import NOT_SECONDS
from bridge.core.kinds import kind_of
from bridge.errors import PoisonError
from bridge.formats.fields import Fields, is_label
from bridge.formats.given import Given
from bridge.formats.moments import STRAY_DELAY, later
from bridge.formats.options import FormatOptions
from bridge.formats.shape import EventShape, JsonFormat, Rules
from bridge.model import Envelope, JsonValue
from bridge.ports import Format

_KNOWN = frozenset({"id", "name", "data", "user", "ts", "v", "delay"})


class InngestShape(EventShape):
    name: ClassVar[str] = "inngest"
    needs: ClassVar[str] = "`name`, with or without `data`"

    def matches(self, fields: Fields) -> bool:
        return fields.has("name") and (fields.has("data") or not fields.has("payload"))

    def usual(self, value: dict[str, JsonValue], now: int, raw: bytes | None) -> Envelope | None:
        event_id, name, data, ts = value.get("id"), value.get("name"), value.get("data"), value.get("ts")
        user, v = value.get("user"), value.get("v")
        if not (is_label(event_id) and is_label(name) and type(data) is dict):
            return None
        if len(value) != 3 + (ts is not None) + (user is not None) + (v is not None):
            return None
        if ts is not None and not (type(ts) is int and NOT_SECONDS <= ts <= now):
            return None
        if not ((user is None or type(user) is dict) and (v is None or type(v) is str)):
            return None
        event = Envelope(event_id, name, data, user, ts, v)
        event.raw, event.raw_as = raw, "inngest"
        return event

    def read(self, fields: Fields, given: Given) -> Envelope:
        ts = _ts(fields)
        fields.refuse_stray_delays(_KNOWN, STRAY_DELAY)
        fields.content("data", "payload")
        envelope = Envelope(
            id=fields.label("id") or "",
            name=fields.required_label("name"),
            data=fields.record("data"),
            user=fields.record("user"),
            ts=ts,
            v=fields.text("v"),
            due_at=later(ts, fields.delay("delay", given.base), given.now),
        )
        return given.complete(envelope, fields.index)


def _ts(fields: Fields) -> int | None:
    """Read `ts` as strictly as Inngest does: an integer from 1980 on, in ms; 0 means none."""
    ts, field = fields.get("ts"), fields.path("ts")
    if ts is None or (ts == 0 and not isinstance(ts, bool)):
        return None
    if isinstance(ts, bool) or not isinstance(ts, int):
        raise PoisonError(field, f"must be an integer of epoch milliseconds, not {_what(ts)}")
    if ts < 0:
        raise PoisonError(field, "must be epoch milliseconds, not negative")
    return due.at_time(ts, field)


def _what(ts: object) -> str:
    return "a number with a fraction or exponent" if isinstance(ts, float) else kind_of(ts)


class InngestSettings(FormatOptions):
    """Inngest events and SentEvents: `{name, data, user?, id?, ts?, v?}`, one or an array."""

    type: Literal["inngest"] = Field(description="Inngest events, one or an array.")

    def build_by(self, rules: Rules) -> Format:
        return JsonFormat(InngestShape(), rules)
