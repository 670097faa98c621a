"""
What a second worker brings, and what it costs: events a second and CPU time of all processes of the bridge.

    ./dev bench workers [--events 10000] [--rounds 3] [--version 4.1]

The road is that of `./dev bench road` from a quorum queue to one POST an event, the keys are in a private Redis, and
one worker takes turns with two. CPU time is that of the parent and its workers together. One worker that keeps its keys
in a file of its own takes part as well, to show what sharing a store costs before it brings anything.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from bench import events, machine
from bench.contestants import Start, bridge
from bench.course import Course
from bench.figures import Run, gains, ratios, table
from bench.measuring import running_sink
from bench.peers.job import Job
from bench.places import Place, Queue
from bench.road import VERSIONS, each_once, private_place
from devtools.redis import RedisNode, private_node

LANE = Queue.lanes[0]
EMBEDDED, ONE, TWO = "1, SQLite", "1, Redis", "2, Redis"


def sharing(place: Place, node: RedisNode, workers: int) -> Start:
    """So many workers that share a Redis. Every run has the same events, so it begins with an empty one."""
    store = {"type": "redis", "url": node.url}

    def start(job: Job, folder: Path) -> list[str]:
        node.ask("FLUSHALL")
        return bridge(place, {"store": store, "workers": workers})(job, folder)

    return start


def compare(course: Course, node: RedisNode, rounds: int) -> Mapping[str, list[Run]]:
    """Let one worker and two take turns."""
    place = course.place
    starts = {EMBEDDED: bridge(place, {}), ONE: sharing(place, node, 1), TWO: sharing(place, node, 2)}
    runs: dict[str, list[Run]] = defaultdict(list)
    for number in range(rounds):
        for name, run in each_once(course, LANE, starts, f"{number + 1}/{rounds}, load {machine.load()}"):
            runs[name].append(run)
    return runs


def server_of(node: RedisNode) -> str:
    """Its program and version, from the line `redis_version:7.0.15` of INFO, which Valkey has too."""
    _, _, found = node.ask("INFO", "server").decode().partition("redis_version:")
    return f"{node.version} {found.split()[0]}"


def verdict(one: Sequence[Run], two: Sequence[Run]) -> str:
    """Two workers against one, in a sentence."""
    found, (_, cost) = gains(two, one), ratios(two, one)
    return (
        f"2 workers against 1: {median(found):.2f} times the events a second (median of the rounds, which gave "
        f"{min(found):.2f} to {max(found):.2f}), {cost:.2f} times the CPU an event (medians)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000, help="events measured in each run")
    parser.add_argument("--margin", type=int, default=1_000, help="events before and behind them")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each")
    parser.add_argument("--version", default=VERSIONS["rabbitmq"], help="of RabbitMQ")
    chosen = parser.parse_args()
    with private_place("rabbitmq", chosen.version) as place, private_node() as node, running_sink() as sink:
        print(machine.facts(f"rabbitmq {chosen.version}", server_of(node)), flush=True)
        runs = compare(Course(place, sink, chosen.events, chosen.margin), node, chosen.rounds)
    print(
        f"\n{chosen.rounds} rounds of {chosen.events:,} events of {events.SIZE} bytes; workers, and where the keys are."
    )
    print("\n" + table(LANE.title, runs, ONE))
    print(f"\n{verdict(runs[ONE], runs[TWO])}\nload at the end {machine.load()}")


if __name__ == "__main__":
    main()
