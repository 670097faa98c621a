"""The dashboard: its rows, variables, links and marks."""

from __future__ import annotations

import json
from typing import Any

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard

from devtools.dashboard import health, process, road
from devtools.dashboard.annotations import firing, starts
from devtools.dashboard.panels import DATASOURCE

UID = "event-bridge"
RUNBOOKS = "https://example.com/event-bridge/docs/runbooks"

RELICS = ("auto", "auto_count", "auto_min", "id")
"""Of variables."""

ROWS = (
    ("Is it delivering, how late, and why not", health.panels),
    ("Source", road.source),
    ("Target", road.target),
    ("Dedup and store", road.dedup),
    ("Delay", road.delay),
    ("Dead letters", road.dead),
    ("Process", process.panels),
)


def text(runbooks: str = RUNBOOKS) -> str:
    """Return the dashboard as the file has it; its links lead to the address of the runbooks."""
    made = json.loads(JSONEncoder().encode(_whole(runbooks)))
    return json.dumps(_without_relics(made), indent=2, sort_keys=True) + "\n"


def _whole(runbooks: str) -> dashboard.Dashboard:
    made = (
        builders.Dashboard("event-bridge")
        .uid(UID)
        .description("Is the bridge delivering, how late, and why not. Made by code: change devtools/dashboard.")
        .tags(["event-bridge"])
        .editable()
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .time("now-1h", "now")
        .refresh("30s")
        .timezone("browser")
        .variables(_variables(runbooks))
        .annotations([firing(), starts()])
        .link(_link("Runbooks", "${runbooks}", "What to do for each alert"))
    )
    for title, panels in ROWS:
        made.with_row(builders.Row(title))
        for panel in panels():
            made.with_panel(panel)
    built = made.build()
    for number, each in enumerate(built.panels or [], 1):
        each.id_val = number
    return built


def _without_relics(made: dict[str, Any]) -> dict[str, Any]:
    """Take out what the SDK writes by default and the current schema knows nothing of."""
    del made["style"]
    for variable in made["templating"]["list"]:
        for name in RELICS:
            variable.pop(name, None)
    return made


def _variables(runbooks: str) -> list[Builder[dashboard.VariableModel]]:
    of_job, of_instance = 'job=~"$job"', 'instance=~"$instance"'
    metric = "bridge_deliveries_received_total"
    return [
        builders.DatasourceVariable("datasource").label("Data source").type("prometheus"),
        _labels("job", "Job", metric),
        _labels("instance", "Instance", f"{metric}{{{of_job}}}"),
        _labels("route", "Route", f"{metric}{{{of_job}, {of_instance}}}"),
        builders.ConstantVariable("runbooks").label("Address of the runbooks").value(runbooks),
    ]


def _labels(name: str, label: str, selector: str) -> builders.QueryVariable:
    every = dashboard.VariableOption(selected=True, text="All", value="$__all")
    return (
        builders.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query(f"label_values({selector}, {name})")
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(every)
    )


def _link(title: str, url: str, tip: str) -> builders.DashboardLink:
    return (
        builders.DashboardLink(title)
        .type(dashboard.DashboardLinkType.LINK)
        .icon("doc")
        .tooltip(tip)
        .url(url)
        .target_blank(True)
    )
