"""What a dashboard asks, read from its JSON, in the way Grafana would ask Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from devtools.dashboard.annotations import WORDS

Dashboard = Mapping[str, Any]
Panel = Mapping[str, Any]

VARIABLES = {"$job": ".*", "$instance": ".*", "$route": ".*"}
"""What stands for All, as the dashboard's variables have it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One query of one panel."""

    panel: str
    ref: str
    expr: str
    legend: str

    def __str__(self) -> str:
        return f"{self.panel}-{self.ref}"


def panels(dashboard: Dashboard) -> list[Panel]:
    """All panels that show something: rows are headings."""
    found: list[Panel] = []
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            found += panel.get("panels", [])
        else:
            found.append(panel)
    return found


def asked(dashboard: Dashboard) -> Iterator[Asked]:
    for panel in panels(dashboard):
        for target in panel.get("targets", []):
            yield Asked(panel["title"], target["refId"], target["expr"], target.get("legendFormat", ""))


def marks(dashboard: Dashboard) -> Iterator[Asked]:
    for each in dashboard["annotations"]["list"]:
        yield Asked("annotations", each["name"], each["target"]["expr"], each["titleFormat"])


def in_schema(dashboard: Dashboard) -> dict[str, Any]:
    """A copy with only what the published schema tells of: it has no room for queries and words of annotations."""
    copied: dict[str, Any] = deepcopy(dict(dashboard))
    for each in copied["annotations"]["list"]:
        for word in WORDS:
            each.pop(word, None)
        del each["target"]
    return copied


def substituted(expr: str, *, rate_interval: str, span: str) -> str:
    """Put in what Grafana would put in for its variables: durations as in PromQL."""
    for name, value in (VARIABLES | {"$__rate_interval": rate_interval, "$__range": span}).items():
        expr = expr.replace(name, value)
    if "$" in expr:
        raise ValueError(f"a variable that is not known: {expr}")
    return expr
