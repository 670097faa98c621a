"""The kinds of panels, all in one look: title, what to do, unit, queries with legends, thresholds, a runbook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from grafana_foundation_sdk.builders import bargauge, heatmap, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import prometheus as queries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common, dashboard, prometheus
from grafana_foundation_sdk.models import heatmap as heatmaps

DATASOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")
RUNBOOKS = "${runbooks}"

GREEN, YELLOW, ORANGE, RED, BLUE, PURPLE, GREY = "green", "yellow", "orange", "red", "blue", "purple", "#8e8e8e"

COLOURS = {
    "result": {
        "accepted": GREEN,
        "duplicate": BLUE,
        "scheduled": PURPLE,
        "retried": ORANGE,
        "deferred": YELLOW,
        "cancelled": "#705da0",
        "filtered": GREY,
        "control": "#6ed0e0",
        "poison": "dark-red",
        "dead": RED,
        "returned": "#b877d9",
        "parked": "#8ab8ff",
    },
    "outcome": {"accepted": GREEN, "retryable": ORANGE, "rejected": RED, "misconfigured": "dark-red", "unsent": GREY},
    "kind": {
        "poison": "dark-red",
        "rejected": RED,
        "exhausted": ORANGE,
        "expired": YELLOW,
        "stuck": PURPLE,
        "too_late": BLUE,
        "conflict": GREY,
    },
    "": {"p50": GREEN, "p90": YELLOW, "p99": RED},
}
"""What a value of a label is drawn in, wherever it is; and the quantiles, which are of no label."""

Steps = Sequence[tuple[float, str]]
"""From which value on which colour; below the first one, green."""

ANY: Steps = ((1, RED),)
"""One is one too many."""

Query = queries.Dataquery
Values = Mapping[tuple[float, float], tuple[str, str]]
"""A range of values, both ends included, to its text and colour."""

Panels = list[Builder[dashboard.Panel]]

P = TypeVar("P", stat.Panel, timeseries.Panel, heatmap.Panel, statetimeline.Panel, table.Panel, bargauge.Panel)


def ask(expr: str, legend: str) -> Query:
    """A query over the time that is looked at."""
    return Query().expr(expr).legend_format(legend).range()


def ask_with_traces(expr: str, legend: str) -> Query:
    """The same of a histogram, with the traces that its buckets show: exemplars."""
    return ask(expr, legend).exemplar(exemplar=True)


def ask_now(expr: str, legend: str) -> Query:
    """A query for the last moment of the time that is looked at."""
    return Query().expr(expr).legend_format(legend).instant()


def figure(
    title: str,
    text: str,
    query: Query,
    *,
    unit: str,
    steps: Steps = (),
    values: Values | None = None,
    decimals: int | None = None,
    runbook: str = "",
) -> stat.Panel:
    """One figure, large, on the colour of its step."""
    panel = _common(stat.Panel(), title, text, [query], unit=unit, runbook=runbook).span(3).height(4)
    panel.thresholds(_thresholds(steps)).mappings(_mappings(values or {}))
    panel.color_mode(common.BigValueColorMode.BACKGROUND).text_mode(common.BigValueTextMode.VALUE)
    panel.graph_mode(common.BigValueGraphMode.AREA if values is None else common.BigValueGraphMode.NONE)
    panel.reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
    return panel if decimals is None else panel.decimals(decimals)


def figures(title: str, text: str, *asked: Query, unit: str, steps: Steps, runbook: str = "") -> stat.Panel:
    """Several figures under their names, each coloured by itself."""
    panel = _common(stat.Panel(), title, text, asked, unit=unit, runbook=runbook).thresholds(_thresholds(steps))
    panel.color_mode(common.BigValueColorMode.VALUE).text_mode(common.BigValueTextMode.VALUE_AND_NAME)
    panel.graph_mode(common.BigValueGraphMode.NONE).orientation(common.VizOrientation.HORIZONTAL)
    return panel.reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))


def graph(
    title: str,
    text: str,
    *asked: Query,
    unit: str,
    steps: Steps = (),
    stacked: bool = False,
    bars: bool = False,
    runbook: str = "",
) -> timeseries.Panel:
    """Lines, or areas one upon the other; bars for what happens now and then. `steps` are lines across."""
    panel = _common(timeseries.Panel(), title, text, asked, unit=unit, runbook=runbook)
    panel.min(0).line_width(1.5).show_points(common.VisibilityMode.NEVER).fill_opacity(60 if stacked or bars else 8)
    panel.legend(
        common_builders.VizLegendOptions()
        .display_mode(common.LegendDisplayMode.LIST)
        .placement(common.LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    panel.tooltip(
        common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
    )
    if stacked:
        panel.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    if bars:
        panel.draw_style(common.GraphDrawStyle.BARS)
    if steps:
        panel.thresholds(_thresholds(steps))
        style = common.GraphTresholdsStyleMode.DASHED
        panel.thresholds_style(common_builders.GraphThresholdsStyleConfig().mode(style))
    for name, colour in _colours(asked):
        panel.override_by_name(name, [_fixed(colour)])
    return panel


def heat(title: str, text: str, buckets: str, *, unit: str, runbook: str = "") -> heatmap.Panel:
    """How many fell into each bucket of a histogram, over time; `buckets` is a query by `le`."""
    query = ask_with_traces(buckets, "{{le}}").format(prometheus.PromQueryFormat.HEATMAP)
    panel = _common(heatmap.Panel(), title, text, [query], unit=unit, runbook=runbook)
    panel.calculate(False).cell_gap(1).show_legend().show_tooltip()
    panel.y_axis(heatmap.YAxisConfig().unit(unit).axis_placement(common.AxisPlacement.LEFT))
    return panel.color(
        heatmap.HeatmapColorOptions()
        .mode(heatmaps.HeatmapColorMode.SCHEME)
        .scheme("Blues")
        .scale(heatmaps.HeatmapColorScale.EXPONENTIAL)
        .exponent(0.5)
        .steps(64)
    )


def states(title: str, text: str, *asked: Query, values: Values, runbook: str = "") -> statetimeline.Panel:
    """A line for each series, coloured by its state."""
    panel = _common(statetimeline.Panel(), title, text, asked, unit="none", runbook=runbook)
    panel.mappings(_mappings(values)).thresholds(_thresholds(ANY)).merge_values(True)
    panel.show_value(common.VisibilityMode.AUTO).row_height(0.85).fill_opacity(80)
    hidden = common_builders.VizLegendOptions().show_legend(False).display_mode(common.LegendDisplayMode.LIST)
    return panel.legend(hidden.placement(common.LegendPlacement.BOTTOM))


def lengths(title: str, text: str, query: Query, *, unit: str, steps: Steps, runbook: str = "") -> bargauge.Panel:
    """A bar for each series, as long as its last value."""
    panel = _common(bargauge.Panel(), title, text, [query], unit=unit, runbook=runbook)
    panel.thresholds(_thresholds(steps)).min(0).orientation(common.VizOrientation.HORIZONTAL).decimals(0)
    panel.display_mode(common.BarGaugeDisplayMode.BASIC).show_unfilled(True)
    return panel.reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))


def rows_of(title: str, text: str, query: Query, *columns: str, runbook: str = "") -> table.Panel:
    """A table of the labels of what a query finds."""
    query.format(prometheus.PromQueryFormat.TABLE)
    panel = _common(table.Panel(), title, text, [query], unit="none", runbook=runbook).show_header(True)
    options = {"include": {"names": list(columns)}}
    return panel.with_transformation(dashboard.DataTransformerConfig(id_val="filterFieldsByName", options=options))


def _common(panel: P, title: str, text: str, asked: Sequence[Query], *, unit: str, runbook: str) -> P:
    panel.title(title).description(text).datasource(DATASOURCE).unit(unit).span(8).height(8)
    for letter, query in zip("ABCDEFGH", asked, strict=False):
        panel.with_target(query.ref_id(letter).datasource(DATASOURCE))
    if runbook:
        panel.links([builders.DashboardLink("What to do").url(f"{RUNBOOKS}/{runbook}.md").target_blank(True)])
    return panel


def _legend(query: Query) -> str:
    return query.build().legend_format or ""


def _colours(asked: Sequence[Query]) -> Iterator[tuple[str, str]]:
    """The names among the legends that have a colour of their own."""
    for legend in map(_legend, asked):
        for label, colours in COLOURS.items():
            if legend == f"{{{{{label}}}}}":
                yield from colours.items()
            elif legend in colours:
                yield legend, colours[legend]


def _fixed(colour: str) -> dashboard.DynamicConfigValue:
    return dashboard.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})


def _thresholds(steps: Steps) -> Builder[dashboard.ThresholdsConfig]:
    all_steps = [dashboard.Threshold(None, GREEN), *(dashboard.Threshold(value, colour) for value, colour in steps)]
    return builders.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(all_steps)


def _mappings(values: Values) -> list[dashboard.ValueMapping]:
    return [
        dashboard.RangeMap(
            dashboard.DashboardRangeMapOptions(
                from_val=low, to=high, result=dashboard.ValueMappingResult(text=text, color=colour, index=index)
            )
        )
        for index, ((low, high), (text, colour)) in enumerate(values.items())
    ]
