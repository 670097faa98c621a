"""
What the line itself costs: ledger, claims, marks, settling and counting, with no broker and no HTTP around it.

    python -m bench.line [--events 20000] [--rounds 3] [--store sqlite | memory] [--loop uvloop | asyncio]

Batches of ready deliveries of 300 bytes come from memory; a target in the process takes all of them, a group in each
turn of the loop, as answers would come in; the key store is the real one. CPU time is that of the process with all its
threads, an event. `decode` is what the format alone takes for such an event, and is in the other figures.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.events import inngest_event
from bench.machine import facts
from bridge.core.breaker import BreakerPolicy
from bridge.core.fingerprints import Fingerprints
from bridge.core.keys import scope_of
from bridge.core.retry import RetryPolicy
from bridge.core.slots import Rules
from bridge.core.tally import Tally
from bridge.deadletters.memory import MemoryDeadLetters
from bridge.delays.memory import MemoryDelayLine
from bridge.errors import EndOfSource
from bridge.formats import build_format, envelope
from bridge.gate import Gate
from bridge.model import Accepted, Delivery, Envelope, Outcome, Verdict
from bridge.pipeline import Pipeline
from bridge.ports import Groups
from bridge.route import Limits, Parts
from bridge.stores.memory import MemoryStore
from bridge.stores.sqlite import SqliteStore
from bridge.unpacking import Unpacker

SHAPES = [(1, 1), (3, 1), (10, 1), (10, 10), (64, 1), (64, 64), (100, 1), (100, 10), (100, 100), (500, 10), (500, 500)]
"""Deliveries a batch, and how many of them the target answers for at a time."""


class ReadySource:
    """Hands out what it was filled with, so many at a time, while at most `prefetch` are not settled."""

    def __init__(self, bodies: Sequence[bytes], batch: int, prefetch: int) -> None:
        self._ready = [Delivery(body=body, token=number) for number, body in enumerate(bodies)]
        self._ready.reverse()
        self._left = len(bodies)
        self._batch = batch
        self._room = prefetch
        self._changed = asyncio.Event()
        self._stopped = False
        self.done = asyncio.Event()

    async def open(self) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        """Nothing to let go of."""

    async def receive(self, limit: int, linger: float) -> list[Delivery]:  # noqa: ARG002  the port's
        while not (count := min(limit, self._batch, self._room, len(self._ready))):
            if self._stopped:
                raise EndOfSource
            self._changed.clear()
            await self._changed.wait()
        await asyncio.sleep(0)  # a turn of the loop for what the broker's next bytes would be
        self._room -= count
        batch = self._ready[: -count - 1 : -1]
        del self._ready[-count:]
        return batch

    async def settle(self, batch: Sequence[Delivery], verdicts: Sequence[Verdict]) -> None:  # noqa: ARG002  the port's
        self._room += len(batch)
        self._left -= len(batch)
        self._changed.set()
        if not self._left:
            self.done.set()

    def owns(self, delivery: Delivery) -> bool:  # noqa: ARG002  the port's
        return True

    def pause(self) -> None:
        """Goes on: nothing here ever fails."""

    def resume(self) -> None:
        """Goes on all the time."""

    def stop(self) -> None:
        self._stopped = True
        self._changed.set()


class ReadyTarget:
    """Takes everything, and says so for `group` events in each turn of the loop."""

    dedups_by_id = False

    def __init__(self, group: int) -> None:
        self._group = group

    async def open(self) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        """Nothing to let go of."""

    def refresh(self) -> None:
        """No secrets."""

    def native_delay(self, event: Envelope, now: int) -> bool:  # noqa: ARG002  the port's
        return False

    async def send(self, events: Sequence[Envelope], attempts: Sequence[int]) -> Groups:  # noqa: ARG002  the port's
        answers, left = _Answers(len(events), self._group), len(events)
        while left:
            await answers.come.wait()
            group = answers.take()
            left -= len(group)
            yield group


class _Answers:
    """Those that have come in since the last look."""

    def __init__(self, count: int, group: int) -> None:
        self._count = count
        self._group = group
        self._next = 0
        self._ready: list[tuple[int, Outcome]] = []
        self.come = asyncio.Event()
        asyncio.get_running_loop().call_soon(self._answer)

    def take(self) -> list[tuple[int, Outcome]]:
        self.come.clear()
        group, self._ready = self._ready, []
        return group

    def _answer(self) -> None:
        begin, self._next = self._next, min(self._next + self._group, self._count)
        self._ready += [(index, _ACCEPTED) for index in range(begin, self._next)]
        self.come.set()
        if self._next < self._count:
            asyncio.get_running_loop().call_soon(self._answer)


_ACCEPTED = Accepted()


def _line(source: ReadySource, target: ReadyTarget, store: SqliteStore | MemoryStore, batch: int) -> Pipeline:
    tally = Tally()
    gate = Gate(BreakerPolicy(), refresh=target.refresh)
    parts = Parts(
        source=source,
        delay=MemoryDelayLine(),
        dead_letters=MemoryDeadLetters(),
        store=store,
        target=target,
        gate=gate,
    )
    unpacker = Unpacker(
        route="bench",
        scope=scope_of("bench", "memory"),
        format=build_format("inngest"),
        checksum=envelope.checksum,
        unseal=envelope.decode,
        tally=tally,
        fingerprints=Fingerprints(),
    )
    rules = Rules(route="bench", retry=RetryPolicy(), seal=envelope.encode)
    return Pipeline(parts, unpacker, rules, Limits(batch=batch), tally)


async def measure(bodies: Sequence[bytes], batch: int, group: int, store: SqliteStore | MemoryStore) -> float:
    """Return CPU microseconds an event."""
    source = ReadySource(bodies, batch, prefetch=max(256, 2 * batch))
    stop = asyncio.Event()
    await store.open()
    gc.collect()
    gc.freeze()
    begun = time.process_time()
    running = asyncio.create_task(_line(source, ReadyTarget(group), store, batch).run(stop))
    await source.done.wait()
    spent = time.process_time() - begun
    stop.set()
    await running
    await store.close()
    gc.unfreeze()
    return spent / len(bodies) * 1e6


def decoding(bodies: Sequence[bytes]) -> float:
    """CPU microseconds that the format takes for an event."""
    read, deliveries = build_format("inngest"), [Delivery(body=body) for body in bodies]
    begun = time.process_time()
    for delivery in deliveries:
        read.decode(delivery, 0)
    return (time.process_time() - begun) / len(bodies) * 1e6


def race(events: int, rounds: int, kind: str, loop: str) -> None:
    """Measure every shape once a round; print the best and the median of each."""
    bodies = [inngest_event(number) for number in range(events)]
    found: dict[tuple[int, int], list[float]] = {shape: [] for shape in SHAPES}
    for number in range(rounds):
        for batch, group in SHAPES:
            with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=_loop(loop)) as runner:
                store = MemoryStore() if kind == "memory" else SqliteStore(Path(folder, f"{number}.db"))
                some = bodies[: max(2_000, events // 10)] if batch < 10 else bodies
                found[batch, group].append(runner.run(measure(some, batch, group, store)))
    print(f"CPU us an event of the line with the {kind} store on {loop}; decode alone {decoding(bodies):.1f}")
    print("a batch  a group      best    median")
    for (batch, group), figures in found.items():
        print(f"{batch:7}  {group:7}  {min(figures):8.1f}  {sorted(figures)[len(figures) // 2]:8.1f}")


def _loop(name: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if name == "asyncio":
        return None
    import uvloop

    return uvloop.new_event_loop


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--events", type=int, default=20_000, help="events of a measurement; a tenth for batches below 10"
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds; the best counts")
    parser.add_argument("--store", choices=("sqlite", "memory"), default="sqlite", help="the key store")
    parser.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop", help="the event loop")
    arguments = parser.parse_args()
    print(facts())
    race(arguments.events, arguments.rounds, arguments.store, arguments.loop)


if __name__ == "__main__":
    main()
