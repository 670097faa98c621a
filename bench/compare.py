"""
All roads, ours beside its peers: what an event costs, how many go a second, how long one takes, how much memory it is.

    ./dev bench [--json FILE] [--quick | --full] [--only kafka arrays] [--programs bridge hand-written] [--build-peers]

A road begins at a broker that nobody else uses and ends at a sink in a process of its own. On it everyone takes part
who is here, each as a program of its own, in turn, several rounds. A round of one contestant:

1. All events wait at the broker when it is launched. CPU time, by the kernel's books and children included, is that
   between two marks near the first and the last event. Every event must come, and be settled at the broker.
2. The same process then gets events at a steady rate. An event's latency is from the moment ahead of its publishing to
   that at which the sink has read it, both by the clock of this machine (CLOCK_REALTIME).

At last each is launched once more with a long backlog, and its peak of memory is read while it takes of it. Complaints
in a log are told at once, and those of the bridge fail the run, at its end. It runs as shipped, durable dedup included.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench import binaries, machine, plots
from bench.contestants import BRIDGE, CONNECT, HAND_WRITTEN, LINGERING, OURS, Start, contestants
from bench.course import Course
from bench.figures import Latency, Run
from bench.measuring import SinkProcess, running_sink
from bench.places import Lane, Place, Queue, Topic
from bench.report import Entry, as_json, as_text
from bench.road import VERSIONS, private_place
from devtools.processes import CommandError

MARGIN = 1_000
LANES = {lane.road: lane for lane in (*Queue.lanes, *Topic.lanes)}
EVENTS = {"rabbitmq-post": 10_000, "rabbitmq-arrays": 24_000, "kafka-post": 20_000, "kafka-arrays": 100_000}
"""Of each road how many are measured in a run: some seconds for the fast, not too many for the slow."""

FAILURES = (AssertionError, TimeoutError, ValueError, OSError, CommandError)
OUT = machine.ROOT / ".cache" / "bench.json"


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured."""

    rounds: int = 3
    share: float = 1.0  # of EVENTS
    margin: int = MARGIN  # events before and behind them, which are not measured
    rate: float = 500.0  # events a second while latency is measured
    seconds: float = 3.0  # for so long
    backlog: int = 120_000  # events that wait while memory is measured
    sampling: float = 4.0  # seconds for that, at most
    roads: tuple[str, ...] = tuple(EVENTS)
    programs: tuple[str, ...] = ()  # all, unless some are named


QUICK = Extent(
    rounds=1, share=0.3, seconds=2.0, backlog=30_000, sampling=2.0, programs=(BRIDGE, LINGERING, HAND_WRITTEN, CONNECT)
)
FULL = Extent(rounds=5, share=2.0, seconds=10.0, backlog=1_000_000, sampling=20.0, roads=tuple(LANES))


@dataclass
class Trials:
    """What was measured of everyone so far; who fails once does not take part again on that road."""

    entries: dict[tuple[str, str], Entry] = field(default_factory=dict)
    failures: dict[tuple[str, str], str] = field(default_factory=dict)
    complaints: list[tuple[str, str, str]] = field(default_factory=list)  # road, program, what was heard

    def faults(self) -> list[str]:
        """What must not be: a bridge that failed or complained. What peers do is told, and no more."""
        heard = [(*where, why) for where, why in self.failures.items()] + self.complaints
        return [f"{road}, {program}: {why}" for road, program, why in heard if program in OURS]

    def troubles(self) -> dict[str, list[dict[str, str]]]:
        failures = [(*where, why) for where, why in self.failures.items()]
        return {
            kind: [{"road": road, "program": program, "told": told} for road, program, told in heard]
            for kind, heard in {"failures": failures, "complaints": self.complaints}.items()
        }

    def entry(self, road: str, program: str) -> Entry:
        return self.entries.setdefault((road, program), Entry(road, program))


@dataclass(frozen=True, slots=True)
class Meeting:
    """Everyone who takes part on the roads from one broker."""

    place: Place
    sink: SinkProcess
    extent: Extent
    trials: Trials

    def course(self, lane: Lane) -> Course:
        events = int(EVENTS[lane.road.replace("-classic", "")] * self.extent.share)
        return Course(self.place, self.sink, events, self.extent.margin)

    def warm(self, lane: Lane) -> None:
        """Let the bridge make what it keeps at the broker, once for all rounds; nothing of it is measured."""
        course = Course(self.place, self.sink, 200, 100)
        course.measure(lane, contestants(self.place, arrays=lane.arrays)[BRIDGE])

    def go(self, lanes: list[Lane]) -> None:
        courses = [(lane, self.course(lane)) for lane in lanes]
        for number in range(self.extent.rounds):
            for lane, course in courses:
                for program, start in self._present(lane):
                    self._round(course, lane, program, start, f"{number + 1}/{self.extent.rounds}")
        for lane, course in courses:
            for program, start in self._present(lane):
                self._backlog(course, lane, program, start)

    def _present(self, lane: Lane) -> Iterator[tuple[str, Start]]:
        for program, start in contestants(self.place, arrays=lane.arrays).items():
            if program in (self.extent.programs or (program,)) and (lane.road, program) not in self.trials.failures:
                yield program, start

    def _round(self, course: Course, lane: Lane, program: str, start: Start, title: str) -> None:
        try:
            run, latency = course.measure_twice(lane, start, self.extent.rate, self.extent.seconds)
        except FAILURES as failure:
            self._failed(lane, program, failure)
            return
        finally:
            self._hear(course, lane, program)
        self.trials.entry(lane.road, program).add(run, latency)
        _say(title, lane, program, run, latency)

    def _backlog(self, course: Course, lane: Lane, program: str, start: Start) -> None:
        try:
            peak = course.peak(lane, start, self.extent.backlog, self.extent.sampling)
        except FAILURES as failure:
            self._failed(lane, program, failure)
            return
        finally:
            self._hear(course, lane, program)
        self.trials.entry(lane.road, program).rss = peak
        print(f"{self.extent.backlog:,} wait  {lane.road}  {program}: {peak:.0f} MB", flush=True)

    def _hear(self, course: Course, lane: Lane, program: str) -> None:
        for complaint in course.complaints:
            print(f"COMPLAINTS  {lane.road}  {program}: {complaint}", flush=True)
            self.trials.complaints.append((lane.road, program, complaint))
        course.complaints.clear()

    def _failed(self, lane: Lane, program: str, failure: Exception) -> None:
        told = "\n".join((str(failure), *getattr(failure, "__notes__", ())))
        self.trials.failures[lane.road, program] = told
        print(f"FAILED  {lane.road}  {program}: {told}", flush=True)


def _say(title: str, lane: Lane, program: str, run: Run, latency: Latency) -> None:
    waits = f"p50 {latency.quantile(0.5):.1f} ms, p99 {latency.quantile(0.99):.1f} ms"
    print(f"{title}  {lane.road}  {program}: {run.cpu:.1f} us, {run.rate:,.0f}/s, {waits}", flush=True)


def compare(extent: Extent) -> Trials:
    """Measure all of it, broker by broker."""
    trials = Trials()
    lanes: dict[str, list[Lane]] = defaultdict(list)
    for road in extent.roads:
        lanes["kafka" if LANES[road] in Topic.lanes else "rabbitmq"].append(LANES[road])
    for broker, chosen in lanes.items():
        with private_place(broker, VERSIONS[broker]) as place, running_sink() as sink:
            meeting = Meeting(place, sink, extent, trials)
            meeting.warm(chosen[0])
            meeting.go(chosen)
    return trials


def _chosen() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=OUT, help="the file to write it all to, a plot beside it")
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--quick", action="store_const", dest="extent", const=QUICK, help="one round, within minutes")
    extent.add_argument("--full", action="store_const", dest="extent", const=FULL, help="a backlog of a million")
    parser.add_argument("--rounds", type=int, help="runs of each contestant on each road")
    parser.add_argument("--only", nargs="+", default=[], help=f"parts of the names of roads: {', '.join(LANES)}")
    parser.add_argument("--programs", nargs="+", default=[], help="only these, by their names in the table")
    parser.add_argument("--build-peers", action="store_true", help="build the peers that can be built, first")
    parser.set_defaults(extent=Extent())
    return parser.parse_args()


def _extent(chosen: argparse.Namespace) -> Extent:
    extent: Extent = chosen.extent
    wanted = (road for road in LANES if any(part in road for part in chosen.only))
    roads = tuple(wanted) if chosen.only else extent.roads
    if not roads:
        raise SystemExit(f"no road has {' or '.join(chosen.only)} in its name: there are {', '.join(LANES)}")
    programs = tuple(chosen.programs) or extent.programs
    return replace(extent, roads=roads, programs=programs, rounds=chosen.rounds or extent.rounds)


def main() -> None:
    chosen = _chosen()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # of a topic's first moments, which it gets over
    if chosen.build_peers:
        binaries.build()
    extent = _extent(chosen)
    versions = VERSIONS | {name: found for name in binaries.NAMES if (found := binaries.version(name))}
    about = machine.as_json(versions)
    print(machine.facts(*(f"{name} {found}" for name, found in versions.items())), flush=True)
    for peer, cure in binaries.absent().items():
        print(f"{peer}: {cure}")
    trials = compare(extent)
    entries = [trials.entries[key] for key in sorted(trials.entries, key=lambda key: extent.roads.index(key[0]))]
    print("\n" + as_text(entries) + f"\n\nload at the end {machine.load()}")
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    written = as_json(about, extent, entries) | trials.troubles() | {"absent": binaries.absent()}
    chosen.json.write_text(json.dumps(written, indent=1) + "\n")
    print(f"written to {chosen.json}; {plots.roads(entries, chosen.json.with_suffix('.svg'))}")
    if faults := trials.faults():
        raise SystemExit("\n".join(("not everything went well:", *faults)))
