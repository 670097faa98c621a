"""The metrics that the papers tell of are those of the code. Alerts are in `test_rules.py`."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from prometheus_client.metrics_core import Metric

from bridge.core.breaker import State
from bridge.core.control import Effect, Op
from bridge.core.slots import Result
from bridge.core.tally import REQUEST_OUTCOMES, Tally
from bridge.model import Backlog, Stage, StoreStats, Verdict
from bridge.telemetry.catalogue import CATALOGUE, reference
from bridge.telemetry.catalogue.described import Described
from bridge.telemetry.metrics import KINDS, OUTCOMES, PAUSES, BridgeCollector, Watched
from bridge.workers.books import Books
from bridge.workers.merging import GAUGES
from tests.unit.markdown import ROOT, paper, ticked
from tests.unit.rules import ALERTS as RULES

README, OPERATIONS, PAGE = paper("README.md"), paper("docs/operations.md"), paper("docs/metrics.md")


def _of_a_process() -> Iterable[Metric]:
    """Every metric of ours."""
    watched = Watched(
        tally=Tally(),
        breaker=lambda: State.CLOSED,
        reconnects=lambda: {"source": 0},
        backlogs=lambda: {"source": Backlog(0, 0, 0)},
        forgotten=lambda: 0,
        connected=lambda: {"source": True},
    )
    stats = dict.fromkeys(StoreStats.__slots__, 0.0)
    return BridgeCollector({"default": watched}, lambda: stats).collect()


def _names(families: Iterable[Metric], *without: str) -> dict[str, frozenset[str]]:
    names: dict[str, frozenset[str]] = {}
    for family in families:
        end = "_total" if family.type == "counter" else ""
        labels = {label for sample in family.samples for label in sample.labels}
        names[f"{family.name}{end}"] = frozenset(labels.difference(without))
    return names


METRICS = _names(_of_a_process(), "le")
OF_WORKERS = {name: labels for name, labels in _names(Books(1).collect()).items() if name.startswith("bridge_")}


def test_the_metrics_page_is_what_the_code_says() -> None:
    mark = "<!-- What follows is written by `event-bridge schema --metrics`. -->\n\n"
    assert PAGE.text.partition(mark)[2] == reference(), "write it again: event-bridge schema --metrics"


def test_what_is_described_is_what_there_is() -> None:
    kinds = {f"{family.name}{'_total' * (family.type == 'counter')}": family.type for family in _of_a_process()}
    assert {one.name: frozenset(one.labels) for one in CATALOGUE} == METRICS
    assert {one.name: one.kind for one in CATALOGUE} == kinds


@pytest.mark.parametrize("one", CATALOGUE, ids=lambda one: one.name)
def test_a_metric_says_what_it_means_and_what_to_do(one: Described) -> None:
    assert one.meaning.endswith(".")
    assert one.cure.endswith(".")
    assert set(re.findall(r"bridge_\w+", one.cure)) <= METRICS.keys() - {one.name}
    if one.kind == "histogram":
        assert one.name.endswith("_seconds")


def _metric(name: str) -> str:
    ends = (name.removesuffix(end) for end in ("_bucket", "_sum", "_count"))
    return next((base for base in ends if base in METRICS), name)


def test_the_questions_are_asked_of_metrics_that_are_there() -> None:
    asked = [row[1] for row in PAGE.table("question")]
    names = {_metric(name) for query in asked for name in re.findall(r"\bbridge_\w+", query)}
    assert names
    assert names <= METRICS.keys()


def test_the_readme_names_metrics_that_are_there() -> None:
    assert {ticked(row[0])[0] for row in README.table("metric")} <= METRICS.keys()


@pytest.mark.parametrize(
    ("metric", "values"),
    [
        ("bridge_events_total", {result.value for result in Result}),
        ("bridge_events_buried_total", set(KINDS)),
        ("bridge_control_total", {*Op, *Effect}),
        ("bridge_sends_total", set(OUTCOMES)),
        ("bridge_request_seconds", set(REQUEST_OUTCOMES)),
        ("bridge_breaker_state", {state.value for state in State}),
        ("bridge_intake_paused", set(PAUSES)),
        ("bridge_deliveries_received_total", {stage.value for stage in Stage}),
        ("bridge_deliveries_settled_total", {verdict.value for verdict in Verdict}),
    ],
)
def test_the_values_of_a_label_are_told(metric: str, values: set[str]) -> None:
    (row,) = (row for row in PAGE.table("metric") if ticked(row[0]) == [metric])
    assert set(ticked(row[3])) == values


def test_the_kinds_of_dead_letters_are_explained() -> None:
    assert [ticked(row[0])[0] for row in OPERATIONS.table("kind")] == list(KINDS)


def test_the_metrics_of_the_parent_are_told() -> None:
    rows = OPERATIONS.table("metric of the parent")
    assert {ticked(row[0])[0]: frozenset(ticked(row[1])) for row in rows} == OF_WORKERS


def test_how_gauges_of_workers_become_one_is_told() -> None:
    rows = OPERATIONS.table("of the workers' metrics")
    told = {name for row in rows for name in ticked(row[0])}
    assert told - {"bridge_store_*", "bridge_build_info"} == GAUGES.keys()
    sums = {name for row in rows if row[1].startswith("the sum") for name in ticked(row[0])}
    assert sums == {name for name, combine in GAUGES.items() if combine is sum}


def test_log_lines_that_are_told_are_written() -> None:
    told = set(re.findall(r"log line\s+`(\w+)`", OPERATIONS.text))
    source = "".join(path.read_text("utf-8") for path in (ROOT / "bridge").rglob("*.py"))
    assert len(told) > 1
    assert {event for event in told if f'"{event}"' not in source} == set()


def test_values_in_selectors_are_values_of_that_label() -> None:
    told = {ticked(row[0])[0]: set(ticked(row[3])) for row in PAGE.table("metric")}
    text = "".join(rule["expr"] for rule in RULES) + paper("docs/promise.md").text
    stages = {stage.value for stage in Stage}
    selectors = re.findall(r"(bridge_\w+)\{\w+=\"(\w+)\"", text)
    assert selectors
    assert [(name, value) for name, value in selectors if value not in told[name] | stages] == []
