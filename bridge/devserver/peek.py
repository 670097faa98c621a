"""Which events are in a request, found without judging it: faults match on their names, the log shows them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from bridge.devserver.faults import Named
from bridge.devserver.wire import BadJson, Call, parse


def names_in(call: Call) -> list[Named]:
    """Return name and id of each event that can be made out, in order."""
    if call.api == "webhook":
        return [(unquote(call.params["name"]), call.headers.get("webhook-id"))]
    if call.api == "cloudevents" and "ce-type" in call.headers:
        return [(unquote(call.headers["ce-type"]), call.headers.get("ce-id"))]
    try:
        body = parse(call.body)
    except BadJson:
        return []
    return [
        (name, event_id if isinstance(event_id, str) else None)
        for name, event_id in _candidates(call, body)
        if isinstance(name, str)
    ]


def _candidates(call: Call, body: Any) -> Iterator[tuple[Any, Any]]:
    if call.api == "tasks" and "task" in call.params:
        yield (
            unquote(call.params["task"]),
            call.headers.get("idempotency-key") or _in(body, "options", "idempotencyKey"),
        )
        return
    for item in _items(body):
        if call.api == "tasks":
            yield item.get("task"), _in(item, "options", "idempotencyKey")
        elif call.api == "zopio":
            yield item.get("event"), None
        elif call.api == "trigger-v1":
            yield _in(item, "event", "name"), item.get("id")
        elif call.api == "trigger-v2":
            event = item.get("event", item)
            yield _in(event, "name"), _in(event, "id")
        else:
            yield item.get("name") or item.get("type"), item.get("id")


def _items(body: Any) -> list[dict[str, Any]]:
    if isinstance(body, dict):
        body = next((body[name] for name in ("items", "events") if isinstance(body.get(name), list)), [body])
    return [item for item in body if isinstance(item, dict)] if isinstance(body, list) else []


def _in(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
