"""
What the road costs: CPU time of the forwarding process, from RabbitMQ to a POST an event, and to arrays.

    ./dev bench road [--events 20000] [--rounds 3] [--broker 3.10] [--only TEXT]

All contestants take the same events off the same broker and bring them to the same sink, in turn, several rounds. What
is measured lies between two marks, the thousandth event and the thousandth from the end, so that everyone is in full
swing: user and system time of the process by the kernel's books, divided by the events between the marks. The best and
the median of the rounds are shown, and their ratios to the consumer written by hand.
"""

from __future__ import annotations

import argparse
import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench import events, machine
from bench.contestants import HAND_WRITTEN, Start, contestants, path_of
from bench.figures import Run, run_of, table
from bench.measuring import SinkProcess, complaints, program, running_sink
from bench.peers.job import Job
from devtools.processes import wait_until
from devtools.rabbitmq import VERSIONS, Node, private_node
from devtools.scratch import folder

QUEUE = "bench"


@dataclass(frozen=True, slots=True)
class Lane:
    """One kind of road."""

    title: str
    kind: str  # of queue
    arrays: bool

    @property
    def event(self) -> Callable[[int], bytes]:
        return events.inngest_event if self.arrays else events.trigger_event


LANES = (
    Lane("quorum queue -> one POST an event (Trigger.dev v1)", "quorum", arrays=False),
    Lane("classic queue -> one POST an event (Trigger.dev v1)", "classic", arrays=False),
    Lane("quorum queue -> arrays (Inngest)", "quorum", arrays=True),
    Lane("classic queue -> arrays (Inngest)", "classic", arrays=True),
)


@dataclass(frozen=True, slots=True)
class Course:
    """A broker's virtual host, a sink, and how many events: so many to measure, and some before and behind them."""

    node: Node
    vhost: str
    sink: SinkProcess
    events: int
    margin: int

    @property
    def total(self) -> int:
        return self.events + 2 * self.margin

    def measure(self, lane: Lane, start: Start) -> Run:
        """Let one contestant do one lane. Raises when an event is missing or was not settled."""
        url = self.node.url_of(self.vhost)
        asyncio.run(self._fill(url, lane))
        job = Job(url, QUEUE, self.sink.url + path_of(arrays=lane.arrays), lane.arrays)
        place = folder("bench-road")
        command = start(job, place)
        self.sink.watch(0, [])
        with program(command, place / "log") as child:
            # It needs far longer to connect than this takes.
            self.sink.watch(child.pid, [self.margin, self.margin + self.events])
            self.sink.wait_for(self.total, child)
            wait_until(self._settled, within=30, what=f"every delivery of {self.total} events is settled")
        if found := complaints(place / "log"):
            print(f"{len(found)} complaints, such as {found[-1][:300]}")
        asyncio.run(events.delete(url, QUEUE))
        report = self.sink.report()
        if report["distinct"] != self.total:
            raise AssertionError(f"{report['distinct']} of {self.total} events came: {' '.join(command)}")
        return run_of(report)

    async def _fill(self, url: str, lane: Lane) -> None:
        await events.declare(url, QUEUE, lane.kind)
        await events.fill(url, QUEUE, [lane.event(number) for number in range(self.total)])

    def _settled(self) -> bool:
        return self.node.depths(self.vhost)[QUEUE] == (0, 0)


Results = Mapping[Lane, Mapping[str, list[Run]]]


def race(course: Course, lanes: Sequence[Lane], rounds: int, names: Sequence[str] = ()) -> Results:
    """Let everyone, or those named, do every lane, in turn, so often."""
    results: dict[Lane, dict[str, list[Run]]] = {lane: defaultdict(list) for lane in lanes}
    for number in range(rounds):
        for lane in lanes:
            for name, start in contestants(arrays=lane.arrays).items():
                if names and name not in names:
                    continue
                run = course.measure(lane, start)
                results[lane][name].append(run)
                print(f"{number + 1}/{rounds}  {lane.title}  {name}: {run.cpu:.1f} us, {run.rate:,.0f}/s", flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000, help="events measured in each run")
    parser.add_argument("--margin", type=int, default=1_000, help="events before and behind them")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each contestant on each lane")
    parser.add_argument("--broker", choices=VERSIONS, default=VERSIONS[0], help="version of RabbitMQ")
    parser.add_argument("--only", default="", help="only lanes with this in their title, such as `quorum` or `arrays`")
    chosen = parser.parse_args()
    lanes = [lane for lane in LANES if chosen.only in lane.title]
    print(machine.facts(f"RabbitMQ {chosen.broker}"), flush=True)
    with private_node(chosen.broker) as node, running_sink() as sink:
        course = Course(node, "/", sink, chosen.events, chosen.margin)
        results = race(course, lanes, chosen.rounds)
    print(
        f"\n{chosen.rounds} rounds of {chosen.events:,} events of {events.SIZE} bytes. CPU us an event: best, median, "
        f"\nand their ratios to {HAND_WRITTEN}; events in a POST; how busy the sink was at most."
    )
    for lane in lanes:
        print("\n" + table(lane.title, results[lane], HAND_WRITTEN))
    print(f"\nload at the end {machine.load()}")


if __name__ == "__main__":
    main()
