"""How deliveries, tickets and burials look as AMQP properties and headers, there and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic

from bridge.model import Burial, Delivery, Hold, Shape, Stage, Ticket
from bridge.rabbitmq.decoders import MAX_ITEMS
from bridge.rabbitmq.encoders import clipped
from bridge.rabbitmq.foreign import COUNTERS, KEY, PAIRS, packed, restore, unpacked, whole_seconds, worn

OURS: Final = "x-bridge-"
DLQ: Final = "x-bridge-dlq-"
DROPPED: Final = "x-bridge-dropped-headers"  # names of headers that did not fit beside ours
# Sent again, these would do something: expire the copy on its way, be refused (a user id must be the sender's own), or
# be answered.
ONCE_ONLY: Final = frozenset({"expiration", "user_id", "reply_to"})
FURTHER: Final = ("content_encoding", "priority", "correlation_id", "message_type", "app_id", *sorted(ONCE_ONLY))
PERSISTENT: Final = 2
FRAME_MAX: Final = 131_072  # bytes; RabbitMQ's default, for a broker that names no limit
FRAME_OVERHEAD: Final = 64  # bytes of the frame that are not properties, generously
FEW: Final = 8
RETURNED: Final = "returned"  # the kind of dead letters that the broker brought
MOST_HEADERS: Final = MAX_ITEMS - 10  # the broker adds some on the way
STUB_BODY: Final = 65_536  # bytes that are kept of a body which is too large for the dead letters
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
        properties={name: value for name in FURTHER if (value := getattr(properties, name)) not in (None, "")},
        routing_key=received.routing_key or "",
        redelivered=bool(received.redelivered),
    )


def due_delivery_of(received: DeliveredMessage, origin: str, token: object) -> Delivery:
    """One copy from the due queue, as it was before it was held. `ticket` is None when it cannot be read."""
    delivery = delivery_of(received, origin, token)
    as_due(delivery)
    return delivery


def as_due(delivery: Delivery) -> None:
    """Make a copy from the due queue what it was before it was held. `ticket` is None when it cannot be read."""
    delivery.stage = Stage.DUE
    headers = delivery.headers
    delivery.ticket = _ticket(headers)
    delivery.message_id = _text(headers.get(OURS + "message-id")) or None
    delivery.routing_key = _text(headers.get(OURS + "routing-key"))
    delivery.properties = _carried(headers.get(OURS + "properties"))
    theirs = {name: value for name, value in headers.items() if not name.startswith(OURS) and not worn(name)}
    ours = _ours(headers, OURS)
    delivery.headers = unpacked(theirs, ours)
    restore(delivery, ours)
    if delivery.ticket is not None and delivery.ticket.origin:
        delivery.origin = delivery.ticket.origin


def held(item: Hold) -> tuple[bytes, Basic.Properties]:
    """A copy for the delay line: the publisher's bytes, fresh headers, and the ticket."""
    delivery, ticket = item.delivery, item.ticket
    headers = packed(delivery, OURS, afresh=True)
    for name in ("route", "id", "due_at", "attempt", "first_seen", "gen", "reason", "origin", "event_due"):
        value = getattr(ticket, name)
        if value is not None:
            headers[OURS + name.replace("_", "-")] = value[:REASON_LIMIT] if name == "reason" else value
    headers[OURS + "shape"] = ticket.shape.value
    if ticket.replay:
        headers[OURS + "replay"] = ticket.replay
    if delivery.message_id is not None:
        headers[OURS + "message-id"] = delivery.message_id
    headers[OURS + "routing-key"] = delivery.routing_key
    if delivery.properties:
        headers[OURS + "properties"] = dict(delivery.properties)
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
        "buried-at": item.buried_at or now,
        "truncated": item.truncated,
        "route": item.route,
        "origin": delivery.ticket.origin if delivery.ticket else delivery.origin,
        "routing-key": delivery.routing_key,
        "message-id": delivery.message_id,
        "shape": item.shape.value,
    }
    headers = packed(delivery, DLQ, afresh=False)
    headers |= {DLQ + name: value for name, value in facts.items() if value is not None}
    further = delivery.properties
    headers |= {DLQ + name.replace("_", "-"): value for name, value in further.items() if name in ONCE_ONLY}
    return item.body, _properties(delivery, headers, {name: further[name] for name in further.keys() - ONCE_ONLY})


def stub(item: Burial, now: int) -> tuple[bytes, Basic.Properties]:
    """The first part of a dead letter that is too large; how large it was stands beside it."""
    body, properties = buried(item, now)
    properties.headers = {**(properties.headers or {}), DLQ + "truncated": item.truncated or len(body)}
    return body[:STUB_BODY], properties


def exhumed(received: DeliveredMessage, origin: str) -> Burial:
    """A dead letter read back. One that the broker brought here, after too many returns, says only that."""
    delivery = delivery_of(received, origin, None)
    facts = _ours(delivery.headers, DLQ)
    own = COUNTERS | {name for name in delivery.headers if name.startswith(DLQ)}
    delivery.headers = unpacked({name: value for name, value in delivery.headers.items() if name not in own}, facts)
    restore(delivery, facts)
    delivery.message_id = _text(facts.get("message-id")) or None
    if facts:
        delivery.routing_key = _text(facts.get("routing-key"))
        delivery.origin = _text(facts.get("origin")) or origin
    once_only = {name: facts.get(name.replace("_", "-")) for name in ONCE_ONLY}
    delivery.properties = {**delivery.properties, **_carried(once_only)}
    return Burial(
        delivery,
        delivery.body,
        reason=_text(facts.get("reason")) or "the broker brought it here after too many returns",
        kind=_text(facts.get("kind")) or RETURNED,
        event_id=_text(facts.get("event-id")) or None,
        name=_text(facts.get("event-name")) or None,
        attempts=_known(facts.get("attempts")) or 0,
        first_seen=_known(facts.get("first-seen")),
        shape=Shape.ENVELOPE if facts.get("shape") == Shape.ENVELOPE.value else Shape.ORIGINAL,
        route=_text(facts.get("route")),
        buried_at=_known(facts.get("buried-at")),
        truncated=_known(facts.get("truncated")),
    )


def slim(properties: Basic.Properties, room: int) -> list[str]:
    """
    Drop the publisher's largest headers until the properties take at most `room` bytes; return their names.

    A publisher may fill the one frame that AMQP has for properties. With our headers beside his it would be too
    large, and the broker closes a connection over that: every time, for ever. Nor may there be more headers than we
    read back, or ours could be among those left out.
    """
    headers: dict[str, Any] = dict(properties.headers or {})
    prefix = DLQ if DLQ + "kind" in headers else OURS
    pairs: list[Any] = list(headers.get(prefix + PAIRS) or ())
    names = [name for name in headers if not name.startswith(prefix)]
    droppable: list[str | int] = sorted(
        [*names, *range(len(pairs))],
        key=lambda place: len(str(headers[place] if isinstance(place, str) else pairs[place])),
    )
    if prefix + KEY in headers:
        droppable.insert(0, prefix + KEY)  # of a Kafka record; it goes last, as it says which events belong in order
    dropped: list[str] = []
    while droppable and _too_much(properties, len(pairs) - pairs.count(None), room):
        # Many small ones go by the half, so that this ends in a few rounds.
        for _ in range(len(droppable) // 2 if len(droppable) > FEW else 1):
            place = droppable.pop()
            if isinstance(place, str):
                dropped.append(place)
                del headers[place]
            else:
                dropped.append(pairs[place][0])
                pairs[place] = None
        if pairs:
            headers[prefix + PAIRS] = [pair for pair in pairs if pair is not None]
        headers[DROPPED] = ", ".join(dropped)[:REASON_LIMIT]
        properties.headers = headers
    return dropped


def _too_much(properties: Basic.Properties, pairs: int, room: int) -> bool:
    return max(len(properties.headers or {}), pairs) > MOST_HEADERS or len(properties.marshal()) > room


def _properties(
    delivery: Delivery, headers: dict[str, Any], further: Mapping[str, str | int] | None = None
) -> Basic.Properties:
    """Properties of a fresh publish. Its id is new each time: the client matches returned publishes by it."""
    properties = Basic.Properties(
        headers=headers,
        content_type=delivery.content_type and clipped(delivery.content_type),
        message_id=uuid4().hex,
        timestamp=whole_seconds(delivery.timestamp),
        delivery_mode=PERSISTENT,
    )
    for name, value in (further or {}).items():
        setattr(properties, name, clipped(value) if isinstance(value, str) else value)
    return properties


def _carried(value: object) -> dict[str, str | int]:
    """The further properties of a held copy."""
    if not isinstance(value, Mapping):
        return {}
    return {name: found for name, found in value.items() if name in FURTHER and isinstance(found, str | int)}


def _ticket(headers: Mapping[str, object]) -> Ticket | None:
    replay = _text(headers.get(OURS + "replay"))
    try:
        return Ticket(
            route=_named(headers[OURS + "route"]),
            id=_text(headers[OURS + "id"]) if replay else _named(headers[OURS + "id"]),
            due_at=_whole(headers[OURS + "due-at"]),
            attempt=_whole(headers[OURS + "attempt"]),
            first_seen=_whole(headers[OURS + "first-seen"]),
            gen=_whole(headers[OURS + "gen"]),
            shape=Shape(_text(headers[OURS + "shape"])),
            reason=_text(headers.get(OURS + "reason")),
            origin=_text(headers.get(OURS + "origin")),
            event_due=_whole(headers[OURS + "event-due"]) if OURS + "event-due" in headers else None,
            replay=replay,
        )
    except (KeyError, ValueError):
        return None


def _ours(headers: Mapping[str, object], prefix: str) -> dict[str, object]:
    """Headers of ours, without what their names begin with."""
    return {name.removeprefix(prefix): value for name, value in headers.items() if name.startswith(prefix)}


def _text(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "backslashreplace")
    return value if isinstance(value, str) else ""


def _named(value: object) -> str:
    if not (text := _text(value)):
        raise ValueError("no text")
    return text


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("not a whole number")  # noqa: TRY004  one error for all that makes a ticket unreadable
    return value


def _known(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _epoch(stamp: object) -> float | None:
    return stamp.timestamp() if isinstance(stamp, datetime) else None
