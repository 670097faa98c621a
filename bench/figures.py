"""The arithmetic of the figures: from what the sink noted to costs, rates and ratios."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement: the stretch between two marks, so that neither start nor end of the process is in it."""

    cpu: float  # microseconds an event, of the forwarding process and its children, all of their threads
    rate: float  # events a second
    packing: float  # events a request
    peak: float  # megabytes of memory at most, until the second mark; of several processes the sum
    sink_busy: float  # share of one core that the sink took
    start: float = 0.0  # seconds from the launch of the program to its first request


@dataclass(frozen=True, slots=True)
class Latency:
    """What events took that came at a steady rate, from their publishing to their arrival."""

    ms: list[float]
    cpu: float  # microseconds an event at that rate

    def quantile(self, share: float) -> float:
        return quantile(self.ms, share)


def run_of(report: Mapping[str, Any], launched: float | None = None) -> Run:
    """The figures between the first and the last mark of a sink's report; launched is in epoch seconds."""
    first, last = report["marks"][0], report["marks"][-1]
    spent = {name: last[name] - first[name] for name in ("events", "requests", "seconds", "cpu", "sink_cpu")}
    if spent["events"] <= 0 or spent["seconds"] <= 0:
        raise ValueError("the two marks fell into one request: measure more events")
    return Run(
        cpu=spent["cpu"] / spent["events"] * 1e6,
        rate=spent["events"] / spent["seconds"],
        packing=spent["events"] / spent["requests"],
        peak=report["peak"] / 1e6,
        sink_busy=spent["sink_cpu"] / spent["seconds"],
        start=report["begun"] - launched if launched else 0.0,
    )


def ratios(runs: Sequence[Run], yardstick: Sequence[Run]) -> tuple[float, float]:
    """How many times the CPU time of the yardstick: by the best runs of both, and by the medians."""
    ours, theirs = [run.cpu for run in runs], [run.cpu for run in yardstick]
    return min(ours) / min(theirs), median(ours) / median(theirs)


def gains(runs: Sequence[Run], yardstick: Sequence[Run]) -> list[float]:
    """How many times the events a second of the yardstick, round by round: a busy minute of the machine hits both."""
    return [run.rate / other.rate for run, other in zip(runs, yardstick, strict=True)]


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that so many of all values do not exceed (the nearest-rank definition)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


HEADINGS = ("CPU us", "median", "events/s", "best", "x CPU", "median", "a POST", "peak MB", "sink")


def table(title: str, runs: Mapping[str, Sequence[Run]], yardstick: str) -> str:
    """A table with one line a contestant: its best and its median run, and its ratios to the yardstick."""
    lines = [title, f"{'':15}" + "".join(f"{heading:>10}" for heading in HEADINGS)]
    for name, own in runs.items():
        by_best, by_median = ratios(own, runs[yardstick])
        cells = [
            f"{min(run.cpu for run in own):.1f}",
            f"{median(run.cpu for run in own):.1f}",
            f"{median(run.rate for run in own):,.0f}",
            f"{max(run.rate for run in own):,.0f}",
            f"{by_best:.2f}",
            f"{by_median:.2f}",
            f"{median(run.packing for run in own):.1f}",
            f"{max(run.peak for run in own):.0f}",
            f"{max(run.sink_busy for run in own):.0%}",
        ]
        lines.append(f"{name:15}" + "".join(f"{cell:>10}" for cell in cells))
    return "\n".join(lines)
