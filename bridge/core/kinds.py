"""What JSON values and their places are called in the reasons people read."""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,39}")
_CUT = 40  # characters of an odd key that are worth showing

_NAMES: dict[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "an array",
    dict: "an object",
    bytes: "bytes",
}


def kind_of(value: object) -> str:
    """Name the kind of `value` with its article: "a string", "an array", "null"."""
    return _NAMES.get(type(value), f"a {type(value).__name__}")


def place(parent: str, key: str) -> str:
    """Name the member `key` of `parent`; an odd key is quoted and cut, since reasons end up in headers and logs."""
    if not _PLAIN.fullmatch(key):
        return f"{parent}[{key[:_CUT]!a}]"
    return f"{parent}.{key}" if parent else key
