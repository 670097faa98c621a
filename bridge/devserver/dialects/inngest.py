"""
Inngest's `POST /e/{key}`, as its dev server and `inngest start` answer it.

Observed on the real programs: JSON goes out as text/plain; batches are not atomic; an unknown path is 200 with an
empty body; every event is stored, duplicates too, while of one id only the first in 24 hours starts runs.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from typing import Any

from bridge.devserver import gojson
from bridge.devserver.records import Arrival
from bridge.devserver.wire import JSON, TEXT, Answer, Call, dump, ulid
from bridge.devserver.world import World

MAX_EVENTS = 5000
MAX_BYTES = 3 << 20
_SPACE = b" \t\r\n"
_JAN_1980, _JAN_2100 = 315_532_800_000, 4_102_444_800_000
_NOT_EVENTS = "Request body must contain an event object or an array of event objects"
_GO_TYPES = {
    "name": (str, "string"),
    "data": (dict, "map[string]interface {}"),
    "user": (dict, "map[string]interface {}"),
    "id": (str, "string"),
    "ts": (int, "int64"),
    "v": (str, "string"),
}


def answer(call: Call, world: World) -> Answer:
    """Answer one request to /e, /e/, /e/{key} or /e/{key}/."""
    kind = {"X-Inngest-Server-Kind": "cloud" if world.keys else "dev"}
    key = call.params.get("key")
    if key is None:
        found = unknown() if not world.keys else Answer(status=404, body=b"404 page not found\n", content_type=TEXT)
    elif key == "" or "slash" in call.params:
        found = Answer(status=303, headers={"Location": call.path.rstrip("/")})
    elif call.method != "POST":
        found = Answer(status=405)
    elif world.keys and key not in world.keys:
        refusal = {"status": 401, "message": "", "error": "Event key not found"}
        found = Answer(status=401, body=dump(refusal), content_type=JSON)
    else:
        found = _take_in(call, world)
    found.headers.update(kind)
    return found


def unknown() -> Answer:
    """Answer what the dev server's page answers to every path it does not know: 200, and nothing."""
    return Answer(status=200)


def _take_in(call: Call, world: World) -> Answer:
    ids: list[str] = []
    keys: list[str] = []
    seeded = _seeded(call.headers.get("x-inngest-event-id-seed", ""))
    error = None
    try:
        for event in _events(call.body):
            key, ref = _store(event, len(ids) + 1, seeded, call, world)
            keys.append(key)
            ids.append(ref)
    except gojson.GoError as problem:
        error = str(problem)
    said: dict[str, object] = {"ids": ids or [""], "status": 400 if error else 200}
    if error:
        said["error"] = error
    return Answer(status=400 if error else 200, body=dump(said) + b"\n", content_type=TEXT, events=keys)


def _events(body: bytes) -> Iterator[dict[str, Any]]:
    start = len(body) - len(body.lstrip(_SPACE))
    first = body[start : start + 1]
    if first == b"{":
        raw = body[start:]
        _check_size(len(raw))
        yield _checked(gojson.unmarshal(raw), raw)
    elif first == b"[":
        yield from _array(body[start:])
    elif first:
        raise gojson.GoError(_NOT_EVENTS)


def _array(raw: bytes) -> Iterator[dict[str, Any]]:
    elements = _whole(raw) or _streamed(raw)
    for index, element in enumerate(elements):
        if index == MAX_EVENTS:
            raise gojson.GoError(f"Cannot have more than {MAX_EVENTS} events in a batch")
        yield _checked(element, raw)


def _whole(raw: bytes) -> list[Any] | None:
    """Read it at one go where no element can be too large; an array of thousands is then no slower than its bytes."""
    if len(raw) > MAX_BYTES:
        return None
    try:
        found: list[Any] = gojson.unmarshal(raw)
    except gojson.GoError:
        return None
    return found


def _streamed(raw: bytes) -> list[Any]:
    """
    Read element by element, and all of them before any is stored.

    The real server stores while it reads, so that what came before broken JSON may or may not be stored (observed:
    not); what came before an event that is too large is.
    """
    found: list[Any] = []
    for element, size in gojson.stream(raw.decode("utf-8", "replace")):
        if size > MAX_BYTES:
            found.append(_TooLarge(size))
            break
        found.append(element)
    return found


class _TooLarge:
    def __init__(self, size: int) -> None:
        self.size = size


def _check_size(size: int) -> None:
    if size > MAX_BYTES:
        raise gojson.GoError(f"Event is over the max size: Max {MAX_BYTES} bytes / Size {size} bytes")


def _checked(event: Any, raw: bytes) -> dict[str, Any]:
    if isinstance(event, _TooLarge):
        _check_size(event.size)
    if event is None:
        event = {}
    if not isinstance(event, dict):
        raise gojson.GoError(f"json: cannot unmarshal {gojson.kind(event)} into Go value of type event.raw")
    for field, (wanted, go_type) in _GO_TYPES.items():
        value = event.get(field)
        if value is not None and (not isinstance(value, wanted) or isinstance(value, bool)):
            got = f"number {gojson.written(value, raw)}" if isinstance(value, float) and field == "ts" else None
            what = got or gojson.kind(value)
            raise gojson.GoError(f"json: cannot unmarshal {what} into Go struct field raw.{field} of type {go_type}")
    _check_values(event.get("name") or "", event.get("ts") or 0)
    return event


def _check_values(name: str, ts: int) -> None:
    if name.lower().startswith("inngest/"):
        raise gojson.GoError(f"event name is reserved for internal use: {name}")
    if not name:
        raise gojson.GoError("event name is empty")
    if ts and ts < _JAN_1980:
        raise gojson.GoError("timestamp is before Jan 1, 1980")
    if ts > _JAN_2100:
        raise gojson.GoError("timestamp is after Jan 1, 2100")


def _store(
    event: dict[str, Any], index: int, seeded: Callable[[int], str] | None, call: Call, world: World
) -> tuple[str, str]:
    name, given = event["name"], event.get("id") or None
    reason = world.faults.poison(call, name, given)
    if reason is not None:
        raise gojson.GoError(reason)
    ref = seeded(index) if seeded else ulid(call.now)
    data = event.get("data")
    if isinstance(data, dict):
        data.pop("_inngest", None)  # internal metadata is not let in from outside
    event_id = given or ref
    details = {field: event[field] for field in ("user", "v", "ts") if event.get(field) is not None}
    arrival = Arrival(
        call.api,
        event_id,
        name,
        data,
        due=event.get("ts"),
        scope=name,
        run_key=event_id,
        ref=ref,
        details=details,
    )
    record, _ = world.book.accept(arrival, call.now)
    return record.key, ref


def _seeded(seed: str) -> Callable[[int], str] | None:
    """Read `<ms>,<base64 of 10 bytes>`; a malformed seed is ignored, as by the real server."""
    ms, _, entropy = seed.partition(",")
    try:
        raw = base64.b64decode(entropy, validate=True)
        if not ms.isdigit() or len(raw) != 10:  # noqa: PLR2004  the entropy of a ULID
            return None
    except binascii.Error:
        return None
    tail = int.from_bytes(raw[6:], "big")
    return lambda index: ulid(int(ms), raw[:6] + ((tail + index) & 0xFFFFFFFF).to_bytes(4, "big"))
