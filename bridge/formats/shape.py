"""What the shapes share: from a delivery's bytes to one JSON object or an array of them, and from each to its event."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from bridge.errors import PoisonError
from bridge.formats.fields import Fields
from bridge.formats.given import Given, stamp, stamp_of
from bridge.formats.strictjson import MAX_DEPTH, load_elements, split
from bridge.model import Delivery, Envelope, JsonValue

Usual: TypeAlias = "Callable[[dict[str, JsonValue], int, bytes | None], Envelope | None]"
Decoded: TypeAlias = "list[Envelope | PoisonError]"
MissingId: TypeAlias = Literal["derive", "reject"]

MAX_EVENT_BYTES = 3 << 20
"""What a body may have where nobody says otherwise: an event's limit at Inngest and Trigger.dev."""

MAX_EVENTS = 10_000
"""Events one delivery may carry: a small body must not become a million dead letters."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Rules:
    """What every format is held to."""

    max_event_bytes: int = MAX_EVENT_BYTES
    max_depth: int = MAX_DEPTH
    missing_id: MissingId = "derive"

    def given(self, delivery: Delivery, now: int) -> Given:
        """Check the size, before anything is parsed, and read what the headers say. Raises PoisonError."""
        if len(delivery.body) > self.max_event_bytes:
            problem = f"has {len(delivery.body)} bytes, more than max_event_bytes ({self.max_event_bytes})"
            raise PoisonError("body", problem)
        return Given.of(delivery, now, derive_ids=self.missing_id == "derive")


def refuse_tombstone(delivery: Delivery) -> None:
    """Raise PoisonError for a record without a value, which in Kafka says that its key is gone; it is no event."""
    if not delivery.body and delivery.position is not None:
        raise PoisonError("body", "is empty: a record without a value (a tombstone) is no event")


class EventReader(ABC):
    """Makes events of JSON objects."""

    @abstractmethod
    def read(self, fields: Fields, given: Given) -> Envelope:
        """Read the event of one object. Raises PoisonError."""

    def usual(self, value: dict[str, JsonValue], now: int, raw: bytes | None) -> Envelope | None:  # noqa: ARG002
        """
        Read an object in which nothing is unusual, at a fraction of the cost: no delay, no field that needs a thought.

        None says nothing about the object; `read` does. Otherwise it is the event that `read` makes, but for what is
        `given`: the id may be "". `raw` are the canonical bytes of the object; the event gets them only where the API
        of this shape would be sent just that.
        """
        return None

    def read_body(self, fields: Fields, given: Given) -> Decoded:
        """Read an object that is a whole body; one that may have a list of events inside overrides this."""
        return [self.read(fields, given)]


class EventShape(EventReader):
    """One shape of a JSON object that is an event, told by its marks."""

    name: ClassVar[str]
    needs: ClassVar[str]
    """What makes an object one of these, for the reason of an object that is none."""

    @abstractmethod
    def matches(self, fields: Fields) -> bool:
        """Whether the object has the marks of this shape; it may still be a bad one."""


class JsonFormat:
    """The format of bodies that are one object for `reader`, or an array of them."""

    def __init__(self, reader: EventReader, rules: Rules) -> None:
        self._reader = reader
        self._rules = rules

    def decode(self, delivery: Delivery, now: int) -> Decoded:
        body, given = delivery.body, None
        if delivery.headers or len(body) > self._rules.max_event_bytes:
            given = self._rules.given(delivery, now)  # which most deliveries can do without
        if not body:
            refuse_tombstone(delivery)
        value, canonical = load_elements(body, self._rules.max_depth)
        if type(value) is dict and (event := self._reader.usual(value, now, body if canonical else None)) is not None:
            if given is not None or not event.id:
                given = given or self._rules.given(delivery, now)
                return [given.complete(event)]
            if event.ts is None and delivery.timestamp is not None:
                stamp(event, stamp_of(delivery), now)
            return [event]
        given = given or self._rules.given(delivery, now)
        if isinstance(value, list):
            return read_array(value, self._reader, given)
        return self._reader.read_body(Fields(value), given)


def read_array(elements: Sequence[JsonValue | PoisonError], reader: EventReader, given: Given) -> Decoded:
    """Read the elements of a body that is an array; a bad one becomes its PoisonError. Raises PoisonError if empty."""
    decoded = read_each(elements, given, reader.usual, lambda fields: reader.read(fields, given))
    if any(isinstance(event, PoisonError) for event in decoded):
        single_out(decoded, split(given.delivery.body).__getitem__)
    return decoded


def read_each(
    elements: Sequence[JsonValue | PoisonError],
    given: Given,
    usual: Usual,
    read: Callable[[Fields], Envelope],
    field: str = "",
) -> Decoded:
    """Read every element of the array at `field`. Raises PoisonError if it is empty or much too long."""
    if not elements:
        raise PoisonError(field or "body", "is an empty array")
    if len(elements) > MAX_EVENTS:
        raise PoisonError(field or "body", f"has {len(elements)} events, more than {MAX_EVENTS}")
    decoded: Decoded = []
    for index, element in enumerate(elements):
        if type(element) is dict and (event := usual(element, given.now, None)) is not None:
            decoded.append(given.complete(event, index))
        else:
            decoded.append(_read_one(element, read, f"{field}[{index}]", index))
    return decoded


def single_out(decoded: Decoded, body_of: Callable[[int], bytes]) -> None:
    """Give each bad element the body under which it can be buried alone."""
    for index, event in enumerate(decoded):
        if isinstance(event, PoisonError):
            event.element = body_of(index)


def _read_one(
    element: JsonValue | PoisonError, read: Callable[[Fields], Envelope], at: str, index: int
) -> Envelope | PoisonError:
    if isinstance(element, PoisonError):
        return element
    try:
        return read(Fields(element, at, index))
    except PoisonError as error:
        return error.with_traceback(None)  # a kept traceback would keep the whole body alive
