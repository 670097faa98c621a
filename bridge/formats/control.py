"""
The reader of control envelopes.

    {"op": "cancel", "id": ".."}
    {"op": "reschedule", "id": "..", "until": "2030-01-01T00:00:00Z"}     or "delay", in any form that events have
    {"op": "reschedule", "id": "..", "delay": 60, "event": {..}}          any envelope that the route's format reads

`source` beside the id is that of a CloudEvent. There are no other fields: an order that is misread could cost an event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from bridge.core import due
from bridge.core.control import Control, Op
from bridge.errors import PoisonError
from bridge.formats.fields import Fields
from bridge.formats.given import Given
from bridge.formats.strictjson import dumps, loads
from bridge.model import Delivery, Envelope, JsonValue
from bridge.ports import Format

_MARK: Final = b'"op"'  # nearly every body is told by the lack of it
_OPS: Final = frozenset(Op)
_FIELDS: Final = {
    Op.CANCEL: frozenset({"op", "id", "source"}),
    Op.RESCHEDULE: frozenset({"op", "id", "source", "until", "delay", "event"}),
}
_BINARY: Final = ("ce-", "ce_", "cloudevents:", "cloudevents_")  # headers of a CloudEvent whose body is its data alone


@dataclass(slots=True, frozen=True)
class ControlReader:
    """Tells control envelopes from events, for routes that take them. `format` reads the events inside."""

    format: Format
    max_event_bytes: int
    max_depth: int

    def read(self, delivery: Delivery, now: int) -> Control | None:
        """Read an order; None where the body is none. Raises PoisonError for one that is not right."""
        if _MARK not in delivery.body or len(delivery.body) > self.max_event_bytes or _is_binary(delivery.headers):
            return None
        try:
            value = loads(delivery.body, max_depth=self.max_depth)
        except PoisonError:
            return None  # the route's format says what is wrong with it, if anything is
        if not isinstance(value, dict) or (op := _op_of(value)) is None:
            return None
        return self._read(op, Fields(value), delivery, now)

    def _read(self, op: Op, fields: Fields, delivery: Delivery, now: int) -> Control:
        for key in fields:
            if key not in _FIELDS[op]:
                known = ", ".join(sorted(_FIELDS[op]))
                raise PoisonError(key, f"is no field of a control envelope that says {op}; it has {known}")
        event_id, source = fields.required_label("id"), fields.text("source")
        if op is Op.CANCEL:
            return Control(op=op, id=event_id, source=source)
        due_at = _due_at(fields, delivery, now)
        event = fields.record("event")
        if event is None:
            return Control(op=op, id=event_id, source=source, due_at=due_at)
        found = replace(self._event(event, event_id, delivery, now), due_at=due_at)
        if source is not None and source != found.source:
            raise PoisonError("event.source", "is not that of the control envelope")
        return Control(op=op, id=event_id, source=found.source, due_at=due_at, event=found)

    def _event(self, value: JsonValue, event_id: str, delivery: Delivery, now: int) -> Envelope:
        """Read the event inside, which may leave out its id."""
        inside = replace(delivery, body=dumps(value), message_id=event_id)
        try:
            found = self.format.decode(inside, now)
        except PoisonError as error:
            raise PoisonError(f"event.{error.field}", error.problem) from None
        [event] = found if len(found) == 1 else [PoisonError("event", f"has {len(found)} events, not one")]
        if isinstance(event, PoisonError):
            raise event
        if event.id != event_id:
            raise PoisonError("event.id", "is not that of the control envelope")
        return event


def _op_of(value: Mapping[str, JsonValue]) -> Op | None:
    op = value.get("op")
    return Op(op) if isinstance(op, str) and op in _OPS else None


def _is_binary(headers: Mapping[str, object]) -> bool:
    return any(name.lower().startswith(_BINARY) for name in headers)


def _due_at(fields: Fields, delivery: Delivery, now: int) -> int:
    if ("until" in fields) == ("delay" in fields):
        raise PoisonError("until", "and delay: give one of the two")
    if "until" in fields:
        return due.at_time(fields.get("until"), "until")
    base = Given.of(delivery, now, derive_ids=False).base
    return due.after_delay(fields.get("delay"), base, "delay")
