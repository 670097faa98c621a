"""Dead letters as people and programs read them. Whatever came from a publisher is shown without its control codes."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import orjson

from bridge.core.pairs import pairs_of
from bridge.model import Burial

Numbered = tuple[int, Burial]
"""A dead letter and its place, from 1, the oldest."""

_HEAD = ("", "buried", "kind", "sent", "event", "name", "reason")
_WIDEST = 40  # characters of a column but the last
_REASON = 200  # characters


def table(burials: Sequence[Numbered]) -> str:
    """One line each; no payload."""
    rows = [_HEAD, *(_row(number, burial) for number, burial in burials)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD) - 1)]
    lines = (
        "  ".join([*(f"{text:<{width}}" for text, width in zip(row, widths, strict=False)), row[-1]]) for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _row(number: int, burial: Burial) -> tuple[str, ...]:
    cells = (burial.kind, str(burial.attempts), burial.event_id or "-", burial.name or "-")
    return (
        str(number),
        _moment(burial.buried_at),
        *(_clean(cell, _WIDEST) for cell in cells),
        _clean(burial.reason, _REASON),
    )


def details(number: int, burial: Burial) -> str:
    """Everything about one, its payload too."""
    facts = {name: value for name, value in facts_of(number, burial).items() if value not in (None, "")}
    lines = [f"{name:<13} {_clean(str(value))}" for name, value in facts.items()]
    lines += [
        f"header        {_clean(name)}: {_clean(_value(value))}" for name, value in pairs_of(burial.delivery.headers)
    ]
    return "\n".join([*lines, "", _body(burial.body)])


def as_json(burials: Iterable[Numbered], *, whole: bool) -> bytes:
    """A list of objects; `whole` adds headers and body (as text, or `body_base64`)."""
    items = [facts_of(number, burial) | (_contents(burial) if whole else {}) for number, burial in burials]
    return orjson.dumps(items, option=orjson.OPT_INDENT_2)


def facts_of(number: int, burial: Burial) -> dict[str, object]:
    """What is known about it, without anything that the publisher wrote into body or headers."""
    delivery = burial.delivery
    facts = {
        "number": number,
        "kind": burial.kind,
        "reason": burial.reason,
        "event_id": burial.event_id,
        "event_name": burial.name,
        "attempts": burial.attempts,
        "first_seen": _moment(burial.first_seen),
        "buried_at": _moment(burial.buried_at),
        "route": burial.route,
        "origin": delivery.origin,
        "position": delivery.position,
        "routing_key": delivery.routing_key,
        "key": None if delivery.key is None else _value(delivery.key),
        "message_id": delivery.message_id,
        "content_type": delivery.content_type,
        "shape": burial.shape.value,
        "bytes": len(burial.body),
        "truncated": burial.truncated,
    }
    return {name: _encodable(value) if isinstance(value, str) else value for name, value in facts.items()}


def _contents(burial: Burial) -> dict[str, object]:
    headers = [[_encodable(name), _encodable(_value(value))] for name, value in pairs_of(burial.delivery.headers)]
    try:
        return {"headers": headers, "body": burial.body.decode()}
    except UnicodeDecodeError:
        return {"headers": headers, "body_base64": base64.b64encode(burial.body).decode()}


def _body(body: bytes) -> str:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return f"(no text, base64) {base64.b64encode(body).decode()}"
    return "\n".join(_clean(line) for line in text.split("\n"))


def _moment(ms: int | None) -> str:
    if ms is None:
        return "-"
    try:
        return datetime.fromtimestamp(ms / 1000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return str(ms)


def _value(value: object) -> str:
    """A header's value. Bytes are text where they can be."""
    if isinstance(value, bytes | bytearray):
        try:
            return bytes(value).decode()
        except UnicodeDecodeError:
            return f"base64:{base64.b64encode(value).decode()}"
    return value if isinstance(value, str) else repr(value)


def _clean(text: str, most: int | None = None) -> str:
    """Escape what a terminal would act upon, and cut."""
    if not text.isprintable():
        text = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return text if most is None or len(text) <= most else f"{text[: most - 3]}..."


def _encodable(text: str) -> str:
    """Replace halves of surrogate pairs, which no JSON can hold."""
    return text.encode("utf-8", "backslashreplace").decode()
