"""How deliveries, tickets and burials look as Kafka records, there and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias

from bridge.core.pairs import Pair, mapping_of, pairs_of
from bridge.kafka.values import AS_IT_IS, known, object_of, octets, read, seconds, text, whole, words, written
from bridge.model import Burial, Delivery, Hold, Shape, Stage, Ticket

OURS: Final = "x-bridge-"
DLQ: Final = "x-bridge-dlq-"
FOREIGN: Final = "foreign"  # the kind of dead letters that somebody else brought
REASON_LIMIT: Final = 1_000  # characters; a header is no log file
STUB_BODY: Final = 65_536  # bytes that are kept at most of a body which is too large for the dead letters

NO_HEADERS: Final[Mapping[str, object]] = MappingProxyType({})
NO_PROPERTIES: Final[Mapping[str, str | int]] = MappingProxyType({})

Record: TypeAlias = "tuple[bytes | None, bytes, Sequence[Pair]]"
"""Key, value and headers of a record that is to be sent."""


class Read(Protocol):
    """A record as a batch of aiokafka's has it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[Pair]


class Received(Read, Protocol):
    """A record as aiokafka's consumer hands it out."""

    topic: str
    partition: int


def deliveries_of(records: Sequence[Read], place: tuple[str, int], owner: object) -> list[Delivery]:
    """Deliveries from a partition of a publishers' topic, with `(owner, offset)` as their tokens."""
    topic, number = place
    origin, prefix = f"kafka:{topic}", f"{topic}/{number}/"
    return [_delivery(record, topic, origin, prefix + str(record.offset), (owner, record.offset)) for record in records]


def _delivery(record: Read, topic: str, origin: str, position: str, token: object) -> Delivery:
    """
    One delivery from a publishers' topic. Its x-bridge headers mean nothing: anybody can write them.

    It is filled field by field, since that takes less than half the time of its constructor.
    """
    headers = mapping_of(record.headers) if record.headers else NO_HEADERS
    stamp = record.timestamp
    made = Delivery.__new__(Delivery)
    made.body = record.value or b""
    made.headers = headers
    made.token = token
    made.origin = origin
    made.timestamp = stamp / 1000 if stamp >= 0 else None
    made.message_id = None
    made.content_type = _text_of(headers.get("content-type")) if headers else None
    made.properties = NO_PROPERTIES
    made.routing_key = topic
    made.key = record.key
    made.position = position
    made.redelivered = False
    made.stage = Stage.INTAKE
    made.ticket = None
    return made


def _text_of(value: object) -> str | None:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else None


def due_delivery_of(record: Read, origin: str, token: object) -> Delivery:
    """One copy from the delay line, as it was before it was held. `ticket` is None when it cannot be read."""
    ours, theirs = _apart(record.headers, OURS)
    ticket = _ticket(ours)
    return Delivery(
        body=record.value or b"",
        headers=_typed(theirs, ours),
        token=token,
        origin=(ticket.origin if ticket else "") or origin,
        key=record.key,
        stage=Stage.DUE,
        ticket=ticket,
        **_told(ours),
    )


def ticket_of(record: Read) -> Ticket | None:
    """The ticket of a held copy; None when it cannot be read."""
    return _ticket(_apart(record.headers, OURS)[0])


def due_at_of(record: Read) -> int | None:
    """When a held copy is due, in ms, without reading all of its ticket; None when that cannot be read."""
    for name, value in record.headers:
        if name == OURS + "due-at":
            return known(value)
    return None


def held(item: Hold) -> Record:
    """A copy for the delay line: the publisher's key, bytes and headers, and the ticket."""
    ticket = item.ticket
    facts = {
        "due-at": b"%d" % ticket.due_at,  # stands first, where it is found at once
        "route": octets(ticket.route),
        "id": octets(ticket.id),
        "attempt": b"%d" % ticket.attempt,
        "first-seen": b"%d" % ticket.first_seen,
        "gen": b"%d" % ticket.gen,
        "shape": ticket.shape.value.encode(),
        "reason": octets(ticket.reason[:REASON_LIMIT]),
        "origin": octets(ticket.origin),
        "event-due": None if ticket.event_due is None else b"%d" % ticket.event_due,
        "replay": octets(ticket.replay) if ticket.replay else None,
    }
    return item.delivery.key, item.body, _headers(item.delivery, facts, OURS)


def buried(item: Burial, now: int) -> Record:
    """A dead letter: the publisher's key, bytes and headers, and why it is here in headers of our own."""
    return item.delivery.key, item.body, _headers(item.delivery, _reasons(item, now), DLQ)


def stub(item: Burial, now: int, room: int) -> Record:
    """
    What fits into `room` bytes of a dead letter that does not: all it says, and the first part of its body.

    The publisher's headers and key are left out only where they are large themselves.
    """
    delivery = item.delivery
    facts = _reasons(item, now) | {"truncated": b"%d" % (item.truncated or len(item.body))}
    headers = _headers(delivery, facts, DLQ)
    if _size(headers) > room // 4:
        headers = _headers(Delivery(body=b"", **{name: getattr(delivery, name) for name in _TOLD}), facts, DLQ)
    key = delivery.key if delivery.key is None or len(delivery.key) <= room // 4 else None
    return key, item.body[: min(STUB_BODY, room // 4)], headers


def exhumed(record: Received) -> Burial:
    """A dead letter read back. One that somebody else brought says only that."""
    facts, theirs = _apart(record.headers, DLQ)
    if "kind" not in facts:
        [delivery] = deliveries_of([record], (record.topic, record.partition), None)
        return Burial(delivery, delivery.body, reason="nobody said why it was brought here", kind=FOREIGN)
    delivery = Delivery(
        body=record.value or b"",
        headers=_typed(theirs, facts),
        origin=words(facts.get("origin")) or f"kafka:{record.topic}",
        key=record.key,
        **_told(facts),
    )
    return Burial(
        delivery,
        delivery.body,
        reason=words(facts.get("reason")),
        kind=words(facts["kind"]),
        event_id=words(facts.get("event-id")) or None,
        name=words(facts.get("event-name")) or None,
        attempts=known(facts.get("attempts")) or 0,
        first_seen=known(facts.get("first-seen")),
        shape=Shape.ENVELOPE if facts.get("shape") == Shape.ENVELOPE.value.encode() else Shape.ORIGINAL,
        route=words(facts.get("route")),
        buried_at=known(facts.get("buried-at")),
        truncated=known(facts.get("truncated")),
    )


def _reasons(item: Burial, now: int) -> dict[str, bytes | None]:
    delivery = item.delivery
    return {
        "reason": item.reason[:REASON_LIMIT].encode("utf-8", "backslashreplace"),
        "kind": octets(item.kind),
        "event-id": None if item.event_id is None else octets(item.event_id),
        "event-name": None if item.name is None else octets(item.name),
        "attempts": b"%d" % item.attempts,
        "first-seen": None if item.first_seen is None else b"%d" % item.first_seen,
        "buried-at": b"%d" % (item.buried_at or now),
        "truncated": None if item.truncated is None else b"%d" % item.truncated,
        "route": octets(item.route),
        "origin": octets(delivery.ticket.origin if delivery.ticket else delivery.origin),
        "shape": item.shape.value.encode(),
    }


def _headers(delivery: Delivery, facts: Mapping[str, bytes | None], prefix: str) -> list[Pair]:
    """Headers of a record: ours, which say what Kafka has no place for, then the publisher's."""
    kinds: dict[str, str] = {}
    theirs: list[Pair] = []
    for name, value in pairs_of(delivery.headers):
        if not name.startswith(prefix):
            raw, kind = written(value)
            theirs.append((name, raw))
            if kind != AS_IT_IS:
                kinds[name] = kind
    told = {
        "message-id": None if delivery.message_id is None else octets(delivery.message_id),
        "content-type": None if delivery.content_type is None else octets(delivery.content_type),
        "routing-key": octets(delivery.routing_key),
        "timestamp": None if delivery.timestamp is None else repr(delivery.timestamp).encode(),
        "position": None if delivery.position is None else octets(delivery.position),
        "properties": octets(json.dumps(dict(delivery.properties))) if delivery.properties else None,
        "types": octets(json.dumps(kinds)) if kinds else None,
    }
    ours = [(prefix + name, value) for name, value in (*facts.items(), *told.items()) if value is not None]
    return ours + theirs


_TOLD: Final = ("message_id", "content_type", "routing_key", "timestamp", "position", "properties")


def _told(ours: Mapping[str, bytes]) -> dict[str, Any]:
    """What headers of ours say about a delivery."""
    properties = object_of(ours.get("properties"))
    return {
        "message_id": words(ours.get("message-id")) or None,
        "content_type": words(ours.get("content-type")) or None,
        "routing_key": words(ours.get("routing-key")),
        "timestamp": seconds(ours.get("timestamp")),
        "position": words(ours.get("position")) or None,
        "properties": {name: value for name, value in properties.items() if isinstance(value, str | int)},
    }


def _typed(theirs: Sequence[Pair], ours: Mapping[str, bytes]) -> Mapping[str, object]:
    """The publisher's headers; those that were of another type than bytes are so again."""
    kinds = object_of(ours.get("types"))
    if not kinds:
        return mapping_of(theirs)
    headers: dict[str, object] = {}
    for name, raw in theirs:
        try:
            headers[name] = read(raw, str(kinds.get(name, AS_IT_IS)))
        except ValueError:
            headers[name] = raw
    return headers


def _apart(headers: Iterable[Pair], prefix: str) -> tuple[dict[str, bytes], list[Pair]]:
    """Ours, without what their names begin with, and theirs."""
    ours: dict[str, bytes] = {}
    theirs: list[Pair] = []
    for name, value in headers:
        if not name.startswith(prefix):
            theirs.append((name, value))
        elif value is not None:
            ours[name[len(prefix) :]] = value
    return ours, theirs


def _ticket(ours: Mapping[str, bytes]) -> Ticket | None:
    replay = words(ours.get("replay"))
    try:
        return Ticket(
            route=_named(ours["route"]),
            id=words(ours["id"]) if replay else _named(ours["id"]),
            due_at=whole(ours["due-at"]),
            attempt=whole(ours["attempt"]),
            first_seen=whole(ours["first-seen"]),
            gen=whole(ours["gen"]),
            shape=Shape(text(ours["shape"])),
            reason=words(ours.get("reason")),
            origin=words(ours.get("origin")),
            event_due=whole(ours["event-due"]) if "event-due" in ours else None,
            replay=replay,
        )
    except (KeyError, ValueError):
        return None


def _named(raw: bytes) -> str:
    if not (found := text(raw)):
        raise ValueError("no text")
    return found


def _size(headers: Sequence[Pair]) -> int:
    """Bytes that headers take, generously."""
    return sum(len(octets(name)) + len(value or b"") + 10 for name, value in headers)
