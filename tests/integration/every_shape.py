"""One event of every envelope shape, and what must arrive of it at whatever target."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

DERIVED = ""
"""Stands for an id that the publisher left out."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """
    One event. `more` are its further fields, as a webhook without a template gets them.

    It is due `wait` seconds after it was published, or exactly at `at` (epoch ms).
    """

    id: str
    name: str
    data: object
    wait: float = 0.0
    at: int | None = None
    source: str | None = None
    more: Mapping[str, object] = field(default_factory=dict)

    @property
    def later(self) -> bool:
        return self.wait > 0 or self.at is not None


@dataclass(frozen=True, kw_only=True)
class Published:
    """One delivery."""

    body: bytes
    headers: Mapping[str, object] = field(default_factory=dict)
    events: Sequence[Expected]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def every_shape(wait: float) -> list[Published]:
    """All shapes; of each kind of delay there is one event, which is due in `wait` seconds."""
    at = now_ms() + int(wait * 1000)
    return [*_trigger(wait, at), *_plain(wait), *_inngest(at), *_cloudevents(wait), *_raw(wait)]


def _trigger(wait: float, at: int) -> list[Published]:
    payload = {"userId": "123456", "note": "Grüße"}
    happened = {"timestamp": "2025-11-21T04:40:00.000Z", "context": {"tenant": "t-1"}}
    kept = {"ts": 1_763_700_000_000, "context": {"tenant": "t-1"}}
    return [
        _json(
            {"id": "v1-1", "event": {"name": "user.created", "payload": payload, **happened}},
            Expected(id="v1-1", name="user.created", data=payload, more=kept),
        ),
        _json(
            {"id": "v1-2", "event": {"name": "user.reminded", "payload": payload, "delay": {"seconds": wait}}},
            Expected(id="v1-2", name="user.reminded", data=payload, wait=wait),
        ),
        _json(
            {"id": "v1-3", "event": {"name": "user.woken", "payload": payload, "delay": {"until": _iso(at)}}},
            Expected(id="v1-3", name="user.woken", data=payload, at=at),
        ),
        _json(
            {"event": {"id": "v2-1", "name": "order.placed", "payload": payload}, "options": {"accountId": "acc-7"}},
            Expected(id="v2-1", name="order.placed", data=payload, more={"user": {"accountId": "acc-7"}}),
        ),
        _json(
            {"event": {"id": "v2-2", "name": "order.paid", "payload": payload}, "options": {"deliverAt": _iso(at)}},
            Expected(id="v2-2", name="order.paid", data=payload, at=at),
        ),
        _json(
            {"events": [{"name": "order.sent", "payload": payload}], "options": {"deliverAfter": wait}},
            Expected(id=DERIVED, name="order.sent", data=payload, wait=wait),
        ),
    ]


def _plain(wait: float) -> list[Published]:
    data = {"message": "This is a test event"}
    return [
        _json(
            {"name": "reminder.send", "payload": data, "delay": f"PT{wait}S"},
            Expected(id=DERIVED, name="reminder.send", data=data, wait=wait),
        ),
        _json(
            {"name": "reminder.kept", "payload": {**data, "n": 2}, "id": "send.1"},
            Expected(id="send.1", name="reminder.kept", data={**data, "n": 2}),
        ),
        _json({"event": "test.event", "payload": data}, Expected(id=DERIVED, name="test.event", data=data)),
        _json(
            {"event": "test.later", "payload": data, "id": "z-1", "delay": {"minutes": wait / 60}},
            Expected(id="z-1", name="test.later", data=data, wait=wait),
        ),
    ]


def _inngest(at: int) -> list[Published]:
    cart = {"cartId": "ed12c8bde", "prices": [1.5, 2], "big": 9_007_199_254_740_993}
    who = {"user": {"external_id": "6463da82"}, "ts": 1_684_274_328_198, "v": "2024-05-15.1"}
    one = {"id": "cart-1", "name": "storefront/cart.checkout.completed", "data": cart, **who}
    return [
        _json(one, Expected(id="cart-1", name="storefront/cart.checkout.completed", data=cart, more=who)),
        _json(
            [
                {"id": "cart-2", "name": "cart.opened", "data": cart},
                {"id": "cart-3", "name": "cart.left", "data": cart, "ts": at},
                {"name": "onboarding.start", "data": {"userId": "1"}},
            ],
            Expected(id="cart-2", name="cart.opened", data=cart),
            Expected(id="cart-3", name="cart.left", data=cart, at=at, more={"ts": at}),
            Expected(id=DERIVED, name="onboarding.start", data={"userId": "1"}),
        ),
        _json(  # the SentEvent of step.ext.sendEvent
            {"name": "onboarding.ended", "data": {"userId": "2"}},
            Expected(id=DERIVED, name="onboarding.ended", data={"userId": "2"}),
        ),
    ]


def _cloudevents(wait: float) -> list[Published]:
    written = "2026-01-31T09:00:00.123456Z"
    ts, data = 1_769_850_000_124, {"order": 7}  # rounded up, like every time
    attributes = {"specversion": "1.0", "id": "A234-1234", "source": "/orders", "time": written, "tenant": "t1"}
    structured = {**attributes, "type": "com.example.order.created", "data": data}
    binary = {f"ce-{key}": text for key, text in attributes.items()}
    return [
        _json(
            structured,
            Expected(
                id="A234-1234",
                name="com.example.order.created",
                data=data,
                source="/orders",
                more={"source": "/orders", "ts": ts, "context": {"time": written, "tenant": "t1"}},
            ),
            headers={"content-type": "application/cloudevents+json; charset=utf-8"},
        ),
        _json(  # the same id, from another source: another event
            data,
            Expected(
                id="A234-1234",
                name="com.example.order.cancelled",
                data=data,
                source="/shop#7",
                wait=wait,
                more={
                    "source": "/shop#7",
                    "ts": ts,
                    "context": {"time": written, "tenant": "t1", "datacontenttype": "application/json"},
                },
            ),
            headers={
                **binary,
                "ce-source": "/shop#7",
                "ce-type": "com.example.order.cancelled",
                "content-type": "application/json",
                "x-delay": int(wait * 1000),
            },
        ),
    ]


def _raw(wait: float) -> list[Published]:
    data = {"anything": ["at", "all"], "event": {"name": "not.this"}}
    return [
        _json(
            data,
            Expected(id="raw 1", name="legacy.event", data=data),
            headers={"x-event-name": "legacy.event", "x-deduplication-header": "raw 1"},
        ),
        _json(
            data,
            Expected(id=DERIVED, name="legacy.later", data=data, wait=wait),
            headers={"x-event-name": b"legacy.later", "x-delay": str(int(wait * 1000))},
        ),
    ]


def _json(body: object, *events: Expected, headers: Mapping[str, object] | None = None) -> Published:
    return Published(body=json.dumps(body, ensure_ascii=False).encode(), headers=headers or {}, events=events)


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
