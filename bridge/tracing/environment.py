"""
What the standard variables of OpenTelemetry say, beside those that its exporter reads itself. Pure.

Source: "Environment Variable Specification" of OpenTelemetry 1.48. What makes no sense counts as not set, as it asks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

from bridge.tracing.context import Sampler

DISABLED: Final = "OTEL_SDK_DISABLED"

_SECRET: Final = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
_OF_RATIO: Final = {"traceidratio": False, "parentbased_traceidratio": True}  # whether it follows the parent
_PLAIN: Final = {
    "always_on": Sampler(1.0, follows=False),
    "always_off": Sampler(0.0, follows=False),
    "parentbased_always_on": Sampler(1.0),
    "parentbased_always_off": Sampler(0.0),
}


def disabled(variables: Mapping[str, str]) -> bool:
    return variables.get(DISABLED, "").strip().lower() == "true"


def sampler_of(ratio: float | None, variables: Mapping[str, str]) -> Sampler:
    """Make the sampler: by the ratio of the settings, else by the variables, else one that takes all."""
    if ratio is not None:
        return Sampler(ratio)
    name = variables.get("OTEL_TRACES_SAMPLER", "").strip().lower()
    if name in _OF_RATIO:
        return Sampler(_ratio(variables.get("OTEL_TRACES_SAMPLER_ARG", "")), _OF_RATIO[name])
    return _PLAIN.get(name, Sampler())


def _ratio(text: str) -> float:
    try:
        ratio = float(text)
    except ValueError:
        return 1.0
    return ratio if math.isfinite(ratio) and 0 <= ratio <= 1 else 1.0


def number(variables: Mapping[str, str], name: str, usual: int) -> int:
    """Read a whole number above 0."""
    text = variables.get(name, "").strip()
    return int(text) if text.isascii() and text.isdecimal() and int(text) > 0 else usual


def secrets_of(variables: Mapping[str, str]) -> set[str]:
    """Collect the values of the headers that the exporter takes from variables, to keep them out of the logs."""
    pairs = [pair for name in _SECRET for pair in variables.get(name, "").split(",")]
    values = {pair.partition("=")[2].strip() for pair in pairs}
    return {spelling for value in values if value for spelling in (value, unquote(value))}
