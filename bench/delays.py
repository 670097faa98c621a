"""
How punctual delayed events are: from their due time to their arrival, through the real bridge and its delay exchange.

    ./dev bench delays [--events 1500] [--rate 150] [--broker 3.10]

Events with due times 0.2 to 20 s ahead are published at a steady rate into a quorum queue. An event that arrives before
its time is an error. Due times are whole milliseconds; the sink notes arrivals by the same clock.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

from bench import events, machine
from bench.contestants import bridge_command
from bench.figures import quantile
from bench.measuring import PATIENCE, SinkProcess, program, running_sink
from devtools.processes import wait_until
from devtools.rabbitmq import VERSIONS, private_node
from devtools.scratch import folder, free_port

QUEUE = "bench"
SHORTEST, LONGEST = 0.2, 20.0  # seconds
DUE_COUNT = re.compile(r'^bridge_deliveries_received_total\{.*stage="due".*\} (\S+)$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Lateness:
    """Milliseconds from the due time to the arrival, of every event."""

    ms: list[float]
    exchanged: int  # copies that came back from the delay exchange; an event that waits in the process alone has none

    def __str__(self) -> str:
        shown = {"median": 0.5, "p90": 0.9, "p99": 0.99, "worst": 1.0}
        figures = [f"{name} {quantile(self.ms, share):.1f} ms" for name, share in shown.items()]
        early = sum(late < 0 for late in self.ms)
        waits = f"{self.exchanged:,} copies by the exchange"
        return f"{len(self.ms):,} events late by {', '.join(figures)}; {early} early; {waits}"


def lateness(due: Mapping[str, int], arrivals: Mapping[str, float]) -> list[float]:
    """How late each event came, in ms, given due times in epoch ms and arrivals in epoch seconds. KeyError: never."""
    return [arrivals[event_id] * 1000 - due_at for event_id, due_at in due.items()]


async def publish(url: str, count: int, rate: float) -> dict[str, int]:
    """Publish events at so many a second; return the due time of each in epoch ms. With a rate of 0, all at once."""
    due: dict[str, int] = {}
    publishing: set[asyncio.Task[None]] = set()
    async with events.channel_of(url) as channel:
        began = time.monotonic()
        for number in range(count):
            if rate:
                await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            due_at = time.time_ns() // 1_000_000 + random.randint(int(SHORTEST * 1000), int(LONGEST * 1000))
            due[events.event_id(number)] = due_at
            publishing.add(asyncio.create_task(events.publish(channel, QUEUE, events.later(number, due_at))))
        await asyncio.gather(*publishing)
    return due


def measure(url: str, sink: SinkProcess, count: int, rate: float) -> Lateness:
    """Send so many delayed events through a bridge of its own. Raises when one never comes."""
    asyncio.run(events.declare(url, QUEUE, "quorum"))
    admin = free_port()
    settings = {
        "source": {"type": "rabbitmq", "url": url, "queue": QUEUE},
        "target": {"type": "webhook", "url": sink.url},
        "admin": {"port": admin},
    }
    place = folder("bench-delays")
    with program(bridge_command(settings, place), place / "log") as child:
        wait_until(lambda: _get(admin, "/readyz") is not None, within=PATIENCE, what="the bridge is ready")
        sink.watch(child.pid, [])
        due = asyncio.run(publish(url, count, rate))
        sink.wait_for(count, child)
        found = DUE_COUNT.search(_get(admin, "/metrics") or "")
    asyncio.run(events.delete(url, QUEUE))
    return Lateness(lateness(due, sink.arrivals()), int(float(found[1])) if found else 0)


def _get(port: int, path: str) -> str | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_500, help="how many")
    parser.add_argument("--rate", type=float, default=150, help="published a second; 0: all at once")
    parser.add_argument("--broker", choices=VERSIONS, default=VERSIONS[0], help="version of RabbitMQ")
    chosen = parser.parse_args()
    print(machine.facts(f"RabbitMQ {chosen.broker}"), flush=True)
    with private_node(chosen.broker) as node, running_sink() as sink:
        result = measure(node.url, sink, chosen.events, chosen.rate)
    print(f"delays of {SHORTEST} to {LONGEST} s, published at {chosen.rate or 'any'} a second: {result}")
    print(f"load at the end {machine.load()}")
    if min(result.ms) < 0:
        raise SystemExit("an event was early")


if __name__ == "__main__":
    main()
