"""
Where the CPU time of a road goes, by the modules of the bridge.

    ./dev bench profile [--road kafka-post] [--events 60000] [--raw FILE]

A sampling profiler (py-spy) looks at the bridge 250 times a second, from the first events on, while it works off a
backlog. Each sample counts for the innermost module of the bridge on the stack: `itself` where it was in that module's
own lines, `beneath` where that module had called a library. What has no bridge on its stack counts for the library.
C code is not seen, and counts for the Python that called it. Microseconds are the shares times the CPU time an event,
which was measured in a run without the profiler. Needs the right to look into another process: root, or ptrace.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bench import machine
from bench.compare import LANES, MARGIN
from bench.contestants import BRIDGE, LINGERING, contestants
from bench.course import Course
from bench.measuring import SinkProcess, running_sink
from bench.places import Topic
from bench.road import VERSIONS, private_place
from devtools.scratch import folder

PLACE = re.compile(r"\(([^()]+?)(?::\d+)?\)$")
LIBRARY = re.compile(r"(?:site-packages/|lib/python3\.\d+/)?([^/]+)")
WAITING = re.compile(r"(?:\b_worker|\._take|\._write_all|\bwait|\bget|\.select) \([^()]+\)$")
"""Where threads of ours, and an event loop, stand while they have nothing to do; py-spy takes some of that for work."""

PER_SECOND = 250


@dataclass
class Shares:
    """How many samples fell where."""

    itself: Counter[str] = field(default_factory=Counter)
    beneath: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return self.itself.total() + self.beneath.total()

    def table(self, cpu: float, rows: int = 25) -> str:
        """A line a module, dearest first; `cpu` is microseconds an event."""
        both = self.itself + self.beneath
        lines = [f"{'us':>8}{'share':>8}{'itself':>9}{'beneath':>9}"]
        for module, count in both.most_common(rows):
            itself, beneath = (counts[module] / self.total for counts in (self.itself, self.beneath))
            share = count / self.total
            lines.append(f"{cpu * share:8.2f}{share:8.1%}{itself:9.1%}{beneath:9.1%}  {module}")
        return "\n".join(lines)


def shares(lines: Iterable[str]) -> Shares:
    """Sum up what py-spy writes as `raw`: the frames from outside in, joined by semicolons, and how many samples."""
    found = Shares()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        if WAITING.search(stack):
            continue
        files = [match[1] for frame in stack.split(";") if (match := PLACE.search(frame))]
        own = [index for index, file in enumerate(files) if "bridge/" in file and "bridge/cli/" not in file]
        if own:
            module = "bridge/" + files[own[-1]].rpartition("bridge/")[2]
            counts = found.itself if own[-1] == len(files) - 1 else found.beneath
        else:
            module, counts = _library(files[-1] if files else "?"), found.itself
        counts[module] += int(count)
    return found


def _library(file: str) -> str:
    """The package that a file is of; py-spy leaves out where packages lie."""
    found = LIBRARY.match(file)
    return found[1].removesuffix(".py") if found else file


class Spy:
    """Looks at a process as soon as the first events have come, until it ends."""

    def __init__(self, sink: SinkProcess, raw: Path) -> None:
        self._sink, self._raw = sink, raw
        self._said = ""
        self._thread: threading.Thread | None = None

    def __call__(self, pid: int) -> None:
        self._thread = threading.Thread(target=self._look, args=(pid,), daemon=True)
        self._thread.start()

    def _look(self, pid: int) -> None:
        while self._sink.count() < MARGIN:
            time.sleep(0.02)
        command = [
            "record",
            "--rate",
            str(PER_SECOND),
            "--duration",
            "900",
            "--format",
            "raw",
            "--output",
            str(self._raw),
        ]
        done = subprocess.run([program(), *command, "--pid", str(pid)], capture_output=True, text=True, check=False)
        self._said = done.stderr[-500:]

    def shares(self) -> Shares:
        """What it saw. Raises SystemExit when it was not allowed to look, or had nothing to look at."""
        if self._thread is not None:
            self._thread.join(60)
        if not self._raw.exists() or not self._raw.stat().st_size:
            raise SystemExit(f"py-spy saw nothing; it needs the right to trace processes.\n{self._said}")
        return shares(self._raw.read_text().splitlines())


def program() -> str:
    found = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if found is None:
        raise SystemExit("py-spy is not installed; `./dev bench` installs it")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--road", choices=tuple(LANES), default="kafka-post")
    parser.add_argument("--program", choices=(BRIDGE, LINGERING), default=BRIDGE, help="the second is for arrays only")
    parser.add_argument("--events", type=int, default=60_000, help="how many are brought to the sink")
    parser.add_argument("--raw", type=Path, help="keep the samples in this file, for a flame graph for instance")
    chosen = parser.parse_args()
    lane = LANES[chosen.road]
    broker = "kafka" if lane in Topic.lanes else "rabbitmq"
    program()  # says at once that it is missing
    print(machine.facts(f"{broker} {VERSIONS[broker]}"), flush=True)
    with private_place(broker, VERSIONS[broker]) as place, running_sink() as sink:
        start = contestants(place, arrays=lane.arrays)[chosen.program]
        cost = Course(place, sink, chosen.events, MARGIN).measure(lane, start).cpu
        spy = Spy(sink, chosen.raw or folder("bench-profile") / "raw")
        Course(place, sink, chosen.events, MARGIN, watcher=spy).measure(lane, start)
        found = spy.shares()
    print(f"\n{chosen.road}, {chosen.program}: {cost:.1f} us an event, {found.total:,} samples")
    print(found.table(cost))


if __name__ == "__main__":
    main()
