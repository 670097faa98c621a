"""
Keeps the events of one key in order on their way through the pipeline.

A slot stands in line from when it is received, or comes due, until what became of it is safe. Only the first of a key
is ever claimed and sent; the others are unsettled and in no batch.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from bridge.core.lanes import Lanes, StuckRule
from bridge.core.ledger import Ledger
from bridge.core.ordered import OrderedLedger
from bridge.core.slots import Ending, Park, Result, Rules, Slot
from bridge.core.tally import Tally
from bridge.model import Delivery, Envelope

log = logging.getLogger(__name__)

RETURNS: Final = "x-delivery-count"  # how often a quorum queue got a delivery back
MANY_RETURNS: Final = 10  # half of those after which RabbitMQ 4 drops, where nothing else is said

KeyOf = Callable[[Delivery], bytes | None]
"""The key of a delivery; None where it has none, and so no place in any order."""


class Ordering:
    """The lanes of one route."""

    def __init__(self, key_of: KeyOf, rule: StuckRule, tally: Tally) -> None:
        self._key_of = key_of
        self._rule = rule
        self._tally = tally
        self._lanes = Lanes()
        self._open = asyncio.Event()
        self._open.set()

    def ledger(self, rules: Rules, slots: Sequence[Slot] = ()) -> OrderedLedger:
        return OrderedLedger(rules, slots, self._lanes, self._rule)

    def line_up(self, ledger: Ledger, now: int, native: Callable[[Envelope, int], bool]) -> None:
        """
        Leave only those in the ledger whose turn it is, and those that are in no order.

        One that waits for a time of its own (`native`: unless the target does that) is in no order until then.
        """
        for slot in ledger.undecided:
            if (
                slot not in self._lanes
                and not _waits(slot, now, native)
                and (key := self._key(slot)) is not None
                and not self._lanes.enter(key, slot)
            ):
                ledger.withdraw(slot)
        self._count()

    def close(self, endings: Sequence[tuple[Slot, Ending]]) -> None:
        """Learn what has become of slots. What is only parked keeps its turn."""
        for slot, ending in endings:
            if isinstance(ending.act, Park):
                continue
            for member in (slot, *slot.twins):
                self._lanes.leave(member, comes_again=ending.result is Result.RETURNED)

    def take_ready(self) -> list[Slot]:
        """Take those whose turn has come."""
        for slot, reason in self._lanes.take_news():
            details = {"event_id": slot.event.id, "event_name": slot.event.name, "attempts": slot.attempt}
            log.warning("key_stuck", extra={**details, "reason": reason})
        ready = self._lanes.take_ready()
        self._count()
        return ready

    def empty(self) -> list[Slot]:
        """Take everybody out who waits; for shutdown."""
        waiting = self._lanes.empty()
        self._count()
        return waiting

    def held_back(self, held: bool, now: int) -> None:  # noqa: FBT001  what the intake says
        """Learn that an outage begins or ends: meanwhile nothing is taken in, and no event is to blame for failing."""
        if held:
            self._open.clear()
            self._lanes.freeze(now)
        else:
            self._open.set()
            self._lanes.thaw(now)

    async def no_outage(self) -> None:
        """
        Wait while the intake is held back.

        The source itself is not paused: a queue with a single active consumer would go on at another one, with what is
        behind the events that wait here.
        """
        await self._open.wait()

    def _key(self, slot: Slot) -> bytes | None:
        delivery = slot.carrier.delivery
        key = self._key_of(delivery)
        returns = delivery.headers.get(RETURNS)
        if key is None or not isinstance(returns, int) or returns < MANY_RETURNS:
            return key
        # Safety before order: waiting in line once more could be what makes the broker drop it.
        self._tally.disordered += 1
        log.warning("order_given_up", extra={"event_id": slot.event.id, "returns": returns})
        return None

    def _count(self) -> None:
        self._tally.in_line = self._lanes.waiting
        self._tally.stuck = self._lanes.stuck


def _waits(slot: Slot, now: int, native: Callable[[Envelope, int], bool]) -> bool:
    due = slot.event.due_at or 0
    return slot.alarm > now or (due > now and not native(slot.event, now))


def record_key(delivery: Delivery) -> bytes | None:
    """The key of a Kafka record."""
    return delivery.key


def routing_key(delivery: Delivery) -> bytes | None:
    return _key_of_text(delivery.routing_key)


def key_of_source(kind: str) -> KeyOf:
    """What the deliveries of a source of this type have as their key, where nothing else is said."""
    return record_key if kind == "kafka" else routing_key


def header_key(name: str) -> KeyOf:
    """Take the header of this name; one that is missing or empty is no key."""

    def key_of(delivery: Delivery) -> bytes | None:
        value = delivery.headers.get(name)
        if value is None:
            return None
        return bytes(value) or None if isinstance(value, bytes | bytearray) else _key_of_text(str(value))

    return key_of


def _key_of_text(text: str) -> bytes | None:
    return text.encode("utf-8", "surrogatepass") or None
