"""How deliveries, tickets and burials look as AMQP properties and headers, there and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic

from bridge.model import Burial, Delivery, Hold, Shape, Stage, Ticket

OURS: Final = "x-bridge-"
DLQ: Final = "x-bridge-dlq-"
# What the broker wrote on an earlier trip. Sent again, RabbitMQ 3.x takes x-death for a cycle and drops the copy.
TRAVEL_WORN: Final = ("x-death", "x-first-death-", "x-last-death-", "x-delivery-count", "x-acquired-count", "CC", "BCC")
PERSISTENT: Final = 2
REASON_LIMIT: Final = 1_000  # characters; a header is no log file


def delivery_of(received: DeliveredMessage, origin: str, token: object) -> Delivery:
    """One delivery from a publishers' queue. Its x-bridge headers mean nothing: anybody can write them."""
    properties = received.header.properties
    return Delivery(
        body=received.body,
        headers=properties.headers or {},
        token=token,
        origin=origin,
        timestamp=_epoch(properties.timestamp),
        message_id=properties.message_id or None,
        content_type=properties.content_type or None,
        routing_key=received.routing_key or "",
        redelivered=bool(received.redelivered),
    )


def due_delivery_of(received: DeliveredMessage, origin: str, token: object) -> Delivery:
    """One copy from the due queue, as it was before it was held. `ticket` is None when it cannot be read."""
    delivery = delivery_of(received, origin, token)
    delivery.stage = Stage.DUE
    headers = delivery.headers
    delivery.ticket = _ticket(headers)
    delivery.message_id = _text(headers.get(OURS + "message-id")) or None
    delivery.routing_key = _text(headers.get(OURS + "routing-key"))
    delivery.headers = {name: value for name, value in headers.items() if not name.startswith(OURS) and not _worn(name)}
    if delivery.ticket is not None:
        delivery.origin = delivery.ticket.origin or origin
    return delivery


def held(item: Hold) -> tuple[bytes, Basic.Properties]:
    """A copy for the delay line: the publisher's bytes, fresh headers, and the ticket."""
    delivery, ticket = item.delivery, item.ticket
    headers: dict[str, Any] = {
        name: value for name, value in delivery.headers.items() if not name.startswith(OURS) and not _worn(name)
    }
    for name in ("route", "id", "due_at", "attempt", "first_seen", "gen", "reason", "origin", "event_due"):
        value = getattr(ticket, name)
        if value is not None:
            headers[OURS + name.replace("_", "-")] = value[:REASON_LIMIT] if name == "reason" else value
    headers[OURS + "shape"] = ticket.shape.value
    if delivery.message_id is not None:
        headers[OURS + "message-id"] = delivery.message_id
    headers[OURS + "routing-key"] = delivery.routing_key
    return item.body, _properties(delivery, headers)


def buried(item: Burial, now: int) -> tuple[bytes, Basic.Properties]:
    """A dead letter: the publisher's bytes, headers and properties, and why it is here in headers of our own."""
    delivery = item.delivery
    facts = {
        "reason": item.reason[:REASON_LIMIT],
        "kind": item.kind,
        "event-id": item.event_id,
        "event-name": item.name,
        "attempts": item.attempts,
        "first-seen": item.first_seen,
        "buried-at": now,
        "route": item.route,
        "origin": delivery.ticket.origin if delivery.ticket else delivery.origin,
        "routing-key": delivery.routing_key,
        "message-id": delivery.message_id,
        "shape": item.shape.value,
    }
    headers: dict[str, Any] = {name: value for name, value in delivery.headers.items() if not name.startswith(DLQ)}
    headers |= {DLQ + name: value for name, value in facts.items() if value is not None}
    return item.body, _properties(delivery, headers)


def _properties(delivery: Delivery, headers: dict[str, Any]) -> Basic.Properties:
    """Properties of a fresh publish. Its id is new each time: the client matches returned publishes by it."""
    stamp = None if delivery.timestamp is None else datetime.fromtimestamp(delivery.timestamp, tz=UTC)
    return Basic.Properties(
        headers=headers,
        content_type=delivery.content_type,
        message_id=uuid4().hex,
        timestamp=stamp,
        delivery_mode=PERSISTENT,
    )


def _ticket(headers: Mapping[str, object]) -> Ticket | None:
    try:
        return Ticket(
            route=_text(headers[OURS + "route"]),
            id=_text(headers[OURS + "id"]),
            due_at=_whole(headers[OURS + "due-at"]),
            attempt=_whole(headers[OURS + "attempt"]),
            first_seen=_whole(headers[OURS + "first-seen"]),
            gen=_whole(headers[OURS + "gen"]),
            shape=Shape(_text(headers[OURS + "shape"])),
            reason=_text(headers.get(OURS + "reason")),
            origin=_text(headers.get(OURS + "origin")),
            event_due=_whole(headers[OURS + "event-due"]) if OURS + "event-due" in headers else None,
        )
    except (KeyError, ValueError):
        return None


def _worn(name: str) -> bool:
    return name.startswith(TRAVEL_WORN)


def _text(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "backslashreplace")
    return value if isinstance(value, str) else ""


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("not a whole number")  # noqa: TRY004  one error for all that makes a ticket unreadable
    return value


def _epoch(stamp: object) -> float | None:
    return stamp.timestamp() if isinstance(stamp, datetime) else None
