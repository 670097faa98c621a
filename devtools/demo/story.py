"""What the demo publishes, in which shapes and when, and what must become of each event."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

End = Literal["delivered", "rejected", "poison"]
Holder = Literal["", "bridge", "api"]

JSON = "application/json"
REFUSED, FLAKY = "refund-1", "report-1"
"""Ids of the event that the API refuses, and of the one that it fails twice."""
FAILURES = 2


@dataclass(slots=True, frozen=True, kw_only=True)
class Parcel:
    """What goes to the broker."""

    body: bytes
    message_id: str
    headers: Mapping[str, Any] = field(default_factory=dict)
    content_type: str = JSON


@dataclass(slots=True, frozen=True)
class Named:
    """One event. Where the shape has no id of its own, the publisher's message id is it."""

    id: str
    name: str


@dataclass(slots=True, frozen=True, kw_only=True)
class Item:
    """One delivery to publish. `compose` gets the epoch in ms; `wait` is seconds."""

    route: str
    note: str
    events: tuple[Named, ...]
    compose: Callable[[int], Parcel]
    wait: float = 0.0
    holder: Holder = ""  # who keeps it until it is due
    copy: bool = False
    end: End = "delivered"
    failures: int = 0

    @property
    def title(self) -> str:
        first, *others = self.events
        return f"{first.name.partition('.')[0]}.*" if others else first.name


@dataclass(slots=True, frozen=True)
class Chapter:
    title: str
    items: tuple[Item, ...]


def story() -> list[Chapter]:
    """The whole demo, in order."""
    shapes, delays = _shapes(), _delays()
    return [
        Chapter("Every shape of envelope", tuple(shapes)),
        Chapter("Delays, in every spelling", tuple(delays)),
        Chapter("The same again", tuple(_copies([*shapes, *delays]))),
        Chapter("What goes wrong", tuple(_troubles())),
    ]


def _item(route: str, event_id: str, name: str, note: str, body: Any, **more: Any) -> Item:
    """An item with one event. `body` is JSON, or makes it of the time; headers and content type stand in `more`."""
    parcel = {key: more.pop(key) for key in ("headers", "content_type") if key in more}

    def compose(now: int) -> Parcel:
        value = body(now) if callable(body) else body
        return Parcel(body=json.dumps(value).encode(), message_id=event_id, **parcel)

    return Item(route=route, note=note, events=(Named(event_id, name),), compose=compose, **more)


def _shapes() -> list[Item]:
    cart = [Named(f"cart-{number}", f"cart.{what}") for number, what in enumerate(("opened", "filled", "left"), 1)]
    array = [{"id": event.id, "name": event.name, "data": {"items": 3}} for event in cart]
    counted = {"specversion": "1.0", "id": "stock-1", "source": "/warehouse", "type": "stock.counted"}
    moved = {"specversion": "1.0", "id": "stock-2", "source": "/warehouse", "type": "stock.moved"}
    return [
        _item(
            "trigger-v1",
            "order-1",
            "order.created",
            "Trigger.dev v1",
            {"id": "order-1", "event": {"name": "order.created", "payload": {"total": 99}}},
        ),
        _item(
            "trigger-v2",
            "order-2",
            "order.paid",
            "Trigger.dev v2, with options",
            {
                "event": {"id": "order-2", "name": "order.paid", "payload": {"total": 99}},
                "options": {"accountId": "acme"},
            },
        ),
        _item(
            "trigger-v2",
            "order-3",
            "order.shipped",
            "what sendEvent takes",
            {"id": "order-3", "name": "order.shipped", "payload": {"parcels": 2}},
        ),
        _item(
            "inngest",
            "user-1",
            "user.created",
            "Inngest",
            {"id": "user-1", "name": "user.created", "data": {"plan": "free"}, "user": {"id": "u1"}},
        ),
        Item(
            route="inngest",
            note="Inngest, an array of three",
            events=tuple(cart),
            compose=lambda _: Parcel(body=json.dumps(array).encode(), message_id="carts"),
        ),
        _item(
            "inngest",
            "user-2",
            "user.welcomed",
            "SentEvent, without id",
            {"name": "user.welcomed", "data": {"mail": True}},
        ),
        _item("zopio", "invoice-1", "invoice.created", "Zopio", {"event": "invoice.created", "payload": {"total": 99}}),
        _item(
            "webhook",
            "stock-1",
            "stock.counted",
            "CloudEvents, structured",
            {**counted, "data": {"left": 7}},
            content_type="application/cloudevents+json",
        ),
        _item(
            "webhook",
            "stock-2",
            "stock.moved",
            "CloudEvents, binary",
            {"to": "shelf 3"},
            headers={f"cloudEvents:{name}": value for name, value in moved.items()},
        ),
        _raw("sensor-1", "sensor.read", "raw JSON, named by a header"),
    ]


def _raw(event_id: str, name: str, note: str, **more: Any) -> Item:
    headers = {"x-event-name": name, "x-deduplication-header": event_id, **more.pop("headers", {})}
    return _item("webhook", event_id, name, note, {"celsius": 21.5}, headers=headers, **more)


def _delays() -> list[Item]:
    def trigger(event_id: str, name: str, **delay: float) -> dict[str, Any]:
        return {"id": event_id, "event": {"name": name, "payload": {}, "delay": delay}}

    return [
        _raw("sensor-2", "sensor.blinked", "x-delay: 1500", headers={"x-delay": 1500}, wait=1.5, holder="bridge"),
        _raw("sensor-3", "sensor.checked", "x-delay: 4200", headers={"x-delay": 4200}, wait=4.2, holder="bridge"),
        _item(
            "trigger-v1",
            "order-4",
            "order.reminded",
            "delay: 5 seconds",
            trigger("order-4", "order.reminded", seconds=5),
            wait=5,
            holder="bridge",
        ),
        _item(
            "trigger-v1",
            "order-5",
            "order.archived",
            "delay: 0.1 minutes, 1 second",
            trigger("order-5", "order.archived", minutes=0.1, seconds=1),
            wait=7,
            holder="bridge",
        ),
        _item(
            "zopio",
            "invoice-2",
            "invoice.due",
            "delay: until a time",
            lambda now: {"event": "invoice.due", "payload": {}, "delay": {"until": _iso(now + 6000)}},
            wait=6,
            holder="bridge",
        ),
        _item(
            "webhook",
            "trial-1",
            "trial.ended",
            'delay: "PT6.5S"',
            {"id": "trial-1", "name": "trial.ended", "payload": {}, "delay": "PT6.5S"},
            wait=6.5,
            holder="bridge",
        ),
        _item(
            "trigger-v2",
            "order-6",
            "order.rated",
            "deliverAfter: 4",
            {"event": {"id": "order-6", "name": "order.rated", "payload": {}}, "options": {"deliverAfter": 4}},
            wait=4,
            holder="api",
        ),
        _item(
            "inngest",
            "user-3",
            "user.nudged",
            "ts in the future",
            lambda now: {"id": "user-3", "name": "user.nudged", "data": {}, "ts": now + 5500},
            wait=5.5,
            holder="api",
        ),
    ]


def _copies(items: list[Item]) -> list[Item]:
    """Copies of events that were delivered, and of one that still waits."""
    why = {
        "order-1": "same id",
        "user-1": "same id",
        "stock-1": "same source and id",
        "sensor-1": "same x-deduplication-header",
        "invoice-1": "same id, beside the body",
        "order-5": "same id, while it waits",
    }
    by_id = {item.events[0].id: item for item in items}
    return [replace(by_id[event_id], copy=True, note=note) for event_id, note in why.items()]


def _troubles() -> list[Item]:
    return [
        _item(
            "trigger-v1",
            "order-7",
            "order.???",
            "a body without a name",
            {"id": "order-7", "event": {"payload": {"total": 99}}},
            end="poison",
        ),
        _item(
            "trigger-v2",
            REFUSED,
            "order.refunded",
            "one that the API refuses",
            {"event": {"id": REFUSED, "name": "order.refunded", "payload": {"total": -1}}},
            end="rejected",
        ),
        _item(
            "webhook",
            FLAKY,
            "report.built",
            "one that fails twice",
            {"id": FLAKY, "name": "report.built", "payload": {"pages": 12}},
            failures=FAILURES,
        ),
    ]


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
