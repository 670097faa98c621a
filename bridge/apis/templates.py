"""
Places in text that an event's fields fill: `{{id}}`, `{{data.user.id}}`, `{{data.note?}}`.

No code, no conditions, no loops: a place names one field, by its path. Publishers are untrusted, so each use (address,
header, body) brings its own encoding, and a field that is missing refuses the event unless its place ends with "?".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from bridge.apis.encoding import dumps, header_value
from bridge.apis.urls import split_url
from bridge.model import Envelope, JsonValue

FIELDS = ("id", "name", "data", "user", "ts", "v", "context", "source", "due_at")
MAX_URL = 8_000  # characters; most servers take 8 KiB for the whole first line
MAX_HEADER = 4_000
_PLACE = re.compile(r"\{\{\s*([a-z_]+(?:\.[^\s{}.?]+)*)(\??)\s*\}\}")


class Unfilled(Exception):
    """An event that cannot fill a template; the text says which place and why."""


@dataclass(slots=True, frozen=True)
class Place:
    """One `{{path}}`."""

    path: tuple[str, ...]
    optional: bool

    def value(self, event: Envelope) -> JsonValue:
        """Look the field up; None where it is null or missing. Raises Unfilled where it must not be."""
        value: JsonValue = getattr(event, self.path[0])
        for step in self.path[1:]:
            value = _step(value, step)
        if value is None and not self.optional:
            raise Unfilled(f"{self} is missing in the event")
        return value

    def text(self, event: Envelope) -> str:
        """Give the field as text: strings as they are, all else as JSON, nothing for a missing one."""
        value = self.value(event)
        if value is None:
            return ""
        return value if isinstance(value, str) else dumps(value).decode()

    def __str__(self) -> str:
        return "{{" + ".".join(self.path) + "}}"


def _step(value: JsonValue, step: str) -> JsonValue:
    if isinstance(value, dict):
        return value.get(step)
    if isinstance(value, list) and re.fullmatch(r"[0-9]{1,9}", step) and int(step) < len(value):
        return value[int(step)]
    return None


Part = str | Place


def parse(text: str) -> tuple[Part, ...]:
    """
    Split text into literals and places.

    Raises ValueError on a place that names no field of an event, and on braces that make no place.
    """
    return tuple(part for part in _parts(text) if part != "")


def _parts(text: str) -> Iterator[Part]:
    end = 0
    for found in _PLACE.finditer(text):
        yield _literal(text[end : found.start()])
        path = tuple(found[1].split("."))
        if path[0] not in FIELDS:
            raise ValueError(f"{{{{{found[1]}}}}} is no field of an event; there are {', '.join(FIELDS)}")
        yield Place(path, optional=bool(found[2]))
        end = found.end()
    yield _literal(text[end:])


def _literal(text: str) -> str:
    if "{{" in text or "}}" in text:
        raise ValueError("write a place like {{id}} or {{data.user.id}}, with a ? at its end where it may be missing")
    return text


def fill(parts: tuple[Part, ...], event: Envelope, encode: Callable[[str], str]) -> str:
    """Join the literals and the encoded texts of the places."""
    return "".join(part if isinstance(part, str) else encode(part.text(event)) for part in parts)


class UrlTemplate:
    """An address with places in its path and query, each filled with percent-encoded text."""

    def __init__(self, text: str) -> None:
        """Raise ValueError on an address that `split_url` refuses, or with a place before its path."""
        self._parts = parse(text)
        self.varies = any(isinstance(part, Place) for part in self._parts)
        sample = "".join(part if isinstance(part, str) else "x" for part in self._parts)
        checked = split_url(sample)
        self.sample = sample
        self._origin = (checked.scheme, checked.netloc)
        if not str(self._parts[0]).startswith(f"{checked.scheme}://{checked.netloc}"):
            raise ValueError("may hold places only in its path and query: scheme, host and port are fixed")
        if self.varies and not re.match(r"[a-z]+://[^/?]+[/?]", str(self._parts[0])):
            raise ValueError("needs a / between the host and the first place")

    def fill(self, event: Envelope) -> str:
        """Make the address for one event. Raises Unfilled where a place is empty, or it would lead elsewhere."""
        if not self.varies:
            return self.sample
        url = fill(self._parts, event, _segment)
        if len(url) > MAX_URL:
            raise Unfilled(f"its address would be longer than {MAX_URL} characters")
        try:
            parts = split_url(url)
        except ValueError as error:
            raise Unfilled(f"its address {error}") from error
        if (parts.scheme, parts.netloc) != self._origin:
            raise Unfilled("its address would leave the configured one")
        return url


def _segment(text: str) -> str:
    if not text:
        raise Unfilled("a place in its address is empty")
    return quote(text, safe="", errors="backslashreplace")


class HeaderTemplate:
    """A header value with places; all but visible ASCII is percent-encoded."""

    def __init__(self, text: str) -> None:
        self._parts = parse(text)
        if any(isinstance(part, str) and not re.fullmatch(r"[ -~]*", part) for part in self._parts):
            raise ValueError("a header value may hold visible ASCII and spaces only")
        fixed = "".join(str(part) for part in self._parts).strip()
        self.constant = None if any(isinstance(part, Place) for part in self._parts) else fixed
        if self.constant is not None and len(fixed) > MAX_HEADER:
            raise ValueError(f"a header value may have at most {MAX_HEADER} characters")

    def fill(self, event: Envelope) -> str:
        """Make the value for one event. Raises Unfilled when a field is missing or the value gets too long."""
        value = fill(self._parts, event, header_value).strip()
        if len(value) > MAX_HEADER:
            raise Unfilled(f"a header would be longer than {MAX_HEADER} characters")
        return value


def is_data(parts: tuple[Part, ...]) -> bool:
    """Whether a text stands for the data of the event, and for nothing else."""
    return len(parts) == 1 and isinstance(parts[0], Place) and parts[0].path == ("data",)


Filler = Callable[[Envelope], JsonValue]


def body_template(template: JsonValue) -> Filler:
    """
    Make a body from JSON with places in its strings.

    A string that is one place becomes the field itself, of whatever type; within longer text a field stands as text.
    Raises ValueError like `parse`.
    """
    if isinstance(template, dict):
        fields = {key: body_template(value) for key, value in template.items()}
        return lambda event: {key: filler(event) for key, filler in fields.items()}
    if isinstance(template, list):
        items = [body_template(value) for value in template]
        return lambda event: [filler(event) for filler in items]
    if isinstance(template, str):
        return _text_filler(parse(template))
    return lambda _: template


def _text_filler(parts: tuple[Part, ...]) -> Filler:
    if len(parts) == 1 and isinstance(parts[0], Place):
        return parts[0].value
    return lambda event: fill(parts, event, str)
