"""
The bridge's own shape: one event of an array, held or buried by itself. Nothing is lost in it.

    {"bridge": 1, "id": .., "name": .., "data": .., and the other fields of `Envelope` that are set}
"""

from __future__ import annotations

from collections.abc import Mapping
from zlib import crc32

from bridge.core.kinds import kind_of
from bridge.errors import PoisonError
from bridge.formats.fields import Fields
from bridge.formats.strictjson import DEEPEST, dumps, loads
from bridge.formats.trace import trace_of
from bridge.model import Envelope, JsonValue

_VERSION = 1


def encode(event: Envelope) -> bytes:
    """Write the event as compact JSON."""
    fields: dict[str, JsonValue] = {
        "bridge": _VERSION,
        "id": event.id,
        "name": event.name,
        "data": event.data,
        "user": event.user,
        "ts": event.ts,
        "v": event.v,
        "context": event.context,
        "source": event.source,
        "due_at": event.due_at,
        "trace": dict(event.trace) or None,
    }
    return dumps({key: value for key, value in fields.items() if value is not None})


def checksum(event: Envelope) -> int:
    """CRC-32 of name and data: the same however the publisher's JSON was spaced and escaped."""
    return crc32(dumps([event.name, event.data]))


def decode(body: bytes) -> Envelope:
    """Read what `encode` wrote. Raises PoisonError for anything else."""
    fields = Fields(loads(body, max_depth=DEEPEST))
    if fields.get("bridge") != _VERSION:
        raise PoisonError("bridge", f"must be {_VERSION}")
    return Envelope(
        id=fields.required_label("id"),
        name=fields.required_label("name"),
        data=fields.get("data"),
        user=fields.get("user"),
        ts=_whole(fields, "ts"),
        v=fields.text("v"),
        context=fields.get("context"),
        source=fields.text("source"),
        due_at=_whole(fields, "due_at"),
        trace=_trace(fields),
    )


def _whole(fields: Fields, key: str) -> int | None:
    value = fields.get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise PoisonError(key, f"must be an integer, not {kind_of(value)}")
    return value


def _trace(fields: Fields) -> Mapping[str, str]:
    values = fields.child("trace")
    return trace_of(values.get("traceparent"), values.get("tracestate")) if values else {}
