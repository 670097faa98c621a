"""
Take secrets out of text, as the second line behind code that never logs them.

Known values are told to `hide`; URL passwords, bearer tokens and the like are known by their shape.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote, unquote

MASK = "***"

_SHORTEST = 4  # a shorter "secret" would blot out half of every line
_SHAPES = (
    (re.compile(r"(?<=://)[^\s\"'<>]*@"), f"{MASK}@"),  # user and password of a URL
    (re.compile(r"(?i)\b(bearer)\s+[a-z0-9._~+/=-]{6,}"), rf"\1 {MASK}"),
    (re.compile(r"(?i)\b(authorization\W{1,4}\w+)\s+[a-z0-9._~+/=-]{6,}"), rf"\1 {MASK}"),
    (re.compile(r"\bwhsec_[A-Za-z0-9+/=_-]+"), MASK),  # Standard Webhooks
    (re.compile(r"\b(?:tr_(?:dev|prod|stg|pat|preview)_)[A-Za-z0-9]+"), MASK),  # Trigger.dev
    (re.compile(r"\bsign?key-[A-Za-z0-9-]+"), MASK),  # Inngest
    (re.compile(r"(https?://[^/\s]+/e/)[\w.~-]+"), rf"\1{MASK}"),  # the key in Inngest's path
)


class Redactor:
    """Knows the secret values of this process and masks them in any text."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def hide(self, values: Iterable[str]) -> None:
        """Mask these values from now on, also as they stand in URLs."""
        spellings = {spelling for value in values for spelling in (value, quote(value, safe=""), unquote(value))}
        self._values |= {value for value in spellings if len(value) >= _SHORTEST}
        longest_first = sorted(self._values, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def __call__(self, text: str) -> str:
        """Give the text without secrets."""
        if self._pattern:
            text = self._pattern.sub(MASK, text)
        for shape, mask in _SHAPES:
            text = shape.sub(mask, text)
        return text


redact = Redactor()
"""The one of this process: secrets are as global as the output they must not reach."""
