"""Any JSON at all: the whole body is the event's data, and its name comes from a header or the routing key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from bridge.errors import PoisonError
from bridge.formats.fields import check_label
from bridge.formats.headers import text_header
from bridge.formats.options import EventName, FormatOptions, HeaderName
from bridge.formats.shape import Decoded, Rules
from bridge.formats.strictjson import loads
from bridge.model import Delivery, Envelope
from bridge.ports import Format

NAME_HEADER = "x-event-name"


@dataclass(slots=True, frozen=True, kw_only=True)
class RawFormat:
    """The name is that of `header`, else the routing key (unless switched off), else the constant `name`."""

    rules: Rules
    header: str = NAME_HEADER
    routing_key: bool = True
    name: str | None = None

    def decode(self, delivery: Delivery, now: int) -> Decoded:
        given = self.rules.given(delivery, now)
        data = loads(delivery.body, max_depth=self.rules.max_depth)
        return [given.complete(Envelope(id="", name=self._name(delivery), data=data))]

    def _name(self, delivery: Delivery) -> str:
        if (named := text_header(delivery.headers, self.header)) is not None:
            return check_label(named, f"headers.{self.header}")
        if self.routing_key and delivery.routing_key:
            return check_label(delivery.routing_key, "routing_key")
        if self.name is None:
            raise PoisonError(f"headers.{self.header}", "is missing, and nothing else gives the event a name")
        return self.name


class RawSettings(FormatOptions):
    """Any JSON: the whole body is the data."""

    type: Literal["raw"] = Field(description="Any JSON; the event's name comes from elsewhere.")
    header: HeaderName = Field(NAME_HEADER, description="The header that names the event.")
    routing_key: bool = Field(True, description="Whether, without that header, the routing key names the event.")
    name: EventName | None = Field(None, description="The name of events that nothing else names.")

    def build_by(self, rules: Rules) -> Format:
        return RawFormat(rules=rules, header=self.header, routing_key=self.routing_key, name=self.name)
