"""One whole route inside the process: the memory adapters, which pass the same contracts as the real ones."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

from bridge.core.breaker import BreakerPolicy
from bridge.core.fingerprints import Fingerprints
from bridge.core.keys import scope_of
from bridge.core.lanes import StuckRule
from bridge.core.retry import RetryPolicy
from bridge.core.slots import Rules
from bridge.core.tally import Tally
from bridge.deadletters.memory import MemoryDeadLetters
from bridge.delays.memory import MemoryDelayLine
from bridge.formats import build_format, envelope
from bridge.formats.control import ControlReader
from bridge.formats.shape import MAX_EVENT_BYTES
from bridge.formats.strictjson import MAX_DEPTH
from bridge.gate import Gate
from bridge.model import Stage
from bridge.ordering import KeyOf, Ordering, routing_key
from bridge.pipeline import Pipeline
from bridge.route import Limits, Parts
from bridge.sources.memory import MemorySource
from bridge.stores.memory import MemoryStore
from bridge.targets.memory import MemoryTarget
from bridge.unpacking import Unpacker

NAME = "default"
QUICK_RETRY = RetryPolicy(base=0.02, cap=0.1, max_attempts=4)
QUICK_BREAKER = BreakerPolicy(consecutive=10_000, min_calls=10_000, probe_base=0.02, probe_cap=0.05)


@dataclass
class MemoryRoute:
    """The parts, to look at and to interfere with."""

    source: MemorySource = field(default_factory=MemorySource)
    delay: MemoryDelayLine = field(default_factory=MemoryDelayLine)
    dead_letters: MemoryDeadLetters = field(default_factory=MemoryDeadLetters)
    store: MemoryStore = field(default_factory=MemoryStore)
    target: MemoryTarget = field(default_factory=MemoryTarget)
    tally: Tally = field(default_factory=Tally)
    retry: RetryPolicy = QUICK_RETRY
    breaker: BreakerPolicy = QUICK_BREAKER
    limits: Limits = field(default_factory=lambda: Limits(drain=5.0, lease=5.0))
    hold_window: int = 3_000
    complaint: Callable[[str], str | None] | None = None
    reject_names: bool = False
    wanted: Callable[[str], bool] | None = None
    bury_unwanted: bool = False
    bury_conflicts: bool = False
    clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    takes_control: bool = False
    last_delay_wins: bool = False
    stuck: StuckRule | None = None  # with one, events of a routing key stay in order
    key_of: KeyOf = routing_key

    def __post_init__(self) -> None:
        self.gate = Gate(self.breaker, refresh=self.target.refresh)
        self.stop = asyncio.Event()
        parts = Parts(
            source=self.source,
            delay=self.delay,
            dead_letters=self.dead_letters,
            store=self.store,
            target=self.target,
            gate=self.gate,
        )
        read = build_format("auto")
        control = ControlReader(read, MAX_EVENT_BYTES, MAX_DEPTH).read if self.takes_control else None
        unpacker = Unpacker(
            route=NAME,
            scope=scope_of(NAME, "memory"),
            format=read,
            checksum=envelope.checksum,
            unseal=envelope.decode,
            tally=self.tally,
            fingerprints=Fingerprints(),
            bury_conflicts=self.bury_conflicts,
            control=control,
            last_delay_wins=self.last_delay_wins,
            complaint=self.complaint,
            reject_names=self.reject_names,
            wanted=self.wanted,
            bury_unwanted=self.bury_unwanted,
        )
        rules = Rules(route=NAME, retry=self.retry, seal=envelope.encode, hold_window=self.hold_window)
        ordering = Ordering(self.key_of, self.stuck, self.tally) if self.stuck else None
        self.pipeline = Pipeline(parts, unpacker, rules, self.limits, self.tally, ordering=ordering, clock=self.clock)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Run the pipeline; at the end stop it, wait for the drain, and check the law."""
        task = asyncio.create_task(self.pipeline.run(self.stop))
        try:
            yield self
        finally:
            self.stop.set()
            await asyncio.wait_for(task, 30)
        assert self.tally.law_holds()
        assert not any(self.tally.in_flight[stage] for stage in Stage)
        assert not any(self.tally.paused[reason] for reason in ("store", "delay", "dead_letters"))
        assert not self.tally.in_line

    def publish(
        self, event_id: str, *, name: str = "user.created", data: object = None, ts: int | None = None, key: str = ""
    ) -> None:
        """Publish an Inngest-shaped event."""
        body: dict[str, object] = {"id": event_id, "name": name, "data": data if data is not None else {"n": event_id}}
        if ts is not None:
            body["ts"] = ts
        self.source.publish(json.dumps(body).encode(), routing_key=key)

    def order(self, **fields: object) -> None:
        """Publish a control envelope."""
        self.source.publish(json.dumps(fields).encode())

    def accepted(self) -> list[str]:
        """The ids that the target took, in order."""
        return [event.id for event in self.target.accepted]

    async def until(self, condition: Callable[[], object], seconds: float = 10.0) -> None:
        """Wait for a condition."""
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110  any condition, of parts that know no events
                await asyncio.sleep(0.005)

    async def until_quiet(self, seconds: float = 10.0) -> None:
        """Wait until nothing is published, held or in flight any more."""
        await self.until(lambda: not (self.source.waiting or self.delay.held or self.delay.due.waiting), seconds)
