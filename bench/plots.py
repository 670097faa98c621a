"""Plots of what was measured, where matplotlib is installed; it comes with `./dev bench`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.report import Entry, results

OURS, THEIRS = "#1f6feb", "#b8c0cc"
NONE = "no plot: matplotlib is not installed"

Curve = Sequence[tuple[float, float]]


def _pyplot() -> Any:
    """Matplotlib without a screen, or None. By name, so that types are checked where it is not installed."""
    try:
        import_module("matplotlib").use("svg")
        return import_module("matplotlib.pyplot")
    except ImportError:
        return None


def roads(entries: Sequence[Entry], path: Path) -> str:
    """CPU time, latency and memory of everyone, a row of bars a road. Returns a sentence about the file."""
    found = results(entries)
    pyplot = _pyplot()
    if pyplot is None or not found:
        return NONE if pyplot is None else "no plot: nothing was measured"
    names = list(dict.fromkeys(result["road"] for result in found))
    columns = {"cpu_us_per_event": "CPU us an event", "p99_ms": "p99 ms", "rss_mb": "RSS MB"}
    figure, grid = pyplot.subplots(len(names), len(columns), figsize=(13, 2.2 * len(names)), squeeze=False)
    for axes, road in zip(grid, names, strict=True):
        own = [result for result in found if result["road"] == road][::-1]
        for each, (key, title) in zip(axes, columns.items(), strict=True):
            _bars(each, own, key)
            each.set_title(f"{road}: {title}", fontsize=9)
            if key != "cpu_us_per_event":
                each.set_yticklabels([])
    return _saved(pyplot, figure, path)


def _bars(axes: Any, own: Sequence[Mapping[str, Any]], key: str) -> None:
    values = [result[key] for result in own]
    low = [value - result["min"].get(key, value) for value, result in zip(values, own, strict=True)]
    high = [result["max"].get(key, value) - value for value, result in zip(values, own, strict=True)]
    colours = [OURS if result["program"].startswith("bridge") else THEIRS for result in own]
    whiskers = {"ecolor": "#444444", "elinewidth": 1}
    axes.barh([result["program"] for result in own], values, xerr=[low, high], color=colours, error_kw=whiskers)
    for place, value in enumerate(values):
        axes.annotate(f" {value:,.1f}", (value, place), va="center", fontsize=7)
    axes.margins(x=0.15)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def curves(panels: Mapping[str, Mapping[str, Curve]], x: str, path: Path) -> str:
    """Some curves over the same logarithmic axis, a panel a figure. Returns a sentence about the file."""
    pyplot = _pyplot()
    if pyplot is None:
        return NONE
    figure, grid = pyplot.subplots(1, len(panels), figsize=(4.5 * len(panels), 3.4), squeeze=False)
    for axes, (title, lines) in zip(grid[0], panels.items(), strict=True):
        for name, points in lines.items():
            axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=name)
        axes.set(xscale="log", xlabel=x, title=title, ylim=(0, None))
        axes.spines[["top", "right"]].set_visible(False)
        if len(lines) > 1:
            axes.legend(fontsize=7)
    return _saved(pyplot, figure, path)


def _saved(pyplot: Any, figure: Any, path: Path) -> str:
    figure.tight_layout()
    # Neither the date nor random names, so that the same figures make the same file.
    pyplot.rcParams["svg.hashsalt"] = "event-bridge"
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    pyplot.close(figure)
    if path.suffix == ".svg":
        path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")
    return f"plotted to {path}"
