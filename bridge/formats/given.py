"""What a broker's headers and properties say about every event of a delivery; used where the body says nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from bridge.core.due import FARTHEST, NOT_SECONDS, after_milliseconds
from bridge.errors import PoisonError
from bridge.formats.fields import check_label
from bridge.formats.headers import folded, header_text, text_header
from bridge.formats.trace import trace_of
from bridge.model import Delivery, Envelope

DELAY_HEADER = "x-delay"
"""Milliseconds to wait, as publishers to the archived delayed-message plugin of RabbitMQ send it."""

ID_HEADER = "x-deduplication-header"
"""The event's id, as publishers to RabbitMQ's message-deduplication plugin send it."""

# Stamps are cut, so that the true time lies up to one step later. In ms:
_AMQP_STEP = 1000
_KAFKA_STEP = 1


@dataclass(slots=True)
class Given:
    """Everything about a delivery that its body need not say. Times are epoch ms."""

    delivery: Delivery
    now: int
    base: int  # what relative delays count from
    stamp: int | None  # the broker's or publisher's
    derive_ids: bool
    headers: Mapping[str, object]  # by their names in lower case
    due_at: int | None = None
    trace: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, delivery: Delivery, now: int, *, derive_ids: bool) -> Given:
        """Read headers and properties. Raises PoisonError for a delay header that is none."""
        headers = folded(delivery.headers)
        stamp = None if delivery.timestamp is None else stamp_of(delivery)
        given = cls(delivery, now, _base(delivery, stamp, now), stamp, derive_ids, headers)
        if not headers:
            return given
        if (delay := headers.get(DELAY_HEADER)) is not None:
            name = f"headers.{DELAY_HEADER}"
            text = header_text(delay, name) if isinstance(delay, bytes) else delay
            given.due_at = after_milliseconds(text, given.base, name)
        if (parent := headers.get("traceparent")) is not None:
            given.trace = trace_of(parent, headers.get("tracestate"))
        return given

    @property
    def has_id(self) -> bool:
        """Whether a header or property says the id."""
        return bool(self.headers.get(ID_HEADER) or self.delivery.message_id)

    def complete(self, event: Envelope, index: int | None = None) -> Envelope:
        """
        Fill in what the body left open: the id (""), `ts`, `due_at` and `trace`. `index` is the place in an array.

        Raises PoisonError where there is no id and none can be derived.
        """
        if not event.id:
            event.id = self._id(event.name, index)
        self.add_to(event)
        return event

    def add_to(self, event: Envelope) -> None:
        """Fill in `ts`, `due_at` and `trace`. What was delayed from elsewhere has no `raw` any more."""
        if event.ts is None:
            stamp(event, self.stamp, self.now)
        if event.due_at is None and self.due_at is not None:
            event.due_at = self.due_at
            event.raw = None
        if self.trace:
            event.trace = self.trace

    def _id(self, name: str, index: int | None) -> str:
        stem = self._stem(name)
        return stem if index is None else f"{stem}/{index}"

    def _stem(self, name: str) -> str:
        delivery = self.delivery
        if (given := text_header(self.headers, ID_HEADER)) is not None:
            return check_label(given, f"headers.{ID_HEADER}")
        if delivery.message_id:
            return check_label(delivery.message_id, "message_id")
        if not self.derive_ids:
            raise PoisonError("id", f"is missing, and so are the header {ID_HEADER} and the property message_id")
        if delivery.position is None:
            return _fingerprint(name, delivery.body)
        # With its stamp: a topic that is made anew, or cut off, counts its offsets again.
        return delivery.position if self.stamp is None else f"{delivery.position}@{self.stamp}"


def stamp(event: Envelope, at: int | None, now: int) -> None:
    """Let an event that has no time of its own have happened when it was published. Its `raw` does not say so."""
    if at is not None:
        event.ts = min(at, now)
        event.raw = None


def stamp_of(delivery: Delivery) -> int | None:
    """When the delivery was published, in ms; None where that is not said or makes no sense (zero, NaN)."""
    seconds = delivery.timestamp
    if seconds is None or not NOT_SECONDS <= seconds * 1000 <= FARTHEST:
        return None
    return round(seconds * 1000)


def _base(delivery: Delivery, stamp: int | None, now: int) -> int:
    """
    When the event was published, never too early.

    A broker with positions (Kafka) keeps a stamp with every record, of its sending or its arrival. RabbitMQ does not;
    there a stamp is the publisher's, and matters only when `now` is no longer the first sight. No stamp, be it the
    year 3000, makes anything later than `now`.
    """
    if stamp is not None and delivery.position is not None:
        return min(now, stamp + _KAFKA_STEP)
    if stamp is not None and delivery.redelivered:
        return min(now, stamp + _AMQP_STEP)
    return now


def _fingerprint(name: str, body: bytes) -> str:
    """Make an id of the content; the name is part of it, as it may come from a header."""
    digest = blake2b(digest_size=16)
    digest.update(f"{len(name)}:{name}".encode())
    digest.update(body)
    return digest.hexdigest()
