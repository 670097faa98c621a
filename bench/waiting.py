"""What it costs to hold so many events for an hour, and how late one is meanwhile that is due in some seconds."""

from __future__ import annotations

import time
from dataclasses import dataclass

from bench import events
from bench.books import cpu_seconds, family, peak_bytes
from bench.contestants import bridge_command
from bench.measuring import SinkProcess, complaints, program
from bench.places import Lane, Place
from devtools.processes import wait_until
from devtools.scratch import folder

HOUR = 3_600_000  # milliseconds
SOON = 5_000  # milliseconds
STARTING = 3.0  # seconds
EACH = 0.02  # seconds that holding one may take, on a busy machine


@dataclass(frozen=True, slots=True)
class Held:
    cpu: float  # seconds from the launch until all were held
    peak: float  # MB of memory at most
    late: float  # milliseconds, of the one that was due soon
    complaints: list[str]


def measure(place: Place, sink: SinkProcess, lane: Lane, count: int) -> Held:
    """Let a bridge of its own hold so many. Raises TimeoutError when not all are held in time."""
    due = time.time_ns() // 1_000_000 + HOUR
    place.fill(lane.kind, [events.later(number, due) for number in range(count)])
    home = folder("bench-waiting")
    # A webhook has no delays of its own, so that all are held by the bridge.
    target = {"type": "webhook", "url": sink.url}
    settings = {"source": place.source(), "target": target, "admin": {"enabled": False}}
    sink.watch(0, [])
    with program(bridge_command(settings, home), home / "log") as child:
        began = time.monotonic()
        look = min(2.0, 0.2 + count / 50_000)  # seconds between looks, each of which costs the broker something
        wait_until(lambda: _held(place, began, look), within=60 + count * EACH, what=f"all of {count} events are held")
        cpu = sum(map(cpu_seconds, family(child.pid)))
        soon = time.time_ns() // 1_000_000 + SOON
        place.publish([events.later(count, soon)], lambda _: 0.0)
        sink.wait_for(1, child)
        late = sink.arrivals()[events.event_id(count)] * 1000 - soon
        peak = sum(map(peak_bytes, family(child.pid))) / 1e6
        heard = complaints(home / "log")
    place.clear()
    return Held(cpu, peak, late, heard)


def _held(place: Place, began: float, look: float) -> bool:
    """Whether all are settled. With none to hold, the bridge still gets the time to begin."""
    time.sleep(look)
    return time.monotonic() > began + STARTING and place.settled()
