"""Durations and sizes as people write them in a settings file."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_BYTES = {"b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "kb": 1000, "mb": 1000**2, "gb": 1000**3}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)\s*")


def _parse(value: object, units: dict[str, float] | dict[str, int], example: str) -> object:
    if not isinstance(value, str) or re.fullmatch(r"\s*[-+]?[\d.]+\s*", value):
        return value
    text, total, end = value.strip().lower(), 0.0, 0
    for part in _PART.finditer(text):
        if part.start() != end or part[2] not in units:
            break
        total += float(part[1]) * units[part[2]]
        end = part.end()
    if end != len(text) or not text:
        problem = f"write it like {example}, with the units {', '.join(units)}"
        raise ValueError(problem)
    return total


def seconds(value: object) -> object:
    """Turn "1h30m" or "500ms" into seconds; numbers and anything else pass through to pydantic."""
    return _parse(value, _SECONDS, '"30s" or "1h30m"')


def octets(value: object) -> object:
    """Turn "3MiB" into 3145728; numbers and anything else pass through to pydantic."""
    return _parse(value, _BYTES, '"3MiB"')


Duration = Annotated[float, BeforeValidator(seconds)]
"""Seconds; a number, or text such as "500ms", "30s", "1h30m", "7d"."""

Size = Annotated[int, BeforeValidator(octets)]
"""Bytes; a number, or text such as "64KiB", "3MiB"."""
