"""
CloudEvents 1.0 (https://github.com/cloudevents/spec, JSON format 1.0.2 and the AMQP, Kafka and HTTP bindings).

Structured (`application/cloudevents+json`), batched (`application/cloudevents-batch+json`), or binary: attributes as
headers `ce-type`, `ce_type`, `cloudEvents:type` or `cloudEvents_type`, the body being the data.

The `type` becomes the event's name. All attributes but `specversion`, `id`, `source` and `type` are kept in the
context. Data that is neither JSON nor text stays base64; then the context says `"data_base64": true`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Literal

from pydantic import Field

from bridge.core import due
from bridge.core.iso8601 import in_utc, parse_time
from bridge.core.kinds import kind_of, place
from bridge.errors import PoisonError
from bridge.formats.fields import Fields, check_text, is_label
from bridge.formats.given import Given
from bridge.formats.headers import content_type, header_text, media_type
from bridge.formats.options import FormatOptions
from bridge.formats.shape import Decoded, EventShape, JsonFormat, Rules
from bridge.formats.strictjson import loads
from bridge.formats.trace import trace_of
from bridge.model import Delivery, Envelope, JsonValue
from bridge.ports import Format

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"

_FAMILY = "application/cloudevents"
_JSON = "application/json"
_PREFIX = re.compile(r"(?:ce[-_]|cloudevents[:_])(.+)", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"[a-z0-9]+")
_OWN_FIELDS = frozenset({"specversion", "id", "source", "type", "data", "data_base64"})
_COMMON = _OWN_FIELDS | {"time", "subject", "datacontenttype", "dataschema", "traceparent", "tracestate"}
_STRAY_DELAY = "CloudEvents know no delay, send the header x-delay with milliseconds"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HEADERS = "cloudevent"  # what the place of an attribute is called that stood in a header


class CloudEventShape(EventShape):
    """One structured CloudEvent."""

    name: ClassVar[str] = "cloudevents"
    needs: ClassVar[str] = "`specversion`"

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def matches(self, fields: Fields) -> bool:
        return fields.has("specversion")

    def usual(self, value: dict[str, JsonValue], now: int, raw: bytes | None) -> Envelope | None:  # noqa: ARG002
        event_id, source, name, time = value.get("id"), value.get("source"), value.get("type"), value.get("time")
        if not (is_label(event_id) and is_label(source) and is_label(name) and value.get("specversion") == "1.0"):
            return None
        context: dict[str, JsonValue] = {}
        for key, attribute in value.items():
            if key in _OWN_FIELDS:
                continue
            if key not in _COMMON or type(attribute) is not str or not attribute.isprintable():
                return None
            context[key] = attribute
        ts = in_utc(time) if type(time) is str else None
        if (time is not None and ts is None) or "data_base64" in value:
            return None
        event = Envelope(event_id, name, value.get("data"), None, ts, None, context or None, source)
        if "traceparent" in context:
            event.trace = trace_of(context["traceparent"], context.get("tracestate"))
        if context.get("datacontenttype") == _JSON and event.data is not None:  # as it would be written
            event.raw, event.raw_as = raw, "cloudevent"
        return event

    def read(self, fields: Fields, given: Given) -> Envelope:
        event = _read_attributes(fields)
        if "data_base64" not in fields:
            event.data = fields.get("data")
        elif "data" in fields:
            raise PoisonError(fields.path("data_base64"), "cannot be combined with data")
        else:
            raw = _unbase64(fields.text("data_base64") or "", fields.path("data_base64"))
            _put_data(event, raw, fields.text("datacontenttype") or "", self._rules, fields.path("data_base64"))
        return given.complete(event, fields.index)


class CloudEventsFormat:
    """All three modes. The content type decides; without one, attribute headers make it binary, else structured."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._structured = JsonFormat(CloudEventShape(rules), rules)

    @staticmethod
    def announced(delivery: Delivery) -> bool:
        """Whether content type or headers say that this is a CloudEvent."""
        return media_type(content_type(delivery)).startswith(_FAMILY) or _in_headers(delivery.headers) is not None

    def decode(self, delivery: Delivery, now: int) -> Decoded:
        said = content_type(delivery)
        media = media_type(said)
        if media == BATCH:
            return self._batch(delivery, now)
        if media.startswith(_FAMILY) and media != STRUCTURED:
            raise PoisonError("content_type", f"must be {STRUCTURED} or {BATCH}, the forms of CloudEvents read here")
        attributes = None if media == STRUCTURED else _in_headers(delivery.headers)
        if attributes is None:
            return self._structured.decode(delivery, now)
        return [self._binary(delivery, attributes, said, now)]

    def _batch(self, delivery: Delivery, now: int) -> Decoded:
        if not delivery.body.lstrip().startswith(b"["):
            raise PoisonError("body", f"must be an array, as its content type is {BATCH}")
        decoded = self._structured.decode(delivery, now)
        for event in decoded:
            if isinstance(event, PoisonError) and event.element is not None:
                event.element = b"[" + event.element + b"]"  # still true to its content type
        return decoded

    def _binary(self, delivery: Delivery, attributes: dict[str, JsonValue], said: str, now: int) -> Envelope:
        given = self._rules.given(delivery, now)
        if said:
            attributes["datacontenttype"] = said
        media = str(attributes.get("datacontenttype") or _JSON)
        event = _read_attributes(Fields(attributes, _HEADERS))
        if delivery.body:
            _put_data(event, delivery.body, media, self._rules, "body")
        return given.complete(event)


def _in_headers(headers: Mapping[str, object]) -> dict[str, JsonValue] | None:
    """Collect the attributes among the headers; None where there is no `specversion`, which makes them CloudEvents."""
    if not headers or "specversion" not in "".join(headers).lower():
        return None
    attributes: dict[str, JsonValue] = {}
    for name, value in headers.items():
        if (found := _PREFIX.fullmatch(name)) and value is not None:
            key = found[1].lower()
            text = _attribute_text(key, value, place("headers", name))
            if attributes.setdefault(key, text) != text:
                raise PoisonError(place("headers", name), "is given twice, with different values")
    return attributes if "specversion" in attributes else None


def _attribute_text(key: str, value: object, field: str) -> str:
    """Write an attribute from a header as text. AMQP 1.0 clients send `time` as a timestamp: epoch ms."""
    if key == "time" and isinstance(value, int) and not isinstance(value, bool):
        value = _EPOCH + timedelta(milliseconds=due.at_time(value, field))
    return header_text(value, field)


def _read_attributes(fields: Fields) -> Envelope:
    version = fields.required("specversion")
    if version != "1.0":
        raise PoisonError(fields.path("specversion"), 'must be "1.0"')
    fields.refuse_stray_delays(_COMMON, _STRAY_DELAY)
    time = fields.text("time")
    return Envelope(
        id=fields.required_label("id"),
        name=fields.required_label("type"),
        source=fields.required_label("source"),
        ts=None if time is None else parse_time(time, fields.path("time")),
        context=_context(fields) or None,
        trace=trace_of(fields.get("traceparent"), fields.get("tracestate")),
    )


def _context(fields: Fields) -> dict[str, JsonValue]:
    context: dict[str, JsonValue] = {}
    for name in fields:
        value = fields.get(name)
        if name in _OWN_FIELDS or value is None:
            continue
        if not _ATTRIBUTE.fullmatch(name):
            raise PoisonError(fields.path(name), "is no attribute: names have lower-case letters and digits only")
        if not isinstance(value, str | bool | int):
            raise PoisonError(fields.path(name), f"must be a string, a boolean or an integer, not {kind_of(value)}")
        context[name] = check_text(value, fields.path(name)) if isinstance(value, str) else value
    return context


def _unbase64(text: str, field: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise PoisonError(field, "is not valid base64") from None


def _put_data(event: Envelope, raw: bytes, media: str, rules: Rules, field: str) -> None:
    """Turn bytes of the given media type into a JSON value: JSON as it is, text as a string, the rest as base64."""
    media = media_type(media)
    if media in (_JSON, "text/json") or media.endswith("+json"):
        event.data = _json(raw, rules, field)
    elif media.startswith("text/"):
        event.data = header_text(raw, field)
    else:
        event.data = base64.b64encode(raw).decode()
        context = event.context if isinstance(event.context, dict) else {}
        event.context = {**context, "data_base64": True}


def _json(raw: bytes, rules: Rules, field: str) -> JsonValue:
    try:
        return loads(raw, max_depth=rules.max_depth)
    except PoisonError as error:
        if error.field == "body":
            raise PoisonError(field, error.problem) from None
        raise PoisonError(f"{field}.{error.field}", error.problem) from None


class CloudEventsSettings(FormatOptions):
    """CloudEvents 1.0, binary, structured or batched."""

    type: Literal["cloudevents"] = Field(description="CloudEvents 1.0 in each of its modes.")

    def build_by(self, rules: Rules) -> Format:
        return CloudEventsFormat(rules)
