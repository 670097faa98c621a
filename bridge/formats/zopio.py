"""
The body of Zopio's trigger route: `{"event": "user.created", "payload"?: ..}`.

The route itself ignores all else; here an `id`, a `timestamp` and a `delay` count, so that its publishers can have
them.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from bridge.formats.fields import Fields
from bridge.formats.given import Given
from bridge.formats.moments import STRAY_DELAY, moments_of
from bridge.formats.options import FormatOptions
from bridge.formats.shape import EventShape, JsonFormat, Rules
from bridge.model import Envelope
from bridge.ports import Format

_KNOWN = frozenset({"id", "event", "payload", "timestamp", "ts", "delay"})


class ZopioShape(EventShape):
    name: ClassVar[str] = "zopio"
    needs: ClassVar[str] = "`event` (a string)"

    def matches(self, fields: Fields) -> bool:
        return isinstance(fields.get("event"), str)

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
