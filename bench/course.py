"""A course: a place at a broker and a sink, between which contestants bring events, watched for what that takes."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.books import cpu_seconds, family, peak_bytes
from bench.contestants import Start, path_of
from bench.events import SIZE, event_id
from bench.figures import Latency, Run, run_of
from bench.measuring import SinkProcess, complaints, program
from bench.peers.job import Job
from bench.places import Lane, Place
from devtools.processes import wait_until
from devtools.scratch import folder

SETTLING = 30.0  # seconds within which everything must be settled after the last event came
SILENT = 5.0  # seconds for which the target says nothing while memory is read; a request may take longer
LOADED = 4.0  # of them, after which all that may be in flight is


@dataclass(frozen=True, slots=True)
class Memory:
    """What a bridge has at most in MB with much waiting for it."""

    silent: float  # while the target answers nobody, so that all that may be in flight is
    working: float  # and after some seconds at work
    delivered: int  # by then: their keys are remembered


@dataclass
class Course:
    """A place at a broker, a sink, and how many events: so many to measure, and some before and behind them."""

    place: Place
    sink: SinkProcess
    events: int
    margin: int
    size: int = SIZE  # bytes an event
    wait: float = 0.0  # seconds that the sink takes to answer
    complaints: list[str] = field(default_factory=list)  # of all contestants so far
    watcher: Callable[[int], object] | None = None  # told the process id of each contestant
    _bodies: dict[bool, list[bytes]] = field(default_factory=dict, repr=False)

    @property
    def total(self) -> int:
        return self.events + 2 * self.margin

    def measure(self, lane: Lane, start: Start) -> Run:
        """Let one contestant do one lane. Raises when an event is missing or was not settled."""
        with self._taking_part(lane, start, self.total) as (child, launched):
            return self._cost(child, launched)

    def measure_twice(self, lane: Lane, start: Start, rate: float, seconds: float) -> tuple[Run, Latency]:
        """The cost with all events waiting, and then, in the same process, the latency at so many events a second."""
        with self._taking_part(lane, start, self.total) as (child, launched):
            return self._cost(child, launched), self._latency(lane, child, rate, seconds)

    def peak(self, lane: Lane, start: Start, waiting: int, seconds: float) -> float:
        """The most memory in MB with so many events waiting, within the first seconds of taking them."""
        with self._taking_part(lane, start, waiting) as (child, launched):
            while self.sink.count() < waiting // 5 and time.time() < launched + seconds:
                time.sleep(0.1)
            if not self.sink.count():
                self.sink.wait_for(1, child)
            return sum(map(peak_bytes, family(child.pid))) / 1e6

    def memory(self, lane: Lane, start: Start, waiting: int, seconds: float) -> Memory:
        """The most memory with so many waiting, at a standstill and then for so many seconds at work."""
        with self._taking_part(lane, start, waiting) as (child, _):
            self.sink.watch(child.pid, [], SILENT)
            self.sink.wait_for(1, child)
            time.sleep(LOADED)
            silent = sum(map(peak_bytes, family(child.pid))) / 1e6
            flown = self.sink.count()
            self.sink.watch(child.pid, [])
            ends = time.monotonic() + SILENT + seconds
            while (came := self.sink.count()) < waiting - flown and time.monotonic() < ends:
                time.sleep(0.1)
            return Memory(silent, sum(map(peak_bytes, family(child.pid))) / 1e6, flown + came)

    def _cost(self, child: subprocess.Popen[bytes], launched: float) -> Run:
        # It needs far longer to connect than this takes.
        self.sink.watch(child.pid, [self.margin, self.margin + self.events], self.wait)
        self._arrived(child, self.total)
        return run_of(self.sink.report(), launched)

    def _latency(self, lane: Lane, child: subprocess.Popen[bytes], rate: float, seconds: float) -> Latency:
        numbers = range(self.total, self.total + int(rate * seconds))
        bodies = [lane.event(number, self.size) for number in numbers]
        self.sink.watch(child.pid, [])
        before = sum(map(cpu_seconds, family(child.pid)))
        sent = self.place.publish(bodies, lambda number: number / rate)
        self._arrived(child, len(bodies))
        spent = sum(map(cpu_seconds, family(child.pid))) - before
        arrivals = self.sink.arrivals()
        came = [arrivals[event_id(number)] for number in numbers]
        return Latency(
            ms=[(there - out) * 1000 for out, there in zip(sent, came, strict=True)],
            cpu=spent / len(bodies) * 1e6,
        )

    def _arrived(self, child: subprocess.Popen[bytes], events: int) -> None:
        """Wait until so many came and all are settled. Raises AssertionError, TimeoutError."""
        self.sink.wait_for(events, child)
        wait_until(self.place.settled, within=SETTLING, what=f"every delivery of {events} events is settled")
        if (distinct := self.sink.report()["distinct"]) != events:
            raise AssertionError(f"{distinct} of {events} events came")

    @contextmanager
    def _taking_part(self, lane: Lane, start: Start, waiting: int) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
        """A contestant at work, with so many events waiting for it; and when it was launched, in epoch seconds."""
        place = self.place
        place.fill(lane.kind, self._first(lane, waiting))
        home = folder("bench-road")
        target = self.sink.url + path_of(arrays=lane.arrays)
        job = Job(place.address, place.name, target, lane.arrays, place.group)
        command = start(job, home)
        self.sink.watch(0, [])
        try:
            launched = time.time()
            with program(command, home / "log") as child:
                if self.watcher:
                    self.watcher(child.pid)
                yield child, launched
                found = complaints(home / "log")  # before it is told to end, which some complain of
            if found:
                self.complaints.append(f"{len(found)} such as {found[-1][:400]}")
        finally:
            place.clear()

    def _first(self, lane: Lane, count: int) -> list[bytes]:
        made = self._bodies.setdefault(lane.arrays, [])
        made += [lane.event(number, self.size) for number in range(len(made), count)]
        return made[:count]
