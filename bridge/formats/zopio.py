"""
The body of Zopio's trigger route: `{"event": "user.created", "payload"?: ..}`.

The route itself ignores all else; here an `id`, a `timestamp` and a `delay` count, so that its publishers can have
them.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from bridge.formats.fields import Fields, is_label
from bridge.formats.given import Given
from bridge.formats.moments import STRAY_DELAY, moments_of, plain_moment
from bridge.formats.options import FormatOptions
from bridge.formats.shape import EventShape, JsonFormat, Rules
from bridge.model import Envelope, JsonValue
from bridge.ports import Format

_KNOWN = frozenset({"id", "event", "payload", "timestamp", "ts", "delay"})


class ZopioShape(EventShape):
    name: ClassVar[str] = "zopio"
    needs: ClassVar[str] = "`event` (a string)"

    def matches(self, fields: Fields) -> bool:
        return isinstance(fields.get("event"), str)

    def usual(self, value: dict[str, JsonValue], now: int, raw: bytes | None) -> Envelope | None:  # noqa: ARG002
        event_id, name, stamp = value.get("id"), value.get("event"), value.get("timestamp")
        if not ((event_id is None or is_label(event_id)) and is_label(name)) or "payload" not in value:
            return None
        ts = None if stamp is None else plain_moment(stamp)
        if len(value) != 2 + (event_id is not None) + (ts is not None):
            return None
        event = Envelope(event_id or "", name, value["payload"], None, ts)
        if event_id is None and ts is None:
            event.raw, event.raw_as = raw, "zopio"
        return event

    def read(self, fields: Fields, given: Given) -> Envelope:
        fields.refuse_stray_delays(_KNOWN, STRAY_DELAY)
        ts, due_at = moments_of(fields, given)
        envelope = Envelope(
            id=fields.label("id") or "",
            name=fields.required_label("event"),
            data=fields.content("payload", "data"),
            ts=ts,
            due_at=due_at,
        )
        return given.complete(envelope, fields.index)


class ZopioSettings(FormatOptions):
    """The body of Zopio's trigger route: `{event: "name", payload}`."""

    type: Literal["zopio"] = Field(description="Bodies of Zopio's trigger route.")

    def build_by(self, rules: Rules) -> Format:
        return JsonFormat(ZopioShape(), rules)
