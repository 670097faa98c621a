"""
How punctual delayed events are: from their due time to their arrival, through the real bridge and its delay exchange.

    ./dev bench delays [--broker kafka] [--version 4.1] [--events 1500] [--rate 150] [--longest 20]

Events with due times 0.2 to 20 s ahead are published at a steady rate into a quorum queue, or a topic. An event that
arrives before its time is an error. Due times are whole milliseconds; the sink notes arrivals by the same clock.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer

from bench import events, machine
from bench.contestants import bridge_command
from bench.figures import quantile
from bench.measuring import PATIENCE, SinkProcess, program, running_sink
from bench.places import Place
from bench.road import VERSIONS, private_place
from devtools.kafka_lab import opened
from devtools.processes import wait_until
from devtools.scratch import folder, free_port

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


Publish = Callable[[bytes], Awaitable[object]]


@asynccontextmanager
async def publisher(place: Place) -> AsyncIterator[Publish]:
    """Publish one event after another; each is safe when the call returns."""
    if place.broker == "kafka":
        client = AIOKafkaProducer(bootstrap_servers=place.address, acks="all", enable_idempotence=True)
        async with opened(client) as producer:
            yield lambda body: producer.send_and_wait(place.name, body)
    else:
        async with events.channel_of(place.address) as channel:
            yield lambda body: events.publish(channel, place.name, body)


async def publish(place: Place, count: int, rate: float, longest: float) -> dict[str, int]:
    """Publish events at so many a second; return the due time of each in epoch ms. With a rate of 0, all at once."""
    due: dict[str, int] = {}
    publishing: set[asyncio.Future[object]] = set()
    async with publisher(place) as put:
        began = time.monotonic()
        for number in range(count):
            if rate:
                await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            due_at = time.time_ns() // 1_000_000 + random.randint(int(SHORTEST * 1000), int(longest * 1000))
            due[events.event_id(number)] = due_at
            publishing.add(asyncio.ensure_future(put(events.later(number, due_at))))
        await asyncio.gather(*publishing)
    return due


def measure(place: Place, sink: SinkProcess, count: int, rate: float, longest: float = LONGEST) -> Lateness:
    """Send so many delayed events through a bridge of its own. Raises when one never comes."""
    place.fill(place.lanes[0].kind, [])
    admin = free_port()
    settings = {
        "source": place.source(),
        "target": {"type": "webhook", "url": sink.url},
        "admin": {"port": admin},
    }
    home = folder("bench-delays")
    with program(bridge_command(settings, home), home / "log") as child:
        wait_until(lambda: _get(admin, "/readyz") is not None, within=PATIENCE, what="the bridge is ready")
        sink.watch(child.pid, [])
        due = asyncio.run(publish(place, count, rate, longest))
        sink.wait_for(count, child)
        found = DUE_COUNT.search(_get(admin, "/metrics") or "")
    place.clear()
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
    parser.add_argument("--longest", type=float, default=LONGEST, help="delay in seconds")
    parser.add_argument("--broker", choices=tuple(VERSIONS), default="rabbitmq")
    parser.add_argument("--version", help="of the broker")
    chosen = parser.parse_args()
    version = chosen.version or VERSIONS[chosen.broker]
    print(machine.facts(f"{chosen.broker} {version}"), flush=True)
    with private_place(chosen.broker, version) as place, running_sink() as sink:
        result = measure(place, sink, chosen.events, chosen.rate, chosen.longest)
    print(f"delays of {SHORTEST} to {chosen.longest} s, published at {chosen.rate or 'any'} a second: {result}")
    print(f"load at the end {machine.load()}")
    if min(result.ms) < 0:
        raise SystemExit("an event was early")


if __name__ == "__main__":
    main()
