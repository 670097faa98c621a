"""Any JSON at all: the whole body is the event's data, and its name comes from a header, the routing key or topic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from pydantic import Field

from bridge.errors import PoisonError
from bridge.formats.fields import check_label, check_text
from bridge.formats.given import Given
from bridge.formats.headers import header_text, text_header
from bridge.formats.options import EventName, FormatOptions, HeaderName
from bridge.formats.shape import Decoded, Rules, refuse_tombstone
from bridge.formats.strictjson import load
from bridge.model import Delivery, Envelope, JsonValue
from bridge.ports import Format

NAME_HEADER = "x-event-name"

KeyUse: TypeAlias = Literal["none", "id", "context"]


@dataclass(slots=True, frozen=True, kw_only=True)
class RawFormat:
    """
    The name is that of `header`, else the routing key (unless switched off), else the constant `name`.

    `key` says what the key of a Kafka record is good for; with `empty_is_null` a body of no bytes is the data null.
    """

    rules: Rules
    header: str = NAME_HEADER
    routing_key: bool = True
    name: str | None = None
    key: KeyUse = "none"
    empty_is_null: bool = False

    def decode(self, delivery: Delivery, now: int) -> Decoded:
        given = self.rules.given(delivery, now)
        name = self._name(delivery, given)
        data, canonical = self._data(delivery)
        event = Envelope("", name, data)
        if self.key != "none" and delivery.key is not None:
            self._use_key(event, header_text(delivery.key, "key"), given)
        given.complete(event)
        if canonical:
            event.raw, event.raw_as = delivery.body, "data"
        return [event]

    def _data(self, delivery: Delivery) -> tuple[JsonValue, bool]:
        """Return the data, and whether the body is the one way to write it."""
        if self.empty_is_null and not delivery.body:
            return None, False
        refuse_tombstone(delivery)
        return load(delivery.body, self.rules.max_depth)

    def _name(self, delivery: Delivery, given: Given) -> str:
        if (named := text_header(given.headers, self.header.lower())) is not None:
            return check_label(named, f"headers.{self.header}")
        if self.routing_key and delivery.routing_key:
            return check_label(delivery.routing_key, "routing_key")
        if self.name is None:
            raise PoisonError(f"headers.{self.header}", "is missing, and nothing else gives the event a name")
        return self.name

    def _use_key(self, event: Envelope, key: str, given: Given) -> None:
        if self.key == "context":
            event.context = {"key": check_text(key, "key")}
        elif not given.has_id:
            event.id = check_label(key, "key")


class RawSettings(FormatOptions):
    """Any JSON: the whole body is the data."""

    type: Literal["raw"] = Field(description="Any JSON; the event's name comes from elsewhere.")
    header: HeaderName = Field(NAME_HEADER, description="The header that names the event.")
    routing_key: bool = Field(
        True, description="Whether, without that header, the routing key or the topic names the event."
    )
    name: EventName | None = Field(None, description="The name of events that nothing else names.")
    record_key: KeyUse = Field(
        "none",
        description='The key of a Kafka record is the id ("id"; only where each event has a key of its own), or '
        'goes along as {"key": ..} in the context ("context").',
    )
    empty: Literal["reject", "null"] = Field(
        "reject", description="A body of no bytes, such as a tombstone of Kafka: refused, or an event with null data."
    )

    def build_by(self, rules: Rules) -> Format:
        return RawFormat(
            rules=rules,
            header=self.header,
            routing_key=self.routing_key,
            name=self.name,
            key=self.record_key,
            empty_is_null=self.empty == "null",
        )
