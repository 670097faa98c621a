"""Trace contexts to test with."""

from __future__ import annotations

from collections.abc import Mapping

from bridge.tracing.context import Context

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN_ID = "00f067aa0ba902b7"
PARENT = f"00-{TRACE_ID}-{SPAN_ID}-01"


def trace(number: int, *, sampled: bool = True) -> Mapping[str, str]:
    return context(number, sampled=sampled).headers()


def context(number: int, *, sampled: bool = True) -> Context:
    return Context(f"{number:032x}", f"{number:016x}", int(sampled))
