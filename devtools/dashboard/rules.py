"""What is wrong with a dashboard, said in sentences: nothing, if all is well."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from devtools.dashboard.reading import Asked, Dashboard, Panel, asked, panels

WIDTH = 24

_SELECTOR = re.compile(r"\b(?P<name>(?:bridge|process|python)_\w+|up|ALERTS)\b(?P<matchers>\{[^}]*\})?")
_MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')
_GROUPING = re.compile(r"\b(?:by|ignoring|on)\s*\(([^)]*)\)")
_LEGEND = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_GROWTH = re.compile(r"\b(rate|increase)\(\s*$")
_WORDY = 25  # characters of a description that says what to do


@dataclass(frozen=True, slots=True)
class Metric:
    """A series as it is scraped: of a histogram, `_bucket`, `_sum` and `_count` are series of their own."""

    grows: bool
    labels: frozenset[str]


Metrics = Mapping[str, Metric]


def findings(dashboard: Dashboard, metrics: Metrics) -> list[str]:
    """Say what is wrong. `metrics` are those that are there, by name."""
    return [*_ids(dashboard), *_places(dashboard), *_panels(dashboard), *_queries(dashboard, metrics)]


def _ids(dashboard: Dashboard) -> Iterator[str]:
    for number, count in Counter(panel.get("id") for panel in dashboard["panels"]).items():
        if count > 1 or not number:
            yield f"id {number} is there {count} times"
    for title, count in Counter(panel["title"] for panel in dashboard["panels"]).items():
        if count > 1:
            yield f"{title}: {count} panels have this title"


def _places(dashboard: Dashboard) -> Iterator[str]:
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        if place["x"] + place["w"] > WIDTH or place["w"] < 1 or place["h"] < 1:
            yield f"{panel['title']}: does not fit on the grid"
    for one, other in combinations(dashboard["panels"], 2):
        if _overlap(one["gridPos"], other["gridPos"]):
            yield f"{one['title']} and {other['title']} lie upon each other"
    for bottom, right in _edges(dashboard):
        if right != WIDTH:
            yield f"the line of panels that ends at {bottom} is {right} wide"


def _overlap(one: Mapping[str, int], other: Mapping[str, int]) -> bool:
    return all(one[at] < other[at] + other[size] and other[at] < one[at] + one[size] for at, size in ("xw", "yh"))


def _edges(dashboard: Dashboard) -> Iterator[tuple[int, int]]:
    """The lower and the right edge of each line of panels."""
    widths: Counter[int] = Counter()
    for panel in dashboard["panels"]:
        widths[panel["gridPos"]["y"] + panel["gridPos"]["h"]] += panel["gridPos"]["w"]
    yield from sorted(widths.items())


def _panels(dashboard: Dashboard) -> Iterator[str]:
    for panel in panels(dashboard):
        for problem in _of_panel(panel):
            yield f"{panel['title'] or panel['id']}: {problem}"


def _of_panel(panel: Panel) -> Iterator[str]:
    if not panel.get("title"):
        yield "no title"
    if len(panel.get("description", "")) < _WORDY:
        yield "no description that says what to do"
    if not panel["fieldConfig"]["defaults"].get("unit"):
        yield "no unit"
    if not panel.get("targets"):
        yield "asks nothing"
    refs = [target.get("refId") for target in panel.get("targets", [])]
    if len(set(refs)) != len(refs) or None in refs:
        yield f"names of queries are not unique: {refs}"
    for part in (panel, *panel.get("targets", [])):
        if part.get("datasource", {}).get("uid") != "${datasource}":
            yield "does not ask the data source that is chosen"


def _queries(dashboard: Dashboard, metrics: Metrics) -> Iterator[str]:
    for query in asked(dashboard):
        for problem in _of_query(query, metrics):
            yield f"{query}: {problem}"


def _of_query(query: Asked, metrics: Metrics) -> Iterator[str]:
    if not query.legend:
        yield "no legend"
    known = {"instance", "job"}
    for found in _SELECTOR.finditer(_without_groups(query.expr)):
        name, matchers = found["name"], dict(_MATCHER.findall(found["matchers"] or ""))
        if name not in metrics:
            yield f"there is no metric {name}"
            continue
        metric = metrics[name]
        known |= metric.labels
        yield from _of_selector(name, metric, matchers)
        before = _without_groups(query.expr)[: found.start()]
        if metric.grows and name.startswith("bridge_deliveries") and "abs(" in query.expr:
            continue  # the law is about the counters themselves
        if metric.grows != bool(_GROWTH.search(before)):
            yield f"{name} {'is a counter and not' if metric.grows else 'is no counter and yet'} in rate or increase"
    grouped = {label.strip() for group in _GROUPING.findall(query.expr) for label in group.split(",")}
    for label in sorted((grouped | set(_LEGEND.findall(query.legend))) - known):
        yield f"no metric of it has the label {label}"
    lost = set(_LEGEND.findall(query.legend)) - grouped
    if grouped and "by (" in query.expr and lost:
        yield f"the legend names what the query sums up: {sorted(lost)}"


def _of_selector(name: str, metric: Metric, matchers: Mapping[str, str]) -> Iterator[str]:
    wanted = {"job": "$job", "instance": "$instance"}
    if "route" in metric.labels:
        wanted["route"] = "$route"
    for label, variable in wanted.items():
        if matchers.get(label) != variable:
            yield f"{name} is not asked for by {variable}"
    for label in sorted(matchers.keys() - wanted.keys() - metric.labels):
        yield f"{name} has no label {label}"


def _without_groups(expr: str) -> str:
    """Take away the names of labels, which could be taken for those of metrics."""
    return _GROUPING.sub(lambda group: " " * len(group[0]), expr)
