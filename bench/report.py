"""What the comparison of all roads reports: a table for people, and objects for whoever reads them by program."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from bench.contestants import CONNECT, HAND_WRITTEN
from bench.figures import Latency, Run

YARDSTICKS = (HAND_WRITTEN, CONNECT)
SCHEMA = 1


@dataclass
class Entry:
    """All rounds of one program on one road."""

    road: str
    program: str
    runs: list[Run] = field(default_factory=list)
    latencies: list[Latency] = field(default_factory=list)
    rss: float = 0.0  # MB at most, with a long backlog

    def add(self, run: Run, latency: Latency) -> None:
        self.runs.append(run)
        self.latencies.append(latency)

    def figures(self) -> dict[str, list[float]]:
        """Each figure, round by round."""
        return {
            "cpu_us_per_event": [run.cpu for run in self.runs],
            "events_per_s": [run.rate for run in self.runs],
            "p50_ms": [latency.quantile(0.5) for latency in self.latencies],
            "p99_ms": [latency.quantile(0.99) for latency in self.latencies],
            "cpu_us_per_event_at_rate": [latency.cpu for latency in self.latencies],
            "events_per_request": [run.packing for run in self.runs],
            "start_s": [run.start for run in self.runs],
            "run_rss_mb": [run.peak for run in self.runs],
            "sink_busy": [run.sink_busy for run in self.runs],
        }

    def ratio(self, other: Entry) -> float:
        """How many times the CPU time of another: the median over the rounds that both did."""
        return median(run.cpu / its.cpu for run, its in zip(self.runs, other.runs, strict=False))


def as_json(about: dict[str, Any], extent: Any, entries: Sequence[Entry]) -> dict[str, Any]:
    """The medians by name, and beside them minimum, maximum and all rounds."""
    return {"schema": SCHEMA, **about, "extent": dataclasses.asdict(extent), "results": results(entries)}


def results(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """One object a road and program."""
    return [_result(entry, _ratios(entry, entries)) for entry in entries if entry.runs]


def _result(entry: Entry, ratios: dict[str, float]) -> dict[str, Any]:
    figures = entry.figures()
    return {
        "road": entry.road,
        "program": entry.program,
        **{name: round(median(values), 3) for name, values in figures.items()},
        "rss_mb": round(entry.rss or max(figures["run_rss_mb"]), 1),
        "ratio": {name: round(value, 3) for name, value in ratios.items()},
        "min": {name: round(min(values), 3) for name, values in figures.items()},
        "max": {name: round(max(values), 3) for name, values in figures.items()},
        "runs": {name: [round(value, 3) for value in values] for name, values in figures.items()},
    }


def _ratios(entry: Entry, entries: Sequence[Entry]) -> dict[str, float]:
    others = {other.program: other for other in entries if other.road == entry.road and other.runs}
    return {name: entry.ratio(others[name]) for name in YARDSTICKS if name in others}


HEADINGS = ("CPU us: min", "median", "max", "x hand", "x connect", "events/s", "p50 ms", "p99 ms", "RSS MB", "start s")


def as_text(entries: Sequence[Entry]) -> str:
    """A table a road; medians of the rounds unless a heading says otherwise."""
    lines: list[str] = []
    found = results(entries)
    for road in dict.fromkeys(result["road"] for result in found):
        lines += ["", f"{road:24}" + "".join(f"{heading:>11}" for heading in HEADINGS)]
        lines += [_line(result) for result in found if result["road"] == road]
    return "\n".join(lines).strip("\n")


def _line(result: dict[str, Any]) -> str:
    cells = [
        f"{result['min']['cpu_us_per_event']:.1f}",
        f"{result['cpu_us_per_event']:.1f}",
        f"{result['max']['cpu_us_per_event']:.1f}",
        *(f"{result['ratio'][name]:.2f}" if name in result["ratio"] else "-" for name in YARDSTICKS),
        f"{result['events_per_s']:,.0f}",
        f"{result['p50_ms']:.1f}",
        f"{result['p99_ms']:.1f}",
        f"{result['rss_mb']:.0f}",
        f"{result['start_s']:.2f}",
    ]
    return f"  {result['program']:22}" + "".join(f"{cell:>11}" for cell in cells)
