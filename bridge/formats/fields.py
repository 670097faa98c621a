"""Reads one JSON object field by field; whatever is wrong becomes a PoisonError with the field's path."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeGuard

from bridge.core import due
from bridge.core.iso8601 import parse_time
from bridge.core.kinds import kind_of, place
from bridge.errors import PoisonError
from bridge.model import JsonValue

LONGEST = 512
"""Characters an id or a name may have. Inngest's newer API allows names of 512, its documentation says 256."""

DELAYS = frozenset(
    {"delay", "delayms", "delayseconds", "delayuntil", "xdelay", "deliverat", "deliverafter", "deliverin"}
)
"""How the APIs and plugins of this world spell "not before", in lower case and without dashes and underscores."""

_LONGEST_DELAY = 20  # characters of a key that may be one of these
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # C0, DEL, C1; halves of surrogate pairs


def check_label(text: str, field: str) -> str:
    """Return `text` if it can be an id or a name: 1 to 512 characters, none of them a control. Raises PoisonError."""
    if not text:
        raise PoisonError(field, "is empty")
    if len(text) > LONGEST:
        raise PoisonError(field, f"has {len(text)} characters, more than {LONGEST}")
    return check_text(text, field)


def is_label(value: object) -> TypeGuard[str]:
    """Whether `value` certainly can be an id or a name, as nearly all can; of the others `check_label` knows."""
    return type(value) is str and value.isprintable() and 0 < len(value) <= LONGEST


def check_text(text: str, field: str) -> str:
    """Return `text` if no control character and no half of a surrogate pair is in it. Raises PoisonError."""
    if not text.isprintable() and (found := _FORBIDDEN.search(text)):
        raise PoisonError(field, f"must not contain control characters (U+{ord(found[0]):04X} at {found.start()})")
    return text


class Fields:
    """
    A JSON object and its place in the body.

    A field that is null counts as absent, except to `required`. `index` is its position where it is an element of an
    array, for ids that are derived.
    """

    __slots__ = ("_members", "at", "index")

    def __init__(self, value: JsonValue, at: str = "", index: int | None = None) -> None:
        if not isinstance(value, dict):
            raise PoisonError(at or "body", f"must be an object, not {kind_of(value)}")
        self._members = value
        self.at = at
        self.index = index

    def __contains__(self, key: str) -> bool:
        return self._members.get(key) is not None

    def has(self, key: str) -> bool:
        """Whether the field is there, be it null."""
        return key in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def path(self, key: str) -> str:
        return place(self.at, key)

    def get(self, key: str) -> JsonValue:
        return self._members.get(key)

    def required(self, key: str) -> JsonValue:
        """Any value, null included, as long as the field is there."""
        if key not in self._members:
            raise PoisonError(self.path(key), "is missing")
        return self._members[key]

    def text(self, key: str) -> str | None:
        value = self._members.get(key)
        if value is None or isinstance(value, str):
            return value
        raise PoisonError(self.path(key), f"must be a string, not {kind_of(value)}")

    def label(self, key: str) -> str | None:
        """Read an id: text with the limits of `check_label`."""
        value = self.text(key)
        if value is None or (value.isprintable() and 0 < len(value) <= LONGEST):  # what nearly all are, cheaply
            return value
        return check_label(value, self.path(key))

    def required_label(self, key: str) -> str:
        """Read a name, or an id that must be there."""
        value = self.label(key)
        if value is None:
            raise PoisonError(self.path(key), "is missing")
        return value

    def record(self, key: str) -> dict[str, JsonValue] | None:
        """Read an object as a plain value."""
        value = self._members.get(key)
        if value is None or isinstance(value, dict):
            return value
        raise PoisonError(self.path(key), f"must be an object, not {kind_of(value)}")

    def child(self, key: str) -> Fields | None:
        """Read an object to go on reading in."""
        value = self._members.get(key)
        return None if value is None else Fields(value, f"{self.at}.{key}" if self.at else key, self.index)

    def required_child(self, key: str) -> Fields:
        value = self.child(key)
        if value is None:
            raise PoisonError(self.path(key), "is missing")
        return value

    def moment(self, key: str) -> int | None:
        """Read when something happened: ISO 8601 text or epoch ms. Unlike a due time, it may lie before 1970."""
        value = self._members.get(key)
        if isinstance(value, str):
            return parse_time(value, self.path(key))
        return None if value is None else due.at_time(value, self.path(key))

    def refuse_stray_delays(self, known: frozenset[str], cure: str) -> None:
        """
        Raise PoisonError for a delay in a field, or in `options`, that is not among those `known`.

        To read past it would send the event at once. All other unknown fields are no concern of ours, as they are none
        of the servers'.
        """
        if self._members.keys() <= known:  # nearly always
            return
        for key in self._members.keys() - known:
            value = self._members[key]
            if key == "options" and isinstance(value, dict):
                Fields(value, self.path(key)).refuse_stray_delays(frozenset(), cure)
            elif value is not None and _says_delay(key):
                raise PoisonError(self.path(key), f"would delay nothing there: {cure}")

    def content(self, key: str, elsewhere: str) -> JsonValue:
        """Read what the event is about; raise PoisonError where only the field has it that is `elsewhere` called so."""
        if key not in self._members and self._members.get(elsewhere) is not None:
            raise PoisonError(self.path(elsewhere), f"would be lost: the shape calls it {key}")
        return self._members.get(key)

    def delay(self, key: str, base: int) -> int | None:
        """Read a delay in any form as the time it ends."""
        value = self._members.get(key)
        return None if value is None else due.after_delay(value, base, self.path(key))


def _says_delay(key: str) -> bool:
    return len(key) <= _LONGEST_DELAY and key.replace("_", "").replace("-", "").lower() in DELAYS
