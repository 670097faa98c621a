"""
Every metric of a process: what it is called, what it says, and what to do when it is off.

This is where the endpoint has its help texts from, and `docs/metrics.md` its table. Units are seconds and numbers of
things; the values of a label come from closed sets or from the settings.
"""

from __future__ import annotations

from typing import Final

from bridge.telemetry.catalogue.described import Described
from bridge.telemetry.catalogue.events import EVENTS
from bridge.telemetry.catalogue.process import PROCESS
from bridge.telemetry.catalogue.target import TARGET

CATALOGUE: Final = (*EVENTS, *TARGET, *PROCESS)

DESCRIBED: Final = {described.name: described for described in CATALOGUE}


def reference() -> str:
    """Write the table as Markdown."""
    head = "| metric | type | labels | meaning | when it is off |\n|---|---|---|---|---|"
    return "\n".join([head, *map(_row, CATALOGUE), ""])


def _row(one: Described) -> str:
    labels = ", ".join(f"`{label}`" for label in one.labels)
    return f"| {' | '.join((f'`{one.name}`', one.kind, labels, one.meaning, one.cure))} |"
