"""
Trigger.dev events: v1 (early 2023) and v2, which share a URL and little else.

Observed on the routes of the real servers: v1 knows `delay` and keeps one unit of it, v2 drops `event.delay` and an
outer `id` without a word; v1 names its refusal `error`, v2 `message`; malformed JSON is 500 in plain text; another
method is HTTP 200 with 405 in the body.
"""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import unquote

from bridge.devserver import zod
from bridge.devserver.records import Arrival, EventRecord
from bridge.devserver.wire import PROBLEM, TEXT, Answer, BadJson, Call, iso, parse, reply, ulid
from bridge.devserver.world import World

_UNITS = {"seconds": 1000, "minutes": 60_000, "hours": 3_600_000, "days": 86_400_000}
_DELAYS = {unit: zod.fields(**{unit: zod.integer}) for unit in _UNITS} | {"until": zod.fields(until=zod.instant)}
_V1 = zod.fields(
    id=zod.string,
    event=zod.fields(
        name=zod.string,
        payload=zod.json_value,
        context=zod.optional(zod.json_value),
        timestamp=zod.optional(zod.instant),
        delay=zod.optional(zod.union(*_DELAYS.values())),
    ),
)
_EVENT = zod.fields(
    name=zod.string,
    payload=zod.anything,
    context=zod.anything,
    id=zod.optional(zod.string),
    timestamp=zod.optional(zod.date),
    source=zod.optional(zod.string),
    payloadType=zod.optional(zod.literal("JSON", "REQUEST")),
)
_OPTIONS = zod.optional(
    zod.fields(
        deliverAt=zod.optional(zod.date), deliverAfter=zod.optional(zod.integer), accountId=zod.optional(zod.string)
    )
)
_V2 = zod.fields(event=_EVENT, options=_OPTIONS)
_BULK = zod.fields(events=zod.array(_EVENT), options=_OPTIONS)
_STILL_MOVABLE_MS = 5000  # v2 updates an event that is due later than this from now


def is_v1(body: bytes) -> bool:
    """Tell the versions apart by the body: an outer `id` without `options` is v1."""
    try:
        value = parse(body)
    except BadJson:
        return False
    return isinstance(value, dict) and "id" in value and "options" not in value


def answer_v1(call: Call, world: World) -> Answer:
    """Answer `POST /api/v1/events` of v1; ids are unique over everything, for ever."""
    if call.method != "POST":
        return _not_allowed(call)
    if world.bearer(call) is None:
        return _unauthorized()
    try:
        body = parse(call.body)
    except BadJson:
        return server_error()
    issues = _V1(body, "")
    if issues:
        return reply({"error": zod.explain(issues)}, 422)
    event = body["event"]
    poison = world.faults.poison(call, event["name"], body["id"])
    if poison is not None:
        return reply({"error": poison}, 422)
    details = {name: event[name] for name in ("context", "timestamp", "delay") if name in event}
    due = _due_v1(event.get("delay"), call.now)
    arrival = Arrival(call.api, body["id"], event["name"], event["payload"], due=due, details=details)
    record, _ = world.book.accept(arrival, call.now)
    found = reply({"status": 200})
    found.events = [record.key]
    return found


def _due_v1(delay: Any, now: float) -> float | None:
    unit = zod.first_fit(delay, _DELAYS)
    if unit is None:
        return None
    return zod.epoch_z(delay["until"]) if unit == "until" else now + delay[unit] * _UNITS[unit]


def answer_v2(call: Call, world: World) -> Answer:
    """Answer `POST /api/v1/events` of v2; ids are unique in the environment of the key."""
    token, body = _opened(call, world)
    if isinstance(body, Answer):
        return body
    issues = _V2(body, "")
    if issues:
        return reply({"message": zod.explain(issues)}, 422)
    return _stored_v2([body["event"]], body.get("options"), token, call, world)


def answer_v2_bulk(call: Call, world: World) -> Answer:
    """Answer `POST /api/v1/events/bulk`: a schema failure refuses all, a later failure only the rest."""
    token, body = _opened(call, world)
    if isinstance(body, Answer):
        return body
    issues = _BULK(body, "")
    if issues:
        return reply({"message": zod.explain(issues)}, 422)
    return _stored_v2(body["events"], body.get("options"), token, call, world, bulk=True)


def _stored_v2(events: list[Any], options: Any, token: str, call: Call, world: World, *, bulk: bool = False) -> Answer:
    stored: list[tuple[EventRecord, dict[str, Any]]] = []
    due = _due_v2(options or {}, call.now)
    for event in events:
        poison = world.faults.poison(call, event["name"], event.get("id"))
        if poison is not None:
            failed = reply({"error": "Failed to create event"} if bulk else {"message": poison}, 500 if bulk else 422)
            failed.events = [record.key for record, _ in stored]
            return failed
        stored.append(_store_v2(event, options or {}, due, token, call, world))
    shown = [said for _, said in stored]
    found = reply(shown if bulk else shown[0])
    found.events = [record.key for record, _ in stored]
    return found


def _store_v2(
    event: Any, options: Any, due: float, token: str, call: Call, world: World
) -> tuple[EventRecord, dict[str, Any]]:
    event_id, scope = event["id"] if "id" in event else ulid(call.now), environment(token)
    stamp = zod.coerced(event["timestamp"]) if "timestamp" in event else call.now
    details = {"context": _or_empty(event.get("context")), "timestamp": iso(stamp or 0), "deliverAt": iso(due)}
    if options.get("accountId"):
        details["accountId"] = options["accountId"]
    before = world.book.find(call.api, event_id, scope)
    movable = before is not None and before.state == "scheduled" and before.due >= call.now + _STILL_MOVABLE_MS
    arrival = Arrival(
        call.api, event_id, event["name"], _or_empty(event.get("payload")), due=due, scope=scope, details=details
    )
    record, known = world.book.accept(arrival, call.now)
    if movable:
        record.details["deliverAt"] = iso(due)
        record.details["context"] = event.get("context") or record.details["context"]
        world.book.reschedule(record, event.get("payload"), due, call.now)
    shown = _shown(record)
    if not known:
        shown["deliveredAt"] = None  # the real server delivers after it has answered
    return record, shown


def _or_empty(value: Any) -> Any:
    """The real server stores `{}` for null and for nothing."""
    return {} if value is None else value


def _due_v2(options: Any, now: float) -> float:
    """`deliverAt` wins, also as null (1970: now); `deliverAfter` counts in seconds."""
    if "deliverAt" in options:
        return zod.coerced(options["deliverAt"]) or 0
    return now + (options.get("deliverAfter") or 0) * 1000


def answer_v2_get(call: Call, world: World) -> Answer:
    """Answer `GET /api/v1/events/{id}`."""
    token = world.bearer(call)
    if token is None:
        return _unauthorized()
    record = world.book.find(call.api, unquote(call.params["id"]), environment(token))
    if record is None:
        return reply({"error": "Event not found"}, 404)
    runs = [{"id": f"run_{record.id}", "status": "SUCCESS"}] * record.runs
    seen = {"createdAt": iso(record.first_seen), "updatedAt": iso(record.last_seen)}
    return reply({"id": record.id, "name": record.name, **seen, "runs": runs})


def answer_v2_cancel(call: Call, world: World) -> Answer:
    """Answer `POST /api/v1/events/{id}/cancel`; what was delivered stays delivered."""
    if call.method != "POST":
        return _not_allowed(call)
    token = world.bearer(call)
    if token is None:
        return _unauthorized()
    record = world.book.find(call.api, unquote(call.params["id"]), environment(token))
    if record is None:
        return reply({"error": "Event not found"}, 404)
    world.book.cancel(record, call.now)
    found = reply(_shown(record))
    found.events = [record.key]
    return found


def environment(token: str) -> str:
    """Name the environment a key belongs to, without keeping the key."""
    return hashlib.blake2b(token.encode(), digest_size=8).hexdigest()


def server_error() -> Answer:
    """Answer what Remix answers to an exception: malformed JSON is one."""
    return Answer(status=500, body=b"Unexpected Server Error", content_type=TEXT)


def no_authorization() -> Answer:
    """Answer what the limiter in front of v2 and v3 says to a request without an authorization header."""
    said = "No authorization header provided"
    more = "https://developer.mozilla.org/en-US/docs/Web/HTTP/Status/401"
    body = {"title": "Unauthorized", "status": 401, "type": more, "detail": said, "error": said}
    return reply(body, 401, PROBLEM)


def _opened(call: Call, world: World) -> tuple[str, Any]:
    if call.method != "POST":
        return "", _not_allowed(call)
    if "authorization" not in call.headers:
        return "", no_authorization()
    token = world.bearer(call)
    if token is None:
        return "", _unauthorized()
    try:
        return token, parse(call.body)
    except BadJson:
        return "", server_error()


def _unauthorized() -> Answer:
    return reply({"error": "Invalid or Missing API key"}, 401)


def _not_allowed(call: Call) -> Answer:
    """The real routes return an object where they mean a response: HTTP 200. GET never reaches them."""
    if call.method in {"GET", "HEAD"}:
        return Answer(status=405)
    return reply({"status": 405, "body": "Method Not Allowed"})


def _shown(record: EventRecord) -> dict[str, Any]:
    stamps = {"deliveredAt": record.delivered_at, "cancelledAt": record.cancelled_at}
    return {
        "id": record.id,
        "name": record.name,
        "payload": parse(record.payload),
        "context": record.details["context"],
        "timestamp": record.details["timestamp"],
        "deliverAt": record.details["deliverAt"],
        **{name: None if at is None else iso(at) for name, at in stamps.items()},
    }
