"""
Finds out which shape a delivery has.

The first row that fits decides:

    content type application/cloudevents*, or a specversion header   cloudevents
    a name header (x-event-name)                                     raw
    an object with `specversion`                                     cloudevents
    `event` that is an object, or `events` that is an array          trigger
    `event` that is a string                                         zopio
    `name` and `payload`                                             sendevent
    `name` without `payload`, or with `data` as well                 inngest

The rows of keys exclude each other: an object that fits two of them is refused, like one that fits none. Elements of
an array are judged one by one. Nothing is taken for raw JSON because nothing else fitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from bridge.errors import PoisonError
from bridge.formats.cloudevents import CloudEventsFormat, CloudEventShape
from bridge.formats.fields import Fields
from bridge.formats.given import Given
from bridge.formats.headers import folded, text_header
from bridge.formats.inngest import InngestShape
from bridge.formats.options import FormatOptions, HeaderName
from bridge.formats.raw import NAME_HEADER, RawFormat
from bridge.formats.sendevent import SendEventShape
from bridge.formats.shape import Decoded, EventReader, EventShape, JsonFormat, Rules
from bridge.formats.trigger import TriggerShape
from bridge.formats.zopio import ZopioShape
from bridge.model import Delivery, Envelope, JsonValue
from bridge.ports import Format

_NOTHING_SAID = (None, "", "application/json")


class AnyShape(EventReader):
    """Whichever shape an object turns out to have."""

    def __init__(self, rules: Rules) -> None:
        self._cloudevent = CloudEventShape(rules)
        self._trigger, self._zopio = TriggerShape(), ZopioShape()
        self._sendevent, self._inngest = SendEventShape(), InngestShape()
        self._others: tuple[EventShape, ...] = (self._trigger, self._zopio, self._sendevent, self._inngest)

    def usual(self, value: dict[str, JsonValue], now: int, raw: bytes | None) -> Envelope | None:
        """Ask the one shape that `value` may have; if it finds nothing unusual, no other shape fits as well."""
        if "name" in value:
            return (self._inngest if "data" in value else self._sendevent).usual(value, now, raw)
        if "specversion" in value:
            return self._cloudevent.usual(value, now, raw)
        return (self._trigger if type(value.get("event")) is dict else self._zopio).usual(value, now, raw)

    def read(self, fields: Fields, given: Given) -> Envelope:
        return self._of(fields).read(fields, given)

    def read_body(self, fields: Fields, given: Given) -> Decoded:
        return self._of(fields).read_body(fields, given)

    def _of(self, fields: Fields) -> EventShape:
        if self._cloudevent.matches(fields):  # may have extensions called `name` or `event`
            return self._cloudevent
        fitting = [shape for shape in self._others if shape.matches(fields)]
        if len(fitting) == 1:
            return fitting[0]
        raise PoisonError(fields.at or "body", self._complaint(fitting))

    def _complaint(self, fitting: list[EventShape]) -> str:
        if fitting:
            names = " and ".join(f"{shape.name} ({shape.needs})" for shape in fitting)
            return f"is ambiguous, it could be {names}: set the route's format"
        wanted = "; ".join(f"{shape.name} needs {shape.needs}" for shape in (*self._others, self._cloudevent))
        return f"has no known shape: {wanted}; raw needs the header {NAME_HEADER} or the route's format"


class AutoFormat:
    """Headers first, then keys, as the table above says."""

    def __init__(self, rules: Rules, *, name_header: str = NAME_HEADER) -> None:
        self._name_header = name_header.lower()
        self._cloudevents = CloudEventsFormat(rules)
        self._raw = RawFormat(rules=rules, header=name_header)
        self._objects = JsonFormat(AnyShape(rules), rules)

    def decode(self, delivery: Delivery, now: int) -> Decoded:
        if delivery.content_type in _NOTHING_SAID and not (delivery.headers and self._may_say(delivery.headers)):
            return self._objects.decode(delivery, now)
        if self._cloudevents.announced(delivery):
            return self._cloudevents.decode(delivery, now)
        if text_header(folded(delivery.headers), self._name_header) is not None:
            return self._raw.decode(delivery, now)
        return self._objects.decode(delivery, now)

    def _may_say(self, headers: Mapping[str, object]) -> bool:
        """Whether one of the headers could decide; most headers are about something else."""
        names = "\n".join(headers).lower()
        return self._name_header in names or "specversion" in names or "content" in names


class AutoSettings(FormatOptions):
    """Each delivery's shape is found out from its headers and keys."""

    type: Literal["auto"] = Field("auto", description="Find out the shape of each delivery.")
    name_header: HeaderName = Field(
        NAME_HEADER, description="A delivery with this header is raw JSON, and the header is the event's name."
    )

    def build_by(self, rules: Rules) -> Format:
        return AutoFormat(rules, name_header=self.name_header)
