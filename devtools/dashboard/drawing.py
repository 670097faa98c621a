"""How each kind of panel is drawn, from what Prometheus answered to its queries."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from devtools.dashboard.reading import Panel
from devtools.dashboard.units import PALETTE, colour, shown, step_colour
from devtools.prometheus import Series

TEXT, FAINT, LINES = "#24292e", "#6a737d", "#e4e7eb"
SMALL = 7.5
TICKS = 4
CHARACTER = 5.4
"""Pixels of a letter of a legend, about."""


@dataclass(frozen=True, slots=True)
class Line:
    """One series under its legend."""

    name: str
    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]

    @property
    def last(self) -> float:
        """Its last value that is one."""
        return next((value for _, value in reversed(self.points) if not math.isnan(value)), math.nan)


@dataclass(frozen=True, slots=True)
class Canvas:
    """Where a panel is drawn, and the time it shows; `width` and `height` are pixels."""

    axes: Any
    width: float
    height: float
    begin: float
    end: float


def lines_of(panel: Panel, answers: Mapping[str, Sequence[Series]]) -> list[Line]:
    """What the queries of a panel found, by the names of its legend; `answers` are by `refId`."""
    found: list[Line] = []
    for target in panel["targets"]:
        for series in answers[target["refId"]]:
            name = re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda label: series.labels.get(label[1], ""), target["legendFormat"])  # noqa: B023  used at once
            found.append(Line(name, series.labels, series.points))
    return found


def draw(panel: Panel, lines: Sequence[Line], canvas: Canvas) -> None:
    """Draw a panel of any kind that the dashboard has."""
    if not lines:
        canvas.axes.text(0.5, 0.5, "No data", transform=canvas.axes.transAxes, ha="center", size=13, color=FAINT)
        _bare(canvas.axes)
        return
    single = panel["type"] == "stat" and len(panel["targets"]) == 1
    _KINDS["figure" if single else panel["type"]](panel, lines, canvas)


def _defaults(panel: Panel) -> dict[str, Any]:
    found: dict[str, Any] = panel["fieldConfig"]["defaults"]
    return found


def _steps(panel: Panel) -> list[dict[str, object]]:
    found: list[dict[str, object]] = _defaults(panel).get("thresholds", {}).get("steps", [])
    return found


def _words(panel: Panel, value: float) -> tuple[str, str]:
    """The text and the colour of a value."""
    defaults = _defaults(panel)
    for mapping in defaults.get("mappings", []):
        options = mapping["options"]
        if options["from"] <= value <= options["to"]:
            return options["result"]["text"], colour(options["result"]["color"])
    decimals = defaults.get("decimals")
    text = shown(value, defaults["unit"], None if decimals is None else int(decimals))
    return text, step_colour(value, _steps(panel))


def _figure(panel: Panel, lines: Sequence[Line], canvas: Canvas) -> None:
    axes, line = canvas.axes, lines[0]
    text, shade = _words(panel, line.last)
    axes.set_facecolor(shade)
    if panel["options"]["graphMode"] == "area":
        values = [0 if math.isnan(value) else value for _, value in line.points]
        axes.fill_between([moment for moment, _ in line.points], values, color="white", alpha=0.25, lw=0)
        axes.set_ylim(0, max(max(values) * 2.6, 1e-9))
        axes.set_xlim(canvas.begin, canvas.end)
    axes.text(
        0.5, 0.52, text, transform=axes.transAxes, ha="center", va="center", size=21, color="white", weight="bold"
    )
    _bare(axes)


def _figures(panel: Panel, lines: Sequence[Line], canvas: Canvas) -> None:
    for place, line in enumerate(lines):
        text, shade = _words(panel, line.last)
        height = 1 - (place + 0.5) / len(lines)
        canvas.axes.text(0.06, height, line.name, size=11, color=TEXT, va="center")
        canvas.axes.text(0.94, height, text, size=17, color=shade, va="center", ha="right", weight="bold")
    canvas.axes.set_ylim(0, 1)
    canvas.axes.set_xlim(0, 1)
    _bare(canvas.axes)


def _graph(panel: Panel, lines: Sequence[Line], canvas: Canvas) -> None:
    axes, custom = canvas.axes, _defaults(panel)["custom"]
    shades = _shades(panel, lines)
    stacked = custom.get("stacking", {}).get("mode") == "normal"
    bars = custom.get("drawStyle") == "bars"
    moments = sorted({moment for line in lines for moment, _ in line.points})
    floor = dict.fromkeys(moments, 0.0)
    for line, shade in zip(lines, shades, strict=True):
        if stacked or bars:
            own = dict(line.points)
            top = {moment: floor[moment] + _number(own.get(moment, 0.0)) for moment in moments}
            below = [floor[moment] for moment in moments]
            above = [top[moment] for moment in moments]
            axes.fill_between(moments, below, above, color=shade, alpha=0.75, lw=0, step="mid" if bars else None)
            floor = top
        else:
            values = [value for _, value in line.points]
            axes.plot([moment for moment, _ in line.points], values, color=shade, lw=1.4)
            axes.fill_between([moment for moment, _ in line.points], values, color=shade, alpha=0.08, lw=0)
    _scale(panel, lines, canvas, max(floor.values(), default=0.0))
    if custom.get("thresholdsStyle", {}).get("mode") == "dashed":
        for step in _steps(panel)[1:]:
            axes.axhline(float(str(step["value"])), color=colour(str(step["color"])), lw=0.9, ls=(0, (5, 4)))
    _legend([(line.name, shade) for line, shade in zip(lines, shades, strict=True)], canvas)


def _scale(panel: Panel, lines: Sequence[Line], canvas: Canvas, stacked: float) -> None:
    """Set the axes: from zero, with the units of the panel and the clock of the trial."""
    axes, unit = canvas.axes, _defaults(panel)["unit"]
    highest = max([_number(value) for line in lines for _, value in line.points] + [stacked, 0.0])
    axes.set_ylim(0, highest * 1.12 or 1)
    axes.set_xlim(canvas.begin, canvas.end)
    axes.yaxis.set_major_locator(_ticks(unit, highest))
    axes.yaxis.set_major_formatter(lambda value, _: shown(value, unit))
    axes.grid(color=LINES, lw=0.7)
    axes.set_axisbelow(True)
    _clock(canvas)


def _number(value: float) -> float:
    return 0.0 if math.isnan(value) or math.isinf(value) else value


def _heat(_: Panel, lines: Sequence[Line], canvas: Canvas) -> None:
    axes = canvas.axes
    rows = sorted(lines, key=lambda line: float(line.labels["le"]))
    moments = sorted({moment for line in rows for moment, _ in line.points})
    table = [[dict(line.points).get(moment, 0.0) for moment in moments] for line in rows]
    below = [[0.0] * len(moments), *table]
    cells = [
        [max(0.0, now - under) ** 0.5 for now, under in zip(row, beneath, strict=True)]
        for row, beneath in zip(table, below, strict=False)
    ]
    shades = [[math.nan if cell < 0.2 else cell for cell in row] for row in cells]  # noqa: PLR2004  next to nothing
    axes.pcolormesh(moments, range(len(rows)), shades, cmap="Blues", shading="nearest", vmin=-1)
    names = [shown(float(line.labels["le"]), "s") if line.labels["le"] != "+Inf" else "+Inf" for line in rows]
    axes.set_yticks(range(0, len(rows), 2), names[::2])
    axes.set_xlim(canvas.begin, canvas.end)
    axes.set_title("", loc="left")
    _clock(canvas)


def _states(panel: Panel, lines: Sequence[Line], canvas: Canvas) -> None:
    axes = canvas.axes
    for place, line in enumerate(reversed(lines)):
        for moment, value in line.points:
            axes.barh(place, 1.05, left=moment, height=0.78, color=_words(panel, value)[1], lw=0)
    axes.set_yticks(range(len(lines)), [line.name for line in reversed(lines)])
    axes.set_ylim(-0.6, len(lines) - 0.4)
    axes.set_xlim(canvas.begin, canvas.end)
    _clock(canvas)


def _lengths(panel: Panel, lines: Sequence[Line], canvas: Canvas) -> None:
    axes, ordered = canvas.axes, sorted((line for line in lines if line.points), key=lambda line: line.last)
    longest = max((line.last for line in ordered), default=1.0)
    for place, line in enumerate(ordered):
        text, shade = _words(panel, line.last)
        axes.barh(place, longest, color="#f1f3f5", height=0.7)
        axes.barh(place, line.last, color=shade, height=0.7)
        axes.text(longest * 1.02, place, text, va="center", size=10, color=shade, weight="bold")
    axes.set_yticks(range(len(ordered)), [line.name for line in ordered])
    axes.set_xlim(0, longest * 1.12)
    axes.set_xticks([])
    axes.tick_params(labelsize=9, length=0, colors=TEXT)
    axes.spines[:].set_visible(False)


def _table(panel: Panel, lines: Sequence[Line], canvas: Canvas) -> None:
    (transformation,) = panel["transformations"]
    columns = transformation["options"]["include"]["names"]
    for place, column in enumerate(columns):
        left = place / len(columns) + 0.02
        canvas.axes.text(left, 0.92, column, size=9, color="#1f6feb", weight="bold")
        for row, line in enumerate(lines):
            canvas.axes.text(left, 0.8 - row * 0.12, line.labels.get(column, ""), size=9, color=TEXT)
    canvas.axes.axhline(0.89, color=LINES)
    canvas.axes.set_ylim(0, 1)
    canvas.axes.set_xlim(0, 1)
    _bare(canvas.axes)


def _shades(panel: Panel, lines: Sequence[Line]) -> list[str]:
    own: dict[str, str] = {}
    for override in panel["fieldConfig"]["overrides"]:
        own[override["matcher"]["options"]] = colour(override["properties"][0]["value"]["fixedColor"])
    return [own.get(line.name, PALETTE[place % len(PALETTE)]) for place, line in enumerate(lines)]


def _legend(entries: Sequence[tuple[str, str]], canvas: Canvas) -> None:
    """Write the names under the graph, as many lines as it takes; room is there for three."""
    left, row = 0.0, 0
    for name, shade in entries:
        wide = len(name) * CHARACTER + 30
        if left and left + wide > canvas.width:
            left, row = 0.0, row + 1
        down = -(24 + 14 * row)
        where = {"xycoords": ("axes fraction"), "textcoords": "offset pixels", "annotation_clip": False}
        canvas.axes.annotate("━", (0, 0), (left, down), color=shade, size=9, va="top", weight="bold", **where)
        canvas.axes.annotate(name, (0, 0), (left + 15, down - 1), color=TEXT, size=SMALL, va="top", **where)
        left += wide


def _clock(canvas: Canvas) -> None:
    step = (canvas.end - canvas.begin) / TICKS
    moments = [canvas.begin + step * (number + 0.5) for number in range(TICKS)]
    texts = [datetime.fromtimestamp(moment, UTC).strftime("%H:%M:%S") for moment in moments]
    canvas.axes.set_xticks(moments, texts)
    canvas.axes.tick_params(labelsize=SMALL, length=0, colors=FAINT)
    canvas.axes.spines[:].set_visible(False)


def _ticks(unit: str, highest: float) -> Any:
    """Where the lines across are: at round numbers, of bytes at powers of two."""
    ticker = import_module("matplotlib.ticker")
    if unit == "bytes" and highest >= TICKS:
        return ticker.MultipleLocator(2.0 ** round(math.log2(highest / TICKS)))
    return ticker.MaxNLocator(nbins=5, min_n_ticks=2, steps=[1, 2, 2.5, 5, 10])


def _bare(axes: Any) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


_KINDS = {
    "figure": _figure,
    "stat": _figures,
    "timeseries": _graph,
    "heatmap": _heat,
    "state-timeline": _states,
    "bargauge": _lengths,
    "table": _table,
}
