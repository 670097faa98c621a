"""W3C trace context (Recommendation of 2021-11-23): what is malformed is dropped, as the standard asks, not refused."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PARENT = re.compile(r"([0-9a-f]{2})-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-[ -~]*)?")
_LONGEST_PARENT = 256  # version 00 has 55 characters; later versions may add to it
_LONGEST_STATE = 512  # characters that must at least be passed on (section 3.3.1.5)
_STATE = re.compile(r"[ -~\t]+")


def trace_of(parent: object, state: object) -> Mapping[str, str]:
    """Keep a valid `traceparent`, and a printable `tracestate` beside it; else nothing. Bytes are read as ASCII."""
    if parent is None:
        return {}
    parent = _ascii(parent)
    found = _PARENT.fullmatch(parent) if len(parent) <= _LONGEST_PARENT else None
    if not found or found[1] == "ff" or (found[1] == "00" and found[2] is not None):
        return {}
    if state is None:
        return {"traceparent": parent}
    state = _ascii(state)
    if len(state) > _LONGEST_STATE or not _STATE.fullmatch(state):
        return {"traceparent": parent}
    return {"traceparent": parent, "tracestate": state}


def _ascii(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("ascii", "replace")
    return value if isinstance(value, str) else ""
