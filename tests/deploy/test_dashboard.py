"""The dashboard is what Grafana's published schema says a dashboard is."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from devtools.dashboard.__main__ import PLACE
from devtools.dashboard.schema import complaints

DASHBOARD: dict[str, Any] = json.loads(PLACE.read_text("utf-8"))


def _first(made: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(panel for panel in made["panels"] if panel["type"] == kind)


def test_the_dashboard_is_one_of_grafanas_schema() -> None:
    assert complaints(DASHBOARD) == ""


def test_planted_faults_are_found_out() -> None:
    made = deepcopy(DASHBOARD)
    made["templating"]["list"][1]["includeAl"] = True
    _first(made, "timeseries")["gridPoss"] = {}
    _first(made, "heatmap")["fieldConfig"]["defaults"]["units"] = "s"
    _first(made, "stat")["fieldConfig"]["defaults"]["thresholds"]["mode"] = "absolut"
    said = complaints(made)
    for planted in ("includeAl", "gridPoss", "units", '"absolut"'):
        assert planted in said
    assert said.count("error TS") == 4
