"""
A picture of the dashboard, drawn from the answers of a Prometheus: `python -m devtools.dashboard --picture`.

It is no screenshot of Grafana. The panels lie where the dashboard puts them, with its titles, units, colours and
legends; fonts, and whatever Grafana decides for itself, are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from devtools.dashboard.drawing import FAINT, TEXT, Canvas, draw, lines_of
from devtools.dashboard.reading import Dashboard, Panel
from devtools.prometheus import Series

COLUMN, UNIT, GAP = 70, 37, 8  # pixels of a column and a row of the grid, and between panels
HEAD, FOOT = 64, 34  # pixels
DPI = 100
COLOURS = 256
"""As many are told apart; it makes the file a third."""
NOTE = "Drawn by this project's own script from what a real Prometheus answered. Not a screenshot of Grafana."
BACK = "#f4f5f5"
MARGINS = {"timeseries": (58, 52), "heatmap": (58, 24), "state-timeline": (178, 24), "bargauge": (150, 8)}
"""Pixels at the left of and below what is drawn, for names and numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All that was answered: by the title of the panel, and the `refId` of its query; and marks as (from, to)."""

    answers: Mapping[str, Mapping[str, Sequence[Series]]]
    marks: Sequence[tuple[float, float]]
    begin: float
    end: float


def paint(dashboard: Dashboard, seen: Seen, path: Path) -> None:
    """Write the picture as PNG. Raises ImportError without matplotlib, which comes with `./dev deploy-test`."""
    import_module("matplotlib").use("agg")
    pyplot = import_module("matplotlib.pyplot")
    bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in dashboard["panels"])
    width, height = 24 * COLUMN + 2 * GAP, bottom * UNIT + HEAD + FOOT
    figure = pyplot.figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=BACK)
    sheet = _Sheet(figure, width, height)
    _head(sheet, dashboard)
    for panel in dashboard["panels"]:
        _heading(sheet, panel) if panel["type"] == "row" else _one(sheet, panel, seen)
    sheet.write(GAP * 2, height - FOOT / 2, NOTE, size=10, color=FAINT)
    figure.savefig(path, dpi=DPI, facecolor=BACK)
    pyplot.close(figure)
    _shrink(path)


@dataclass(frozen=True, slots=True)
class _Sheet:
    """The figure, in pixels from its upper left corner."""

    figure: Any
    width: float
    height: float

    def axes(self, left: float, top: float, width: float, height: float) -> Any:
        low = 1 - (top + height) / self.height
        return self.figure.add_axes((left / self.width, low, width / self.width, height / self.height))

    def write(self, left: float, top: float, text: str, **look: Any) -> None:
        self.figure.text(left / self.width, 1 - top / self.height, text, **({"va": "center", "color": TEXT} | look))


def _head(sheet: _Sheet, dashboard: Dashboard) -> None:
    sheet.write(GAP * 2, 22, dashboard["title"], size=17, weight="bold")
    chips = [v["label"] + ":  " + _current(v) for v in dashboard["templating"]["list"] if v["type"] != "constant"]
    sheet.write(GAP * 2, 48, "      ".join(chips), size=10.5, color=FAINT)


def _current(variable: Mapping[str, Any]) -> str:
    return str(variable.get("current", {}).get("text", "Prometheus"))


def _heading(sheet: _Sheet, row: Panel) -> None:
    top = HEAD + row["gridPos"]["y"] * UNIT + UNIT / 2
    sheet.write(GAP * 2, top, f"▾  {row['title']}", size=13, weight="bold")


def _one(sheet: _Sheet, panel: Panel, seen: Seen) -> None:
    place = panel["gridPos"]
    left, top = GAP + place["x"] * COLUMN + GAP / 2, HEAD + place["y"] * UNIT + GAP / 2
    width, height = place["w"] * COLUMN - GAP, place["h"] * UNIT - GAP
    lines = lines_of(panel, seen.answers[panel["title"]])
    small = panel["type"] == "stat" and len(panel["targets"]) == 1
    card = sheet.axes(left, top, width, height)
    card.set_xticks([])
    card.set_yticks([])
    card.spines[:].set_color("#dfe2e6")
    sheet.write(left + 10, top + 15, panel["title"], size=10.5 if small else 11, weight="bold")
    beside, below = MARGINS.get(panel["type"], (0, 0))
    if small:
        inner = sheet.axes(left + 1, top + 28, width - 2, height - 29)
    else:
        inner = sheet.axes(left + 8 + beside, top + 32, width - 22 - beside, height - 40 - below)
    canvas = Canvas(inner, width - 30 - beside, height, seen.begin, seen.end)
    draw(panel, lines, canvas)
    if panel["type"] == "timeseries":
        for begin, end in seen.marks:
            inner.axvspan(begin, end, ymax=0.02, color="#f2495c", lw=0)
            inner.axvline(begin, color="#f2495c", lw=0.8, ls=(0, (2, 3)))


def _shrink(path: Path) -> None:
    image = import_module("PIL.Image").open(path).convert("RGB")
    image.quantize(COLOURS, dither=0).save(path, optimize=True)
