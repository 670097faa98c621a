"""
Trigger.dev tasks (v3, v4): `POST /api/v1/tasks/{id}/trigger` and the batch of up to 500.

An idempotency key belongs to an environment and a task and lives 30 days unless told otherwise; the same key again is
answered with the same run and `isCached`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from bridge.devserver import zod
from bridge.devserver.book import DAY_MS
from bridge.devserver.dialects.trigger_events import environment, no_authorization
from bridge.devserver.records import Arrival, EventRecord
from bridge.devserver.wire import Answer, BadJson, Call, parse, reply, ulid
from bridge.devserver.world import World

MAX_PAYLOAD = 3_000_000
MAX_BATCH_BYTES = 1_000_000
MAX_BATCH = 500
_MAX_KEY = 2048
_MAX_TAG = 128
_KEY_TOO_LONG = {
    "code": "too_big",
    "maximum": _MAX_KEY,
    "type": "string",
    "inclusive": True,
    "exact": False,
    "message": f"String must contain at most {_MAX_KEY} character(s)",
    "path": ["idempotency-key"],
}
_UNIT_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "hr": 3_600_000, "d": DAY_MS, "w": 7 * DAY_MS}
_DURATION = re.compile(r"(?:\d+(?:w|d|hr|h|m|s))+")
_PART = re.compile(r"(\d+)(w|d|hr|h|m|s)")
_KEY_TTL = re.compile(r"(\d+)([smhd])")


def answer(call: Call, world: World) -> Answer:
    """Answer the trigger of one task."""
    body = _opened(call, world, MAX_PAYLOAD)
    if isinstance(body, Answer):
        return body
    problem = _problem(body, "")
    if problem:
        return reply({"error": f"Validation error: {problem}"}, 400)
    if len(call.headers.get("idempotency-key", "")) > _MAX_KEY:
        return reply({"error": "Headers Error", "details": [_KEY_TOO_LONG]}, 400)
    options = dict(body.get("options") or {})
    for header, option in (("idempotency-key", "idempotencyKey"), ("idempotency-key-ttl", "idempotencyKeyTTL")):
        if header in call.headers:
            options[option] = call.headers[header]
    task = unquote(call.params["task"])
    poison = world.faults.poison(call, task, options.get("idempotencyKey"))
    if poison is not None:
        return reply({"error": poison}, 422)
    record, cached = _run(task, body.get("payload"), options, call, world)
    found = reply({"id": record.details["run"], "isCached": cached}, x_trigger_jwt="devserver")
    found.events = [record.key]
    return found


def answer_batch(call: Call, world: World) -> Answer:
    """Answer a batch: all items are checked before any runs."""
    body = _opened(call, world, MAX_BATCH_BYTES)
    if isinstance(body, Answer):
        return body
    items = body.get("items") if isinstance(body, dict) else None
    problem = _batch_problem(items)
    if problem:
        return reply({"error": problem}, 400)
    stored = []
    for item in items or []:
        options = item.get("options") or {}
        poison = world.faults.poison(call, item["task"], options.get("idempotencyKey"))
        if poison is not None:
            return reply({"error": poison}, 422)
    for item in items or []:
        options = item.get("options") or {}
        stored.append((item, *_run(item["task"], item.get("payload"), options, call, world)))
    runs = [
        {"id": record.details["run"], "taskIdentifier": item["task"], "isCached": cached}
        | ({"idempotencyKey": record.id} if "idempotencyKey" in (item.get("options") or {}) else {})
        for item, record, cached in stored
    ]
    found = reply({"id": f"batch_{ulid(call.now).lower()}", "isCached": False, "runs": runs}, 202)
    found.events = [record.key for _, record, _ in stored]
    return found


def _opened(call: Call, world: World, limit: int) -> Any:
    if call.method != "POST":
        return reply({"error": "Method not allowed"}, 405)
    if "authorization" not in call.headers:
        return no_authorization()
    if world.bearer(call) is None:
        return reply({"error": "Invalid API Key"}, 401)
    length = call.headers.get("content-length")
    if length is None or int(length) > limit:
        return reply({"error": "Request body too large"}, 413)
    try:
        return parse(call.body)
    except BadJson:
        return reply({"error": "Invalid JSON"}, 400)


def _batch_problem(items: Any) -> str | None:
    if not isinstance(items, list):
        return f'Validation error: {"Required" if items is None else "Expected array"} at "items"'
    if not items:
        return "Batch cannot be triggered with no items"
    if len(items) > MAX_BATCH:
        return f"Batch size of {len(items)} is too large. Maximum allowed batch size is {MAX_BATCH}."
    for index, item in enumerate(items):
        problem = _problem(item, f"items[{index}]")
        if problem is None and not isinstance(item.get("task"), str):
            problem = f'Required at "items[{index}].task"'
        if problem:
            return f"Validation error: {problem}"
    return None


def _problem(body: Any, path: str) -> str | None:
    """Say what zod-validation-error says about the first thing that is wrong."""
    if not isinstance(body, dict):
        at = f' at "{path}"' if path else ""
        return f"Expected object, received {zod.typename(body)}{at}"
    options = body.get("options")
    prefix = f"{path}.options" if path else "options"
    if "options" not in body:
        return None
    if not isinstance(options, dict):
        return f'Expected object, received {zod.typename(options)} at "{prefix}"'
    wrong = next((name for name, check in _CHECKS.items() if name in options and not check(options[name])), None)
    return f'Invalid input at "{prefix}.{wrong}"' if wrong else None


def _is_tags(value: Any) -> bool:
    tags = value if isinstance(value, list) else [value]
    return all(isinstance(tag, str) and len(tag) <= _MAX_TAG for tag in tags)


def _is_ttl(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "delay": lambda value: isinstance(value, str) or zod.coerced(value) is not None,
    "idempotencyKey": lambda value: isinstance(value, str),
    "idempotencyKeyTTL": lambda value: isinstance(value, str),
    "tags": _is_tags,
    "ttl": _is_ttl,
    "concurrencyKey": lambda value: isinstance(value, str),
    "maxAttempts": lambda value: isinstance(value, int),
}


def _due(delay: Any, now: float) -> float:
    """Read "1h30m" or a date; text that is neither is no delay at all (observed: "30 seconds" runs at once)."""
    if isinstance(delay, str) and _DURATION.fullmatch(delay):
        return now + sum(int(number) * _UNIT_MS[unit] for number, unit in _PART.findall(delay))
    return zod.coerced(delay) or now


def _run(task: str, payload: Any, options: Any, call: Call, world: World) -> tuple[EventRecord, bool]:
    key, run = options.get("idempotencyKey"), f"run_{ulid(call.now).lower()}"
    scope = f"{environment(world.bearer(call) or '')}/{task}"
    found = _KEY_TTL.fullmatch(options.get("idempotencyKeyTTL") or "30d")
    expires = call.now + (int(found[1]) * _UNIT_MS[found[2]] if found else 30 * DAY_MS)
    details = {"run": run, "expires": expires} | {name: options[name] for name in ("tags", "delay") if name in options}
    due = _due(options.get("delay"), call.now)
    event_id = run if key is None else key
    arrival = Arrival(call.api, event_id, task, payload, due=due, scope=scope, ref=run, details=details)
    record, known = world.book.accept(arrival, call.now)
    if known and call.now >= float(str(record.details["expires"])):
        world.book.run_again(record, details, due, call.now)
        return record, False
    return record, known
