"""
Strict JSON: what is ambiguous or would change on its way through is refused, with its place.

orjson reads every body first. It is silent about three things: the last of two equal keys wins, an integer beyond 64
bits becomes a float, and nesting is allowed to 1,024. Cheap tests rule them out for almost every body, without ever
being wrong in that direction; only where they cannot, the standard library's slower parser reads the body again.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import TypeAlias, cast

import orjson

from bridge.core.kinds import place
from bridge.errors import PoisonError
from bridge.model import JsonValue

DEEPEST = 500
"""The largest `max_depth` that may be asked for; the standard library recurses, and stays clear of its limit here."""

MAX_DEPTH = 100
"""The depth allowed where nobody says otherwise."""

_DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"0" * 9)
_LONG_NUMBER = b"0" * 19  # 2^63 has 19 digits: a shorter integer fits in 64 bits
_SPACE = re.compile(r"[ \t\n\r]*")
_SHORT = 1_024  # bytes
_WRITABLE = 254  # levels that orjson writes, as its documentation says
_LONGEST_PATH = 200  # characters; reasons travel in headers


def loads(body: bytes, *, max_depth: int = MAX_DEPTH) -> JsonValue:
    """
    Read one JSON text of UTF-8. Integers keep every digit.

    Raises PoisonError for invalid UTF-8, a byte order mark, NaN and infinities, equal keys in one object (named with
    their path), nesting beyond `max_depth`, anything after the value, and an empty body.
    """
    return load(body, max_depth)[0]


def load(body: bytes, max_depth: int) -> tuple[JsonValue, bool]:
    """Read like `loads`; tell also whether `body` is canonical: just what `dumps` makes of the value, byte for byte."""
    value, canonical = load_elements(body, max_depth)
    if not canonical and isinstance(value, list):
        for element in value:
            if isinstance(element, PoisonError):
                raise element
    return cast("JsonValue", value), canonical


def load_elements(body: bytes, max_depth: int) -> tuple[JsonValue | list[JsonValue | PoisonError], bool]:
    """Read like `load`, but where the body is an array, an element with equal keys becomes its PoisonError alone."""
    try:
        value: JsonValue = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _complaint(body, error) from None
    try:
        shallow = _is_shallow(body, max_depth)
        again = orjson.dumps(value) if shallow else _dumps_within(value, max(0, _WRITABLE - max_depth))
    except orjson.JSONEncodeError:  # deeper than it writes
        _check_depth(value, max_depth)
        again = b""
    if again == body:
        return value, True
    return (value if _says_it_all(body, again) else _load_exactly(body)), False


def split(body: bytes) -> list[bytes]:
    """Cut an array that `load_elements` has accepted into the exact bytes of its elements."""
    text = body.decode()
    decoder = json.JSONDecoder()
    start, cuts = _skip(text, _skip(text, 0) + 1), []
    while text[start] != "]":
        _, end = decoder.raw_decode(text, start)
        cuts.append(text[start:end].encode())
        start = _skip(text, end)
        if text[start] == ",":
            start = _skip(text, start + 1)
    return cuts


def dumps(value: JsonValue) -> bytes:
    """
    Write compact UTF-8 JSON: what `loads` has read comes out with the same meaning.

    It has neither NaN nor infinity nor lone surrogates in it; elsewhere, a surrogate raises ValueError and orjson
    makes null of the others.
    """
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:  # an integer beyond 64 bits, or nesting beyond 254
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


_Link: TypeAlias = "tuple[_Link, str | int] | None"  # the way up from a value, for its path


class _Twice(dict[str, "JsonValue"]):
    """An object in which `key` stood twice, left in the tree until its path is known."""

    key: str


def _is_shallow(body: bytes, max_depth: int) -> bool:
    """Whether so few brackets open that `max_depth` cannot be exceeded. False means: perhaps it can."""
    if len(body) <= _SHORT:
        return body.count(b"[") + body.count(b"{") <= max_depth
    opened = 0
    for bracket in b"[", b"{":  # a long text is searched much faster than it is counted
        at = body.find(bracket)
        while at >= 0 and opened <= max_depth:
            opened += 1
            at = body.find(bracket, at + 1)
    return opened <= max_depth


def _dumps_within(value: JsonValue, brackets: int) -> bytes:
    """
    Write a value again, unless it is nested too deep to stand within so many more brackets.

    orjson writes 254 levels and no more. So it finds out on the way what would take long to count: with all but
    `max_depth` of them used up, what it writes is not deeper than that. Raises orjson.JSONEncodeError.
    """
    for _ in range(brackets):
        value = [value]
    again = orjson.dumps(value)
    return again[brackets : len(again) - brackets]


def _says_it_all(body: bytes, again: bytes) -> bool:
    """
    Whether orjson certainly read everything that `body` says and writes as `again`. False means: perhaps not.

    It did if that has as many colons, so that no member was dropped (a dropped one takes its colon along, and without
    an escaped colon none can appear), and no number is long enough to be cut.
    """
    if (b"\\" in body and b"\\u003" in body) or again.count(b":") != body.count(b":"):
        return False
    return bool(again) and _LONG_NUMBER not in body.translate(_DIGITS_TO_ZERO)


def _load_exactly(body: bytes) -> JsonValue | list[JsonValue | PoisonError]:
    flawed = False

    def members(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
        nonlocal flawed
        made = dict(pairs)
        if len(made) == len(pairs):
            return made
        flawed = True
        twice = _Twice(made)
        (twice.key, _), *_ = Counter(key for key, _ in pairs).most_common(1)
        return twice

    value: JsonValue = json.loads(body.decode(), object_pairs_hook=members)
    if not flawed:
        return value
    if isinstance(value, list):
        return [_repetition(element, f"[{index}]") or element for index, element in enumerate(value)]
    if error := _repetition(value):
        raise error
    return value


def _check_depth(value: JsonValue, max_depth: int) -> None:
    """Go down level by level, so that the time is that of reading and nothing recurses."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(max_depth):
        level = [
            child
            for parent in level
            for child in (parent if isinstance(parent, list) else parent.values())
            if isinstance(child, (dict, list))
        ]
        if not level:
            return
    raise PoisonError("body", f"is nested deeper than {max_depth} levels")


def _steps(value: JsonValue) -> Iterable[tuple[str | int, JsonValue]]:
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()


def _repetition(value: JsonValue, at: str = "") -> PoisonError | None:
    """Find the first key that stands twice. No recursion, and no path is written before it is needed."""
    todo: list[tuple[JsonValue, _Link]] = [(value, None)]
    while todo:
        value, link = todo.pop()
        if isinstance(value, _Twice):
            return PoisonError(_written((link, value.key), at), "is given twice")
        todo.extend(reversed([(child, (link, step)) for step, child in _steps(value)]))
    return None


def _written(link: _Link, at: str) -> str:
    steps: list[str | int] = []
    while link:
        link, step = link
        steps.append(step)
    path = at
    for step in reversed(steps):
        path = f"{path}[{step}]" if isinstance(step, int) else place(path, step)
    return path if len(path) <= _LONGEST_PATH else f"{path[:_LONGEST_PATH]}..."


def _complaint(body: bytes, error: orjson.JSONDecodeError) -> PoisonError:
    where = f"line {error.lineno}, column {error.colno}"
    if not body.strip():
        return PoisonError("body", "is empty")
    try:
        text = body.decode()
    except UnicodeDecodeError as wrong:
        return PoisonError("body", f"is not valid UTF-8 at byte {wrong.start}")
    if text.startswith("\ufeff"):
        return PoisonError("body", "begins with a byte order mark: send plain UTF-8")
    if text[error.pos :].startswith(("NaN", "Infinity")):
        return PoisonError("body", f"has NaN or Infinity at {where}, which JSON does not know")
    return PoisonError("body", f"is not valid JSON at {where}: {error.msg}")


def _skip(text: str, start: int) -> int:
    found = _SPACE.match(text, start)
    assert found
    return found.end()
