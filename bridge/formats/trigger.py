"""
The envelopes of Trigger.dev's event API, v1 and v2.

    v1  {"id": .., "event": {"name": .., "payload": .., "context"?: .., "timestamp"?: .., "delay"?: {"seconds": 30}}}
    v2  {"event": {"id"?: .., "name": .., "payload"?: ..}, "options"?: {"deliverAt": ..} | {"deliverAfter": seconds}}
        {"events": [{..}, ..], "options"?: {..}}

The v2 server takes a v1 body and silently drops its id and delay; here each field is honoured wherever it stands, and
refused where two of them contradict each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from bridge.core import due
from bridge.core.kinds import kind_of
from bridge.errors import PoisonError
from bridge.formats.fields import Fields, is_label
from bridge.formats.given import Given
from bridge.formats.moments import later, moments_of, plain_moment
from bridge.formats.options import FormatOptions
from bridge.formats.shape import Decoded, EventShape, JsonFormat, Rules, read_each, single_out
from bridge.formats.strictjson import dumps
from bridge.model import Envelope, JsonValue
from bridge.ports import Format

_AROUND = frozenset({"id", "event", "events", "options", "delay", "ts"})
_INSIDE = frozenset({"id", "name", "payload", "context", "timestamp", "ts", "delay"})
_OPTIONS = frozenset({"deliverAt", "deliverAfter", "accountId"})
_STRAY_DELAY = "write event.delay, options.deliverAt or options.deliverAfter"


class TriggerShape(EventShape):
    name: ClassVar[str] = "trigger"
    needs: ClassVar[str] = "`event` (an object) or `events` (an array)"

    def matches(self, fields: Fields) -> bool:
        return isinstance(fields.get("event"), dict) or isinstance(fields.get("events"), list)

    def usual(self, value: dict[str, JsonValue], now: int, raw: bytes | None) -> Envelope | None:
        inner, outer, options = value.get("event"), value.get("id"), value.get("options")
        if type(inner) is not dict or len(value) != 1 + (outer is not None) + (options is not None):
            return None
        if not (options is None or options == {}) or (outer is not None and (not is_label(outer) or "id" in inner)):
            return None
        event = _usual_event(inner, now, raw)
        if event is None:
            return None
        if outer is not None:
            event.id = outer
        if event.ts is None and event.id and (outer is None) != (options is None):
            # v1 has its id outside, and knows no options; v2 is always sent options, be they empty.
            event.raw, event.raw_as = raw, "trigger v1" if options is None else "trigger v2"
        return event

    def read(self, fields: Fields, given: Given) -> Envelope:
        event = fields.required_child("event")
        if "events" in fields:
            raise PoisonError(fields.path("events"), f"cannot be combined with {fields.path('event')}")
        options = _Options.read(fields, given)
        if _is_v1(fields, event):
            fields.required_label("id")
            event.required("payload")
        return _event(event, options, fields, given)

    def read_body(self, fields: Fields, given: Given) -> Decoded:
        if "event" in fields or "events" not in fields:
            return super().read_body(fields, given)
        events, options = fields.get("events"), _Options.read(fields, given)
        if not isinstance(events, list):
            raise PoisonError("events", f"must be an array, not {kind_of(events)}")
        usual = _usual_event if options.due_at is None and options.user is None else _nothing_usual
        decoded = read_each(events, given, usual, lambda event: _event(event, options, None, given), "events")
        single_out(decoded, lambda index: dumps({"event": events[index], **options.said}))
        return decoded


def _nothing_usual(_event: dict[str, JsonValue], _now: int, _raw: bytes | None) -> None:
    """Stand in for `usual` where the options say something that each event has to be read with."""


@dataclass(slots=True, frozen=True)
class _Options:
    """What a request says about each of its events: the options of v2, a `delay` or a future `ts` beside the event."""

    due_at: int | None
    due_field: str
    user: JsonValue
    said: dict[str, JsonValue]  # the fields understood, as they came

    @classmethod
    def read(cls, fields: Fields, given: Given) -> _Options:
        fields.refuse_stray_delays(_AROUND, _STRAY_DELAY)
        options = fields.child("options")
        found = _NONE if options is None else cls._of_v2(options, given)
        delayed = later(fields.moment("ts"), fields.delay("delay", given.base), given.now)
        if delayed is None:
            return found
        key = _delaying(fields)
        if found.due_at is not None:
            raise PoisonError(fields.path(key), f"cannot be combined with {found.due_field}")
        said = {key: fields.get(key) for key in ("delay", "ts") if key in fields}
        return cls(delayed, fields.path(key), found.user, {**found.said, **said})

    @classmethod
    def _of_v2(cls, options: Fields, given: Given) -> _Options:
        options.refuse_stray_delays(_OPTIONS, _STRAY_DELAY)
        due_at, due_key = None, "deliverAt"
        if "deliverAt" in options:  # wins over deliverAfter, as on the server
            due_at = due.at_time(options.get("deliverAt"), options.path("deliverAt"))
        elif "deliverAfter" in options:
            due_key = "deliverAfter"
            due_at = due.after_seconds(options.get(due_key), given.base, options.path(due_key))
        account = options.label("accountId")
        said = {key: options.get(key) for key in (due_key, "accountId") if key in options}
        user: JsonValue = None if account is None else {"accountId": account}
        return cls(due_at, options.path(due_key), user, {"options": said})


_NONE = _Options(None, "", None, {"options": {}})


def _usual_event(event: dict[str, JsonValue], _now: int, _raw: bytes | None) -> Envelope | None:
    """Read what stands under `event` or in `events`, where nothing in it is unusual: the `usual` of these."""
    event_id, name, context, stamp = event.get("id"), event.get("name"), event.get("context"), event.get("timestamp")
    if "payload" not in event or not is_label(name) or not (event_id is None or is_label(event_id)):
        return None
    ts = None if stamp is None else plain_moment(stamp)
    if len(event) != 2 + (event_id is not None) + (context is not None) + (ts is not None):
        return None
    return Envelope(event_id or "", name, event["payload"], None, ts, None, context)


def _is_v1(fields: Fields, event: Fields) -> bool:
    """Whether only v1 can be meant. Of v2, an id and a payload are not asked."""
    return fields.get("options") is None and "id" not in event and ("id" in fields or "delay" in event)


def _event(event: Fields, options: _Options, outer: Fields | None, given: Given) -> Envelope:
    event.refuse_stray_delays(_INSIDE, _STRAY_DELAY)
    ts, delayed = moments_of(event, given)
    if delayed is not None and options.due_at is not None:
        raise PoisonError(event.path(_delaying(event)), f"cannot be combined with {options.due_field}")
    envelope = Envelope(
        id=_id(event, outer) or "",
        name=event.required_label("name"),
        data=event.content("payload", "data"),
        ts=ts,
        user=options.user,
        context=event.get("context"),
        due_at=options.due_at if delayed is None else delayed,
    )
    return given.complete(envelope, event.index)


def _delaying(fields: Fields) -> str:
    """Name the field that delays, where one does."""
    return "delay" if "delay" in fields else "ts"


def _id(event: Fields, outer: Fields | None) -> str | None:
    inner, outer_id = event.label("id"), outer.label("id") if outer else None
    if outer and inner is not None and outer_id is not None and inner != outer_id:
        raise PoisonError(event.path("id"), f"differs from {outer.path('id')}: give one of them")
    return outer_id if inner is None else inner


class TriggerSettings(FormatOptions):
    """Trigger.dev's API, v1 and v2: `{id, event: {name, payload}}`, `{event, options}`, `{events, options}`."""

    type: Literal["trigger"] = Field(description="Trigger.dev v1 and v2 envelopes.")

    def build_by(self, rules: Rules) -> Format:
        return JsonFormat(TriggerShape(), rules)
