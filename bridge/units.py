"""Durations and sizes as people write them in a settings file."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_BYTES = {"b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "kb": 1000, "mb": 1000**2, "gb": 1000**3}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)\s*")
_TEXT = r"^\s*(\d+(\.\d+)?|(\d+(\.\d+)?\s*({})\s*)+)$"  # the same for editors, in the JSON schema


def _parse(value: object, units: dict[str, float] | dict[str, int], example: str) -> object:
    if isinstance(value, bool):
        problem = f"write it like {example}, not as true or false"
        raise ValueError(problem)  # noqa: TRY004  pydantic turns a ValueError, not a TypeError, into its report
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


Duration = Annotated[
    float,
    Field(allow_inf_nan=False),
    BeforeValidator(seconds, json_schema_input_type=float | Annotated[str, Field(pattern=_TEXT.format("ms|s|m|h|d"))]),
]
"""Seconds; a number, or text such as "500ms", "30s", "1h30m", "7d"."""

Size = Annotated[
    int,
    BeforeValidator(
        octets,
        json_schema_input_type=int | Annotated[str, Field(pattern=_TEXT.format("[KMGkmg]?i?[Bb]"))],
    ),
]
"""Bytes; a number, or text such as "64KiB", "3MiB"."""
