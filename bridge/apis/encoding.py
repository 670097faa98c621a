"""How values are written for event APIs: JSON, times, header values and identities."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from urllib.parse import quote

import orjson

from bridge.model import Envelope, JsonValue

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_YEAR_1000 = -30_610_224_000_000  # ISO dates want four digits
_YEAR_10000 = 253_402_300_800_000
_HEADER_SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
_ALL_SAFE = re.compile(f"[{re.escape(_HEADER_SAFE)}]*")


def dumps(value: JsonValue) -> bytes:
    """JSON as UTF-8 without spaces. Takes what orjson refuses too: integers over 64 bits, deep nesting."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def in_calendar(ms: int | None) -> bool:
    """Whether `iso_z` can write this time."""
    return ms is None or _YEAR_1000 <= ms < _YEAR_10000


def iso_z(ms: int) -> str:
    """
    Epoch ms as "2026-11-21T00:01:34.531Z".

    With Z and never "+00:00", which Trigger.dev v1 refuses. `in_calendar` says which times can be written.
    """
    return f"{_iso_second(ms // 1000)}.{ms % 1000:03}Z"


@lru_cache(maxsize=64)
def _iso_second(seconds: int) -> str:
    """Write a second without its zone. Events that come together are seldom many seconds apart."""
    return (_EPOCH + timedelta(0, seconds)).isoformat()


def header_value(text: str) -> str:
    """
    Text as a header value, in the way of CloudEvents 1.0 (HTTP binding, section 3.1.3.2).

    Space, double quote, percent and all that is not visible ASCII become %XX of their UTF-8 bytes.
    """
    if _ALL_SAFE.fullmatch(text):
        return text
    return quote(text, safe=_HEADER_SAFE, errors="backslashreplace")


def identity(event: Envelope) -> str:
    """
    The id to send to an API that remembers ids.

    A CloudEvent is identified by source and id together, so for one that has a source it is "<source>#<id>"; the id
    alone would make two events look like one, and the second would be lost.
    """
    return event.id if event.source is None else f"{event.source.replace('#', '%23')}#{event.id}"


def whole_event(event: Envelope) -> dict[str, JsonValue]:
    """Everything an event holds, without the fields that are empty; `ts` and `due_at` are epoch ms."""
    optional: dict[str, JsonValue] = {
        "user": event.user,
        "ts": event.ts,
        "v": event.v,
        "context": event.context,
        "source": event.source,
        "due_at": event.due_at,
    }
    present = {field: value for field, value in optional.items() if value is not None}
    return {"id": event.id, "name": event.name, "data": event.data, **present}
