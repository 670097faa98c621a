"""
How cost grows: curves over events, room in flight, sizes, keys, and events that wait for their time.

    ./dev bench growth [--only events backlog flight ...] [--roads kafka-post ...] [--json FILE] [--full] [--upto N]

events    so many wait at the broker, all are brought to the sink: CPU time an event, rate, peak of memory
backlog   so many wait at the broker: peak of memory while the target is silent, and after ten seconds at work
flight    room for so many events in flight, with a target that takes 10 ms to answer: rate and CPU time
sizes     bytes a body: CPU time an event, rate, peak of memory
keys      so many in the embedded store ahead of a claim and a commit: CPU time, memory, disk, the next start
delayed   so many are held for an hour: CPU time of holding one, memory, and how late one is that is due in 5 s

Each point is the median of some runs of the bridge as shipped, but for `backlog` and `delayed`, which have one; what is
delayed comes on top of what was held before. --full goes to a million events and delays, and to ten million keys, and
takes an hour or more if nothing is chosen. `./dev bench tables FILE ...` puts the figures into the documentation.
"""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from bench import machine, plots, waiting
from bench.compare import LANES
from bench.contestants import bridge
from bench.course import Course
from bench.figures import Run
from bench.measuring import SinkProcess, running_sink
from bench.places import Place, Topic
from bench.road import VERSIONS, private_place

ROADS = ("rabbitmq-post", "kafka-post", "kafka-arrays")
OUT = machine.ROOT / ".cache" / "bench-growth.json"
SLOW_TARGET = 0.01  # seconds
WORKING = 10.0  # seconds in which memory may grow by what is delivered
ENOUGH = 1_000  # events that must be held for their CPU time to stand out of that of the start
BYTES = 200_000_000  # of bodies in a run, at most
MOST = 20_000  # events in a run, unless it is they that grow

Point = dict[str, Any]
Measure = Callable[[Place, SinkProcess, str], Iterable[Point]]


@dataclass(frozen=True, slots=True)
class Steps:
    """Where the curves have their points."""

    runs: int = 3
    events: tuple[int, ...] = (1_000, 10_000, 100_000)
    backlog: tuple[int, ...] = (1_000, 10_000, 100_000)
    flight: tuple[int, ...] = (1, 4, 16, 64, 200, 500)
    sizes: tuple[int, ...] = (100, 1_024, 4_096, 16_384, 65_536, 262_144)
    keys: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    delayed: tuple[int, ...] = (1, 1_000, 10_000)

    def upto(self, most: int) -> Steps:
        """Without those that are made of more events or keys than that."""

        def kept(steps: tuple[int, ...]) -> tuple[int, ...]:
            return tuple(step for step in steps if step <= most)

        return replace(
            self,
            events=kept(self.events),
            backlog=kept(self.backlog),
            keys=kept(self.keys),
            delayed=kept(self.delayed),
        )


FULL = Steps(
    events=(1_000, 10_000, 100_000, 1_000_000),
    backlog=(1_000, 10_000, 100_000, 1_000_000),
    keys=(10_000, 100_000, 1_000_000, 3_000_000, 10_000_000),
    delayed=(1, 1_000, 10_000, 100_000, 1_000_000),
)


@dataclass
class Growth:
    """All curves, and what was heard meanwhile."""

    steps: Steps
    roads: Sequence[str] = ROADS
    complaints: list[str] = field(default_factory=list)

    def events(self) -> list[Point]:
        def measure(place: Place, sink: SinkProcess, road: str) -> Iterable[Point]:
            for count in self.steps.events:
                margin = count // 10
                yield self._point(Course(place, sink, count - 2 * margin, margin), road, count, {})

        return over(self.roads, measure)

    def backlog(self) -> list[Point]:
        def measure(place: Place, sink: SinkProcess, road: str) -> Iterable[Point]:
            course = Course(place, sink, 0, 0)
            for count in self.steps.backlog:
                found = course.memory(LANES[road], bridge(place, {}), count, WORKING)
                figures = {"rss_silent_mb": found.silent, "rss_mb": found.working, "delivered": found.delivered}
                yield {"road": road, "x": count, **figures}
            self.complaints += course.complaints

        return over(self.roads, measure)

    def flight(self) -> list[Point]:
        def measure(place: Place, sink: SinkProcess, road: str) -> Iterable[Point]:
            for room in self.steps.flight:
                count = min(MOST, max(500, room * 150))
                course = Course(place, sink, count, count // 10, wait=SLOW_TARGET)
                yield self._point(course, road, room, roomy(place, room))

        return over([road for road in self.roads if not LANES[road].arrays], measure)

    def sizes(self) -> list[Point]:
        def measure(place: Place, sink: SinkProcess, road: str) -> Iterable[Point]:
            for size in self.steps.sizes:
                count = min(MOST, BYTES // size)
                yield self._point(Course(place, sink, count, count // 10, size=size), road, size, {})

        return over(self.roads, measure)

    def keys(self) -> list[Point]:
        points: list[Point] = []
        for count in self.steps.keys:
            command = [sys.executable, "-m", "bench.keys", str(count)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            points.append(_said({"road": "store", "x": count, **json.loads(done.stdout)}))
        return points

    def delayed(self) -> list[Point]:
        def measure(place: Place, sink: SinkProcess, road: str) -> Iterable[Point]:
            idle = waiting.measure(place, sink, LANES[road], 0)  # which also makes what holds delays at the broker
            for count in self.steps.delayed:
                figures = waiting.measure(place, sink, LANES[road], count)
                self.complaints += figures.complaints
                held = {"cpu_us_per_event": (figures.cpu - idle.cpu) / count * 1e6} if count >= ENOUGH else {}
                yield {"road": road, "x": count, **held, "rss_mb": figures.peak, "late_ms": figures.late}

        return over([road for road in self.roads if not LANES[road].arrays], measure)

    def _point(self, course: Course, road: str, x: int, more: Point) -> Point:
        start = bridge(course.place, more)
        runs = [course.measure(LANES[road], start) for _ in range(self.steps.runs)]
        self.complaints += course.complaints
        return {"road": road, "x": x, **medians(runs)}


def roomy(place: Place, room: int) -> dict[str, Any]:
    """Settings for so many events in flight: in the process, over HTTP, and off a broker that counts deliveries."""
    settings = {"limits": {"max_in_flight": room}, "target": {"http": {"concurrency": room}}}
    return settings | ({"source": {"prefetch": room}} if place.broker == "rabbitmq" else {})


def medians(runs: Sequence[Run]) -> dict[str, float]:
    return {
        "cpu_us_per_event": median(run.cpu for run in runs),
        "events_per_s": median(run.rate for run in runs),
        "rss_mb": median(run.peak for run in runs),
    }


def over(roads: Sequence[str], measure: Measure) -> list[Point]:
    """The points of all roads, of which those that begin at one broker share it."""
    points: list[Point] = []
    for broker, version in VERSIONS.items():
        chosen = [road for road in roads if (LANES[road] in Topic.lanes) == (broker == "kafka")]
        if chosen:
            with private_place(broker, version) as place, running_sink() as sink:
                # So that what is made once at the broker, and what is said of its first moments, is in no figure.
                Course(place, sink, 200, 100).measure(LANES[chosen[0]], bridge(place, {}))
                points += [_said(point) for road in chosen for point in measure(place, sink, road)]
    return points


def _said(point: Point) -> Point:
    figures = ", ".join(f"{name} {value:,.2f}" for name, value in point.items() if name not in {"road", "x"})
    print(f"{point['road']}  {point['x']:>10,}  {figures}", flush=True)
    return point


LABELS = {
    "events": "events that wait",
    "backlog": "events that wait at the broker",
    "flight": "events in flight",
    "sizes": "bytes a body",
    "keys": "keys stored",
    "delayed": "events held",
}


def panels(points: Sequence[Point]) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """By figure and road, the curve."""
    found: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for point in points:
        for name, value in point.items():
            if name not in {"road", "x"}:
                found.setdefault(name, {}).setdefault(point["road"], []).append((point["x"], value))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=tuple(LABELS), default=list(LABELS), help="these curves")
    parser.add_argument("--roads", nargs="+", choices=tuple(LANES), default=ROADS, help="on these roads")
    parser.add_argument("--runs", type=int, default=Steps().runs, help="a point is the median of so many")
    parser.add_argument("--full", action="store_true", help="to the ends of the curves")
    parser.add_argument("--upto", type=int, default=FULL.keys[-1], help="no more events or keys than that")
    parser.add_argument("--json", type=Path, default=OUT, help="the file to write to, a plot a curve beside it")
    chosen = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # of a topic's first moments, which it gets over
    about = machine.as_json(VERSIONS)
    print(machine.facts(*(f"{name} {found}" for name, found in VERSIONS.items())), flush=True)
    steps = replace(FULL if chosen.full else Steps(), runs=chosen.runs).upto(chosen.upto)
    growth = Growth(steps, chosen.roads)
    curves: dict[str, list[Point]] = {}
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    for name in chosen.only:
        print(f"\n{LABELS[name]}")
        began = time.monotonic()
        curves[name] = getattr(growth, name)()
        chosen.json.write_text(json.dumps({**about, "runs": chosen.runs, "curves": curves}, indent=1) + "\n")
        print(plots.curves(panels(curves[name]), LABELS[name], chosen.json.with_name(f"{chosen.json.stem}-{name}.svg")))
        print(f"{time.monotonic() - began:.0f} s")
    print(f"\nwritten to {chosen.json}; load at the end {machine.load()}")
    if growth.complaints:
        raise SystemExit("\n".join(("there were complaints:", *growth.complaints)))


if __name__ == "__main__":
    main()
