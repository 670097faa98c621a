"""
CloudEvents 1.0 over HTTP at /cloudevents: binary, structured and batch mode.

Answers as a Knative broker does: 202 and nothing for what it took, 400 for what is no event, 405 for other methods.
An event is known by its source and id together.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from bridge.devserver.dialects.webhook import readable
from bridge.devserver.records import Arrival
from bridge.devserver.wire import Answer, BadJson, Call, parse, reply
from bridge.devserver.world import World

_REQUIRED = ("specversion", "id", "source", "type")
_DATA = ("data", "data_base64")


class _Invalid(ValueError):
    """What is wrong with the event."""


def answer(call: Call, world: World) -> Answer:
    """Answer one request in any of the three modes."""
    if call.method != "POST":
        return Answer(status=405, headers={"Allow": "POST"})
    try:
        events = list(_events(call))
    except _Invalid as error:
        return reply({"error": str(error)}, 400)
    for attributes, _ in events:
        poison = world.faults.poison(call, attributes["type"], attributes["id"])
        if poison is not None:
            return reply({"error": poison}, 400)
    return Answer(status=202, events=[_store(attributes, data, call, world) for attributes, data in events])


def _store(attributes: dict[str, Any], data: Any, call: Call, world: World) -> str:
    details = {name: value for name, value in attributes.items() if name not in {"id", "type"}}
    event_id, source = attributes["id"], attributes["source"]
    arrival = Arrival(call.api, event_id, attributes["type"], data, scope=source, details=details)
    record, _ = world.book.accept(arrival, call.now)
    return record.key


def _events(call: Call) -> Iterator[tuple[dict[str, Any], Any]]:
    media = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media == "application/cloudevents-batch+json":
        batch = _json(call.body)
        if not isinstance(batch, list):
            raise _Invalid("a batch must be a JSON array")
        yield from (_structured(event) for event in batch)
    elif media == "application/cloudevents+json":
        yield _structured(_json(call.body))
    else:
        attributes = {
            name.removeprefix("ce-"): unquote(text) for name, text in call.headers.items() if name.startswith("ce-")
        }
        _check(attributes)
        if "content-type" in call.headers:
            attributes["datacontenttype"] = call.headers["content-type"]
        yield attributes, readable(call.body) if call.body else None


def _structured(event: Any) -> tuple[dict[str, Any], Any]:
    if not isinstance(event, dict):
        raise _Invalid("an event must be a JSON object")
    _check(event)
    attributes = {name: value for name, value in event.items() if name not in _DATA}
    if "data_base64" not in event:
        return attributes, event.get("data")
    try:
        return attributes, readable(base64.b64decode(event["data_base64"], validate=True))
    except (binascii.Error, TypeError, ValueError):
        raise _Invalid("data_base64 must be base64") from None


def _check(attributes: dict[str, Any]) -> None:
    for name in _REQUIRED:
        value = attributes.get(name)
        if not isinstance(value, str) or not value:
            raise _Invalid(f"{name} must be a non-empty string")
    if attributes["specversion"] != "1.0":
        raise _Invalid("specversion must be 1.0")


def _json(body: bytes) -> Any:
    try:
        return parse(body)
    except BadJson as error:
        raise _Invalid(f"the body is no JSON: {error.problem}") from None
