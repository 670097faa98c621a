"""The dashboard is what its code makes, keeps its rules, and asks for what is there; planted faults are found out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard as Model

from bridge.telemetry.catalogue import CATALOGUE
from bridge.telemetry.metrics import BridgeCollector, registry
from bridge.workers.books import Books
from devtools.dashboard.__main__ import PLACE
from devtools.dashboard.annotations import WORDS
from devtools.dashboard.panels import RUNBOOKS
from devtools.dashboard.reading import asked, in_schema, marks, panels, substituted
from devtools.dashboard.rules import Metric, findings
from devtools.dashboard.whole import text
from tests.unit.markdown import ROOT

DASHBOARD: dict[str, Any] = json.loads(PLACE.read_text("utf-8"))
RUNBOOK_PAGES = ROOT / "docs" / "runbooks"
PROVISIONING = ROOT / "deploy" / "grafana" / "provisioning"


def _series(name: str, kind: str, labels: Iterable[str]) -> dict[str, Metric]:
    """The series that Prometheus gets of a metric, by name."""
    if kind != "histogram":
        return {name: Metric(grows=kind == "counter", labels=frozenset(labels))}
    each = Metric(grows=True, labels=frozenset(labels))
    return {
        f"{name}_bucket": Metric(grows=True, labels=each.labels | {"le"}),
        f"{name}_sum": each,
        f"{name}_count": each,
    }


def _of_others() -> dict[str, Metric]:
    """What stands beside the metrics of a route: those of Python, of the process, and of the parent of workers."""
    made = [*registry(BridgeCollector({}, dict)).collect(), *Books(1).collect()]
    return {
        sample.name: Metric(grows=family.type == "counter", labels=frozenset(sample.labels))
        for family in made
        if family.name.startswith(("process_", "python_", "bridge_worker_"))
        for sample in family.samples
    }


METRICS = _of_others() | {"up": Metric(grows=False, labels=frozenset())}
for described in CATALOGUE:
    METRICS |= _series(described.name, described.kind, described.labels)

Plant = Callable[[dict[str, Any]], object]


def _panel(dashboard: dict[str, Any], title: str) -> dict[str, Any]:
    return next(panel for panel in dashboard["panels"] if panel["title"] == title)


def _ask(dashboard: dict[str, Any], title: str, old: str, new: str) -> None:
    query = _panel(dashboard, title)["targets"][0]
    assert old in query["expr"]
    query["expr"] = query["expr"].replace(old, new)


def test_the_file_is_what_the_code_makes() -> None:
    assert PLACE.read_text("utf-8") == text(), "run: python -m devtools.dashboard"


def test_the_dashboard_keeps_the_rules() -> None:
    assert findings(DASHBOARD, METRICS) == []


@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (lambda made: _ask(made, "Delivered", "bridge_events_total", "bridge_event_total"), "no metric bridge_event_t"),
        (lambda made: _ask(made, "Delivered", ', route=~"$route"', ""), "not asked for by $route"),
        (lambda made: _ask(made, "Delivered", 'instance=~"$instance"', 'instance="a"'), "not asked for by $instance"),
        (lambda made: _ask(made, "Delivered", "result=", "outcome="), "has no label outcome"),
        (lambda made: _ask(made, "Delivered", "rate(", "max_over_time("), "is a counter and not"),
        (lambda made: _ask(made, "Lag", "bridge_lag", "rate(bridge_lag"), "is no counter and yet"),
        (lambda made: _ask(made, "Lag", "by (route", "by (rout"), "no metric of it has the label rout"),
        (lambda made: _ask(made, "Lag", "by (route, session)", "by (route)"), "the legend names what"),
        (lambda made: _panel(made, "Lag")["targets"][0].pop("legendFormat"), "no legend"),
        (lambda made: _panel(made, "Lag")["targets"][0].update(datasource={"uid": "mine"}), "data source"),
        (lambda made: _panel(made, "Lag").update(description="Lag."), "no description"),
        (lambda made: _panel(made, "Lag").update(title=""), "no title"),
        (lambda made: _panel(made, "Lag")["fieldConfig"]["defaults"].pop("unit"), "no unit"),
        (lambda made: _panel(made, "Lag").update(targets=[]), "asks nothing"),
        (lambda made: _panel(made, "Lag").update(id=_panel(made, "Sends")["id"]), "is there 2 times"),
        (lambda made: _panel(made, "Lag").update(title="Sends"), "2 panels have this title"),
        (lambda made: _panel(made, "Lag").update(gridPos=_panel(made, "Received")["gridPos"]), "lie upon each other"),
        (lambda made: _panel(made, "Lag")["gridPos"].update(w=40), "does not fit"),
        (lambda made: _panel(made, "Lag")["gridPos"].update(w=7), "is 23 wide"),
    ],
)
def test_a_planted_fault_is_found_out(plant: Plant, found: str) -> None:
    made = deepcopy(DASHBOARD)
    plant(made)
    assert any(found in finding for finding in findings(made, METRICS)), findings(made, METRICS)


def _unknown_to_the_sdk(made: dict[str, Any]) -> list[str]:
    """What the SDK's model loses when it reads the dashboard and writes it again."""
    plugins.register_default_plugins()
    given = in_schema(made)
    again = json.loads(JSONEncoder().encode(Model.from_json(deepcopy(given))))
    return sorted(_lost(given, again, ""))


def _lost(given: object, again: object, place: str) -> Iterable[str]:
    if isinstance(given, dict) and isinstance(again, dict):
        for key, value in given.items():
            yield from _lost(value, again[key], f"{place}.{key}") if key in again else [f"{place}.{key}"]
    elif isinstance(given, list) and isinstance(again, list) and len(given) == len(again):
        for number, (one, other) in enumerate(zip(given, again, strict=True)):
            yield from _lost(one, other, f"{place}[{number}]")
    elif given != again:
        yield f"{place}: {given!r} became {again!r}"


def test_grafanas_own_model_knows_every_key() -> None:
    assert _unknown_to_the_sdk(DASHBOARD) == []


def test_a_key_that_the_model_does_not_know_is_found_out() -> None:
    made = deepcopy(DASHBOARD)
    made["timezon"] = "utc"
    _panel(made, "Lag")["fieldConfig"]["defaults"]["units"] = "s"
    unknown = _unknown_to_the_sdk(made)
    assert len(unknown) == 2
    assert unknown[1] == ".timezon"


def test_what_grafana_reads_of_annotations_is_nothing_else() -> None:
    for each in DASHBOARD["annotations"]["list"]:
        assert each.keys() - {"name", "datasource", "enable", "hide", "iconColor", "target"} <= set(WORDS)


def test_every_variable_of_a_query_is_one_of_the_dashboard_or_of_grafana() -> None:
    for query in [*asked(DASHBOARD), *marks(DASHBOARD)]:
        assert "$" not in substituted(query.expr, rate_interval="1m", span="1h")
    names = [variable["name"] for variable in DASHBOARD["templating"]["list"]]
    assert names == ["datasource", "job", "instance", "route", "runbooks"]


def test_a_variable_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="not known"):
        substituted('up{pod="$pod"}', rate_interval="1m", span="1h")


def test_links_lead_to_runbooks_that_are_there() -> None:
    linked = {link["url"] for panel in panels(DASHBOARD) for link in panel.get("links", [])}
    assert len(linked) > 10
    assert [link["url"] for link in DASHBOARD["links"]] == [RUNBOOKS]
    pages = {url.removeprefix(f"{RUNBOOKS}/") for url in linked}
    assert pages <= {page.name for page in RUNBOOK_PAGES.glob("*.md")}


def test_grafana_finds_what_it_is_provisioned_with() -> None:
    (source,) = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "event-bridge.yaml").read_text())["providers"]
    assert source["type"] == DASHBOARD["templating"]["list"][0]["query"] == "prometheus"
    assert source["isDefault"]
    assert provider["options"]["path"].startswith("/")
