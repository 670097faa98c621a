"""The body and headers of one event in each shape a publisher may use. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import orjson

from bridge.model import JsonValue

JSON = "application/json"


@dataclass(slots=True, frozen=True, kw_only=True)
class Wanted:
    """The event to publish. `delay` is seconds, 0 for none; `now` is epoch ms."""

    name: str
    data: JsonValue
    id: str
    delay: float
    now: int


@dataclass(slots=True, frozen=True, kw_only=True)
class Composed:
    """What goes to the broker."""

    body: bytes
    headers: Mapping[str, str | int] = field(default_factory=dict)
    content_type: str = JSON


def compose(shape: str, event: Wanted) -> Composed:
    """Put the event into its shape. Raises KeyError for a shape that there is not."""
    return _SHAPES[shape](event)


def _trigger(event: Wanted) -> Composed:
    return _json({"id": event.id, "event": {"name": event.name, "payload": event.data, **_delay(event)}})


def _trigger_v2(event: Wanted) -> Composed:
    options = {"options": {"deliverAfter": event.delay}} if event.delay else {}
    return _json({"event": {"id": event.id, "name": event.name, "payload": event.data}, **options})


def _sendevent(event: Wanted) -> Composed:
    return _json({"id": event.id, "name": event.name, "payload": event.data, **_delay(event)})


def _zopio(event: Wanted) -> Composed:
    return _json({"id": event.id, "event": event.name, "payload": event.data, **_delay(event)})


def _inngest(event: Wanted) -> Composed:
    return _json({"id": event.id, "name": event.name, "data": event.data, "ts": event.now + _ms(event)})


def _cloudevents(event: Wanted) -> Composed:
    attributes = {"specversion": "1.0", "id": event.id, "source": "/event-bridge/publish", "type": event.name}
    body = orjson.dumps({**attributes, "data": event.data})
    return Composed(body=body, headers=_delay_header(event), content_type="application/cloudevents+json")


def _raw(event: Wanted) -> Composed:
    headers = {"x-event-name": event.name, "x-deduplication-header": event.id, **_delay_header(event)}
    return Composed(body=orjson.dumps(event.data), headers=headers)


_SHAPES: dict[str, Callable[[Wanted], Composed]] = {
    "trigger": _trigger,
    "trigger-v2": _trigger_v2,
    "sendevent": _sendevent,
    "zopio": _zopio,
    "inngest": _inngest,
    "cloudevents": _cloudevents,
    "raw": _raw,
}


def _json(value: object) -> Composed:
    return Composed(body=orjson.dumps(value))


def _ms(event: Wanted) -> int:
    return round(event.delay * 1000)


def _delay(event: Wanted) -> dict[str, object]:
    return {"delay": {"seconds": event.delay}} if event.delay else {}


def _delay_header(event: Wanted) -> dict[str, str | int]:
    return {"x-delay": _ms(event)} if event.delay else {}
