"""Values as Grafana writes them, for the units that the dashboard uses; and its colours by name."""

from __future__ import annotations

import math
from collections.abc import Sequence

COLOURS = {
    "green": "#73bf69",
    "yellow": "#eab839",
    "orange": "#ff9830",
    "red": "#f2495c",
    "blue": "#5794f2",
    "purple": "#b877d9",
    "dark-red": "#c4162a",
}
PALETTE = ("#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42", "#1f78c1", "#ba43a9", "#705da0", "#508642", "#cca300")
"""In which lines are drawn that have no colour of their own, one after the other."""

_SUFFIXES = {"eps": "evt/s", "reqps": "req/s", "ops": "ops/s"}
_SECONDS = ((86400, 86400, "days"), (3600, 3600, "h"), (60, 60, "min"), (1, 1, "s"), (1e-3, 1e-3, "ms"))
_BYTES = ("B", "KiB", "MiB", "GiB", "TiB")


def colour(name: str) -> str:
    return COLOURS.get(name, name)


def shown(value: float, unit: str, decimals: int | None = None) -> str:
    """A value with its unit, such as "1.2 min" for 72 s."""
    if math.isnan(value):
        return "-"
    if unit == "percentunit":
        return f"{_plain(value * 100, decimals)} %"
    if unit == "s":
        return _seconds(value, decimals)
    if unit == "bytes":
        power = min(int(math.log2(value) // 10), len(_BYTES) - 1) if value >= 1 else 0
        return f"{_plain(value / 1024**power, decimals)} {_BYTES[power]}"
    text = _plain(value, decimals) if unit == "none" or abs(value) < 1000 else f"{_plain(value / 1000, decimals)} K"  # noqa: PLR2004  where K begins
    suffix = _SUFFIXES.get(unit, unit.partition(":")[2])
    return f"{text} {suffix}".rstrip()


def _seconds(value: float, decimals: int | None) -> str:
    for least, size, name in _SECONDS:
        if abs(value) >= least:
            return f"{_plain(value / size, decimals)} {name}"
    return "0 s" if value == 0 else f"{_plain(value * 1e6, decimals)} µs"


def _plain(value: float, decimals: int | None) -> str:
    if decimals is None:
        decimals = max(0, 2 - int(math.log10(abs(value)))) if value else 0
        text = f"{value:.{decimals}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{value:.{decimals}f}"


def step_colour(value: float, steps: Sequence[dict[str, object]]) -> str:
    """The colour of the last threshold that a value has reached."""
    found = "green"
    for step in steps:
        least = step.get("value")
        if least is None or value >= float(str(least)):
            found = str(step["color"])
    return colour(found)
