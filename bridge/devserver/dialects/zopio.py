"""
Zopio's `POST /trigger`, which hands `{event, payload}` on to Trigger.dev and drops everything else.

Its route needs no key, knows no id (every call is a new event) and no delay, and answers 500 to what it cannot read.
"""

from __future__ import annotations

from typing import Any

from bridge.devserver.records import Arrival
from bridge.devserver.wire import JSON, Answer, BadJson, Call, iso, parse, reply, ulid
from bridge.devserver.world import World


def answer(call: Call, world: World) -> Answer:
    """Answer one request to /trigger."""
    if call.method != "POST":
        return Answer(status=405)
    try:
        body = parse(call.body)
    except BadJson as error:
        return _failed(_v8(error))
    event = body.get("event") if isinstance(body, dict) else None
    if not event and event != []:
        return reply({"error": "Missing required fields"}, 400, JSON)
    name = javascript_text(event)
    poison = world.faults.poison(call, name, None)
    if poison is not None:
        return _failed(poison)
    payload = {"payload": body["payload"]} if "payload" in body else {}
    event_id = ulid(call.now)
    record, _ = world.book.accept(Arrival(call.api, event_id, name, body.get("payload")), call.now)
    now = iso(call.now)
    result = {"id": event_id, "name": event, **payload, "context": {}, "timestamp": now, "deliverAt": now}
    result |= {"deliveredAt": None, "cancelledAt": None}
    found = reply(
        {"success": True, "message": f"Event {name} sent to Trigger.dev", "result": result}, content_type=JSON
    )
    found.events = [record.key]
    return found


def javascript_text(value: Any) -> str:
    """Write a JSON value as a JavaScript template string does."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join("" if item is None else javascript_text(item) for item in value)
    return "[object Object]" if isinstance(value, dict) else str(value)


def _failed(why: str) -> Answer:
    return reply({"error": "Failed to process event", "message": why}, 500, JSON)


def _v8(error: BadJson) -> str:
    if error.position >= len(error.text) or error.problem.startswith("Unterminated"):
        return "Unexpected end of JSON input"
    return f"Unexpected token '{error.text[error.position]}', \"{error.text[:40]}\" is not valid JSON"
