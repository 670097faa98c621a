"""
The straight line: receive, decode, claim, send, commit, hold, settle.

One coroutine a batch. Everything that is decided is decided in the pure `Ledger`; everything that is made durable is
made so in `Settling`; this file only walks the line.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from bridge.claiming import Claiming
from bridge.core.ledger import Ledger
from bridge.core.slots import Rules, Slot
from bridge.core.tally import Tally
from bridge.errors import BridgeError, EndOfSource, Unavailable
from bridge.intake import Intake
from bridge.model import Envelope, Retryable, Stage
from bridge.ordering import Ordering
from bridge.owed import Owed
from bridge.parking import Parking
from bridge.route import Limits, Parts
from bridge.sending import Sending
from bridge.settling import Endings, Settling
from bridge.unpacking import Unpacker

log = logging.getLogger(__name__)


class Pipeline:
    """Runs one route from `run()` until its sources end."""

    def __init__(
        self,
        parts: Parts,
        unpacker: Unpacker,
        rules: Rules,
        limits: Limits,
        tally: Tally,
        *,
        native_delay: bool = True,
        ordering: Ordering | None = None,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._parts = parts
        self._unpacker = unpacker
        self._rules = rules
        self._limits = limits
        self._tally = tally
        self._ordering = ordering
        self._clock = clock
        self._native = parts.target.native_delay if native_delay else _never
        self._sources = {Stage.INTAKE: parts.source, Stage.DUE: parts.delay.due}
        pausable = [] if ordering else list(self._sources.values())
        self._intake = Intake(pausable, tally.paused, self._intake_changed)
        self._parking = Parking(limits.parked, limits.parked_at_intake, tally, clock, self._take_up)
        self._owed = Owed(parts.store, tally, ttl=limits.ttl, max_hold=limits.max_hold)
        self._settling = Settling(
            sources=self._sources,
            store=parts.store,
            delay=parts.delay,
            dead_letters=parts.dead_letters,
            intake=self._intake,
            parking=self._parking,
            tally=tally,
            ttl=limits.ttl,
            max_hold=limits.max_hold,
            owed=self._owed if limits.bypass_store else None,
            closed=None if ordering is None else self._closed,
        )
        self._claiming = Claiming(parts.store, self._intake, self._parking, tally, limits=limits, clock=clock)
        self._sending = Sending(
            parts.target, parts.gate, self._settling, self._parking, tally, max_hold=limits.max_hold, clock=clock
        )
        self._batches: dict[asyncio.Task[None], tuple[str, Ledger]] = {}
        self._numbers = count(1)
        self._owner = f"{random.getrandbits(64):016x}"
        self._active = 0  # events in batches
        self._active_bytes = 0
        self._room = asyncio.Event()
        self._failed: asyncio.Future[None] | None = None
        self._target_shut = False
        parts.gate.on_shut = self._target_changed

    async def run(self, stop: asyncio.Event) -> None:
        """
        Receive until `stop` is set, then drain for at most `limits.drain` seconds.

        Returns when every delivery is settled or given back; where order matters, closing the sources is what gives
        back. Raises what a receiving loop or a batch died of.
        """
        self._failed = asyncio.get_running_loop().create_future()
        loops = [asyncio.create_task(self._receive(stage), name=f"receive-{stage.value}") for stage in self._sources]
        renewing = asyncio.create_task(self._renew_leases(), name="renew-leases")
        paying = asyncio.create_task(self._owed.run(), name="owed-marks")
        stopping = asyncio.create_task(stop.wait())
        drain = self._limits.drain
        try:
            first: set[asyncio.Future[Any]] = {*loops, renewing, paying, stopping, self._failed}
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            drain = 0.0  # no time left: give everything back
            raise
        finally:
            asked = stop.is_set()
            await self._drain(loops, drain)
            for task in (renewing, paying, stopping, self._failed):
                task.cancel()
            ends = await asyncio.gather(*loops, renewing, paying, self._failed, return_exceptions=True)
            await self._owed.close()
        for end in ends:
            if isinstance(end, Exception):
                raise end
        if not asked:
            raise BridgeError("a source ended without being asked to")

    def oldest(self) -> float:
        """How many seconds the event that could go on for longest has not been safe. 0 without one."""
        now = self._clock()
        since = min((_since(slot, now) for _, ledger in self._batches.values() for slot in ledger.open), default=now)
        return max(0, now - since) / 1000

    async def _receive(self, stage: Stage) -> None:
        source = self._sources[stage]
        while True:
            await self._wait_for_room(stage)
            try:
                deliveries = await source.receive(self._limits.batch, self._limits.linger)
            except EndOfSource:
                return
            self._tally.received[stage] += len(deliveries)
            self._tally.in_flight[stage] += len(deliveries)
            ledger = self._ledger()
            self._unpacker.unpack(deliveries, self._clock(), ledger)
            self._start(ledger)

    async def _wait_for_room(self, stage: Stage) -> None:
        """Let the intake wait for room; what came due goes first and is bounded by its own prefetch."""
        while stage is Stage.INTAKE and (
            self._active >= self._limits.in_flight or self._active_bytes >= self._limits.in_flight_bytes
        ):
            self._room.clear()
            await self._room.wait()
        if self._ordering is not None:
            await self._ordering.no_outage()

    def _ledger(self, slots: Sequence[Slot] = ()) -> Ledger:
        return Ledger(self._rules, slots) if self._ordering is None else self._ordering.ledger(self._rules, slots)

    def _take_up(self, slots: list[Slot]) -> None:
        """Start a batch of slots that were parked until now, or stood in line until now."""
        ledger = self._ledger(slots)
        ledger.let_go(self._settling.owns)
        self._start(ledger)

    def _closed(self, endings: Endings) -> None:
        if self._ordering is not None:
            self._ordering.close(endings)
            self._take_up_next()

    def _take_up_next(self) -> None:
        if self._ordering is not None and (ready := self._ordering.take_ready()):
            self._take_up(ready)

    def _start(self, ledger: Ledger) -> None:
        if self._ordering is not None:
            self._ordering.line_up(ledger, self._clock(), self._native)
            if not ledger.open:
                return
        owner = f"{self._owner}-{next(self._numbers)}"
        events = len(ledger.open)
        size = sum([len(carrier.delivery.body) for carrier in {slot.carrier for slot in ledger.open}])
        self._active += events
        self._active_bytes += size
        task = asyncio.create_task(self._batch(ledger, owner), name=f"batch-{owner}")
        self._batches[task] = (owner, ledger)
        task.add_done_callback(lambda done: self._ended(done, events, size))

    def _ended(self, task: asyncio.Task[None], events: int, size: int) -> None:
        del self._batches[task]
        self._active -= events
        self._active_bytes -= size
        self._room.set()
        if not task.cancelled() and (error := task.exception()) and self._failed and not self._failed.done():
            self._failed.set_exception(error)

    async def _batch(self, ledger: Ledger, owner: str) -> None:
        try:
            try:
                await self._advance(ledger, owner)
            except Unavailable:
                raise
            except Exception:
                log.exception("batch_fault", extra={"events": len(ledger.open)})
                await self._survive(ledger, owner)
        except Unavailable as error:
            log.warning("batch_given_back", extra={"events": len(ledger.open), "reason": str(error)})
        finally:
            if ledger.open:
                await self._give_back(ledger, owner)

    async def _survive(self, ledger: Ledger, owner: str) -> None:
        """Treat a bug like a failed attempt of every event it touched: held, tried again, buried in the end."""
        self._tally.faults += 1
        for slot in ledger.revive():
            ledger.sent(slot, Retryable("fault in the bridge"), self._clock(), outage=False, rand=1.0, room=0)
        await self._settling.carry_out(ledger, owner)

    async def _give_back(self, ledger: Ledger, owner: str) -> None:
        keys = list(ledger.claimed_keys)
        await self._settling.give_back(ledger)
        try:
            await self._parts.store.release(keys, owner=owner)
        except Unavailable:
            log.info("claims_left_to_expire", extra={"claims": len(keys)})

    async def _advance(self, ledger: Ledger, owner: str) -> None:
        asks = ledger.sort(self._clock(), self._parking.room_for(ledger.open), self._native)
        self._take_up_next()  # a duplicate in the batch has left its line by this
        if ledger.has_endings:
            await self._settling.carry_out(ledger, owner)
        if asks:
            await self._claiming.claim(ledger, owner, asks)
            if ledger.has_endings:
                await self._settling.carry_out(ledger, owner)
        if orders := ledger.orders:
            await self._claiming.obey(ledger, orders)
            await self._settling.carry_out(ledger, owner)
        if ledger.has_undecided:
            await self._sending.send(ledger, owner)

    def _target_changed(self, shut: bool) -> None:  # noqa: FBT001  the gate's callback
        if shut != self._target_shut:
            self._target_shut = shut
            (self._intake.hold_back if shut else self._intake.let_go)("target")

    def _intake_changed(self, held: bool) -> None:  # noqa: FBT001  the intake's callback
        if self._ordering is not None:
            self._ordering.held_back(held, self._clock())

    async def _renew_leases(self) -> None:
        while True:
            await asyncio.sleep(self._limits.lease / 3)
            for owner, ledger in list(self._batches.values()):
                if ledger.claimed_keys:
                    await self._claiming.renew(ledger, owner)

    async def _drain(self, loops: Sequence[asyncio.Task[None]], seconds: float) -> None:
        """Take in no more, let batches finish, give back what does not finish within so many seconds."""
        for source, loop in zip(self._sources.values(), loops, strict=True):
            # Where order matters nobody else gets what is behind, before what is in front is safe or given back too.
            source.stop() if self._ordering is None else loop.cancel()
        self._intake.stop()
        self._parts.gate.stop()
        self._room.set()
        await self._settling.return_slots(self._waiting())
        deadline = asyncio.get_running_loop().time() + seconds
        pending: set[asyncio.Task[None]] = {*loops, *self._batches}
        while pending and (left := deadline - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(pending, timeout=left)
            pending = {task for task in {*loops, *self._batches} if not task.done()}
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        await self._settling.return_slots(self._waiting())

    def _waiting(self) -> list[Slot]:
        """Take out what waits in no batch: for its time, or for its turn."""
        return self._parking.empty() + ([] if self._ordering is None else self._ordering.empty())


def _never(_event: Envelope, _now: int) -> bool:
    return False


def _since(slot: Slot, now: int) -> int:
    """When it could go on: it was seen, its own time had come, or that of its next attempt."""
    due = slot.event.due_at
    return max(slot.first_seen, slot.alarm, due if due is not None and due <= now else 0)
