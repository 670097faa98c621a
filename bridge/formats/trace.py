"""
W3C trace context (Recommendation of 2021-11-23): what is malformed is dropped, as the standard asks, not refused.

Publishers are not trusted: nothing that this lets through can end a header early, or make one that is too long.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_PARENT = re.compile(r"([0-9a-f]{2})-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-[ -~]*)?")
_LONGEST_PARENT = 256  # version 00 has 55 characters; later versions may add to it

_MEMBER = re.compile(r"([a-z0-9][a-z0-9_*/@-]{0,255})=[ -+\--<>-~]{0,255}[!-+\--<>-~]")  # keys as of level 2, too
_MOST_MEMBERS = 32  # section 3.3.1.1
_LONGEST_READ = 32 * 513  # characters of as many members as there may be, each as long as may be
_LONGEST_STATE = 512  # characters that must at least be passed on (section 3.3.1.5)
_LARGE_MEMBER = 128  # characters; of a state that is too long, longer ones are the first to go


def trace_of(parent: object, state: object) -> Mapping[str, str]:
    """Keep a valid `traceparent`, and a valid `tracestate` beside it; else nothing. Bytes are read as ASCII."""
    if parent is None:
        return {}
    parent = _ascii(parent)
    found = _PARENT.fullmatch(parent) if len(parent) <= _LONGEST_PARENT else None
    if not found or found[1] == "ff" or (found[1] == "00" and found[2] is not None):
        return {}
    if state is not None and (kept := _state(_ascii(state))):
        return {"traceparent": parent, "tracestate": kept}
    return {"traceparent": parent}


def _state(text: str) -> str | None:
    """Keep the members of a list in which all are valid and none comes twice, as far as there is room for them."""
    if len(text) > _LONGEST_READ:
        return None
    members = [member for part in text.split(",") if (member := part.strip(" \t"))]
    if not 0 < len(members) <= _MOST_MEMBERS:
        return None
    keys = {found[1] for member in members if (found := _MEMBER.fullmatch(member))}
    return ",".join(_fitting(members)) if len(keys) == len(members) else None


def _fitting(members: list[str]) -> list[str]:
    """Leave out what is too much: large members first, then those at the end, which are the oldest."""
    if _length(members) > _LONGEST_STATE:
        members = [member for member in members if len(member) <= _LARGE_MEMBER]
    while _length(members) > _LONGEST_STATE:
        members.pop()
    return members


def _length(members: list[str]) -> int:
    return sum(map(len, members)) + len(members) - 1


def _ascii(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("ascii", "replace")
    return value if isinstance(value, str) else ""
