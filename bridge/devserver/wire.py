"""What goes over the wire of the devserver: calls in, answers out, and the small codecs all dialects share."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [high + low for high in _CROCKFORD for low in _CROCKFORD]

JSON = "application/json"
JSON_UTF8 = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
PROBLEM = "application/problem+json"


@dataclass(slots=True, frozen=True, kw_only=True)
class Call:
    """
    One request as a dialect sees it.

    Header names are lower case, `path` is not decoded, `now` is epoch ms, `under_way` counts this one too.
    """

    api: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    now: float
    params: Mapping[str, str] = field(default_factory=dict)
    under_way: int = 1


@dataclass(slots=True, kw_only=True)
class Answer:
    """What a dialect says. `events` are the keys of the records it touched, for the request log."""

    status: int = 200
    body: bytes = b""
    content_type: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)


class BadJson(ValueError):
    """The bytes are no JSON text. `position` counts characters; `text` is what was looked at."""

    def __init__(self, problem: str, position: int, text: str) -> None:
        super().__init__(problem)
        self.problem, self.position, self.text = problem, position, text


def parse(body: bytes) -> Any:
    """
    Read JSON as the JavaScript and Go servers do: lone surrogates and repeated keys pass, NaN does not.

    Raises BadJson.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return _parse_slowly(body)


def _parse_slowly(body: bytes) -> Any:
    text = body.decode("utf-8", "replace")
    try:
        return json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise BadJson(error.msg, error.pos, text) from None
    except RecursionError:
        raise BadJson("Exceeded max depth", 0, text) from None
    except ValueError as error:
        raise BadJson("Expecting value", max(text.find(str(error)), 0), text) from None


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def dump(value: object) -> bytes:
    """Write compact JSON, also of what orjson refuses (lone surrogates, integers above 64 bits)."""
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode()


def reply(value: object, status: int = 200, content_type: str = JSON_UTF8, **headers: str) -> Answer:
    """Answer with JSON; keyword names become header names, `_` for `-`."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status=status, body=dump(value), content_type=content_type, headers=named)


def ulid(now: float, entropy: bytes | None = None) -> str:
    """Make a ULID of epoch milliseconds and 10 bytes (random by default)."""
    number = (int(now) << 80) | int.from_bytes(entropy or os.urandom(10), "big")
    pairs = [_PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10)]
    return "".join(pairs)


def iso(ms: float) -> str:
    """Write epoch milliseconds as JavaScript's `toISOString` does."""
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
