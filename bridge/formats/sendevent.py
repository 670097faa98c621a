"""The object that `sendEvent` of the Trigger.dev SDKs takes: `{"name": .., "payload": .., "delay"?: .., "id"?: ..}`."""

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

_KNOWN = frozenset({"id", "name", "payload", "context", "timestamp", "ts", "delay"})


class SendEventShape(EventShape):
    name: ClassVar[str] = "sendevent"
    needs: ClassVar[str] = "`name` and `payload`"

    def matches(self, fields: Fields) -> bool:
        return fields.has("name") and fields.has("payload")

    def usual(self, value: dict[str, JsonValue], now: int, raw: bytes | None) -> Envelope | None:  # noqa: ARG002
        event_id, name, context, stamp = (
            value.get("id"),
            value.get("name"),
            value.get("context"),
            value.get("timestamp"),
        )
        if not (is_label(event_id) and is_label(name)) or "payload" not in value:
            return None
        ts = None if stamp is None else plain_moment(stamp)
        if len(value) != 3 + (context is not None) + (ts is not None):
            return None
        return Envelope(event_id, name, value["payload"], None, ts, None, context)

    def read(self, fields: Fields, given: Given) -> Envelope:
        fields.refuse_stray_delays(_KNOWN, STRAY_DELAY)
        ts, due_at = moments_of(fields, given)
        envelope = Envelope(
            id=fields.label("id") or "",
            name=fields.required_label("name"),
            data=fields.required("payload"),
            ts=ts,
            context=fields.get("context"),
            due_at=due_at,
        )
        return given.complete(envelope, fields.index)


class SendEventSettings(FormatOptions):
    """What `sendEvent` of Trigger.dev's SDKs takes: `{name, payload, delay?, id?}`."""

    type: Literal["sendevent"] = Field(description="The object that sendEvent takes.")

    def build_by(self, rules: Rules) -> Format:
        return JsonFormat(SendEventShape(), rules)
