"""
What the road costs: CPU time of the forwarding process, from a broker to a POST an event, and to arrays.

    ./dev bench road [--broker kafka] [--version 4.1] [--events 20000] [--rounds 3] [--only TEXT]

All contestants take the same events off the same broker and bring them to the same sink, in turn, several rounds. What
is measured lies between two marks, the thousandth event and the thousandth from the end, so that everyone is in full
swing: user and system time of the process by the kernel's books, divided by the events between the marks. The best and
the median of the rounds are shown, and their ratios to the consumer written by hand.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from bench import events, machine
from bench.contestants import HAND_WRITTEN, Start, contestants
from bench.course import Course
from bench.figures import Run, table
from bench.measuring import running_sink
from bench.places import Lane, Place, Queue, Topic
from devtools import kafka, rabbitmq

VERSIONS = {"rabbitmq": rabbitmq.VERSIONS[0], "kafka": kafka.NEWEST}
"""Of each broker that which is measured unless another is asked for."""

MEMORY = 6_000_000_000  # bytes that RabbitMQ may take: a million events are more than its nodes for tests may have


Results = Mapping[Lane, Mapping[str, list[Run]]]


def race(course: Course, lanes: Sequence[Lane], rounds: int, names: Sequence[str] = ()) -> Results:
    """Let everyone, or those named, do every lane, in turn, so often."""
    results: dict[Lane, dict[str, list[Run]]] = {lane: defaultdict(list) for lane in lanes}
    for number in range(rounds):
        for lane in lanes:
            found = contestants(course.place, arrays=lane.arrays)
            chosen = {name: start for name, start in found.items() if not names or name in names}
            for name, run in each_once(course, lane, chosen, f"{number + 1}/{rounds}"):
                results[lane][name].append(run)
    return results


def each_once(course: Course, lane: Lane, starts: Mapping[str, Start], title: str) -> Iterator[tuple[str, Run]]:
    """One run of each contestant on a lane; what it gave is printed at once."""
    for name, start in starts.items():
        run = course.measure(lane, start)
        print(f"{title}  {lane.title}  {name}: {run.cpu:.1f} us, {run.rate:,.0f}/s", flush=True)
        yield name, run


@contextmanager
def private_place(broker: str, version: str) -> Iterator[Place]:
    """A place at a broker that nobody else uses."""
    if broker == "kafka":
        with kafka.private_node(version) as brokers:
            yield Topic(brokers.bootstrap)
    else:
        with rabbitmq.private_node(version) as node:
            node.grant(MEMORY)
            yield Queue(node)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000, help="events measured in each run")
    parser.add_argument("--margin", type=int, default=1_000, help="events before and behind them")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each contestant on each lane")
    parser.add_argument("--broker", choices=tuple(VERSIONS), default="rabbitmq")
    parser.add_argument("--version", help="of the broker")
    parser.add_argument("--only", default="", help="only lanes with this in their title, such as `quorum` or `arrays`")
    chosen = parser.parse_args()
    version = chosen.version or VERSIONS[chosen.broker]
    print(machine.facts(f"{chosen.broker} {version}"), flush=True)
    with private_place(chosen.broker, version) as place, running_sink() as sink:
        lanes = [lane for lane in place.lanes if chosen.only in lane.title]
        course = Course(place, sink, chosen.events, chosen.margin)
        results = race(course, lanes, chosen.rounds)
    print(
        f"\n{chosen.rounds} rounds of {chosen.events:,} events of {events.SIZE} bytes. CPU us an event: best, median, "
        f"\nand their ratios to {HAND_WRITTEN}; events in a POST; how busy the sink was at most."
    )
    for lane in lanes:
        print("\n" + table(lane.title, results[lane], HAND_WRITTEN))
    print(f"\nload at the end {machine.load()}")
    if course.complaints:
        raise SystemExit("\n".join(("there were complaints:", *course.complaints)))


if __name__ == "__main__":
    main()
