"""
The delay exchange as arithmetic: which rungs a wait goes down, and what must stand at the broker for that.

Level k holds for 2^k seconds. A wait is a number of seconds written in binary; its copy enters at the highest level
whose bit is 1 and falls from level to level: held where its bit is 1, passed through by a binding where it is 0. Below
level 0 is the exchange `out`, and there the one due queue. The idea of binary levels comes from NServiceBus for
RabbitMQ ("Delayed Delivery", docs.particular.net); here the levels are fewer, the planner picks cheap numbers, and
the remainder below a second is waited out in the process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Final

LEVELS: Final = 22
LONGEST: Final = 2**LEVELS - 1  # seconds, 48.5 days; a longer wait goes round again
GUARD: Final = 0.25  # seconds kept back, so that a copy arrives before it is due
WINDOW: Final = 3.0  # seconds a copy may arrive early, to be held in the process, where nothing else is said
TAIL: Final = "e"  # the last word of every routing key
DELIVERY_LIMIT: Final = 100  # positive: RabbitMQ 3.10 takes -1 for "drop at the first return"
DEAD_LETTER_LIMIT: Final = 1_000_000_000

Arguments = Mapping[str, str | int]


def plan(wait: float, window: float = WINDOW) -> int:
    """
    Whole seconds to spend in the ladder for a wait of `wait` seconds; 0 when none are worth it.

    Of all numbers in [wait - window, wait - GUARD], one with the fewest bits set: every bit is a queue that the copy is
    written to. 86,399 s would be eleven writes, 86,396 s are nine. Where `window` is too small for a whole number to
    lie in it, the highest one below it.
    """
    highest = min(int(wait - GUARD), LONGEST)
    if highest <= 0:
        return 0
    lowest, steps = max(1, min(highest, ceil(min(wait, LONGEST) - window))), highest
    while (fewer := steps & (steps - 1)) >= lowest:
        steps = fewer
    return steps


def routing_key(steps: int) -> str:
    """The bits of `steps`, highest first, as words."""
    return ".".join([*format(steps, f"0{LEVELS}b"), TAIL])


def steps_of(key: str) -> int:
    """The inverse of `routing_key`. Raises ValueError for anything else."""
    *bits, tail = key.split(".")
    if len(bits) != LEVELS or tail != TAIL or not set(bits) <= {"0", "1"}:
        raise ValueError(f"not a routing key of the ladder: {key!r}")
    return int("".join(bits), 2)


@dataclass(slots=True, frozen=True)
class Exchange:
    """An exchange to declare, durable."""

    name: str
    kind: str = "topic"


@dataclass(slots=True, frozen=True)
class Queue:
    """A queue to declare, durable."""

    name: str
    arguments: Arguments


@dataclass(slots=True, frozen=True)
class Binding:
    """A binding of a queue, or of an exchange, to an exchange."""

    source: str
    destination: str
    key: str
    to_queue: bool


Item = Exchange | Queue | Binding


@dataclass(slots=True, frozen=True)
class Ladder:
    """Names and topology of one namespace. `v1` is part of every name: arguments of queues can never be changed."""

    namespace: str

    def level(self, number: int) -> str:
        """The exchange, and the queue, of one level."""
        return f"{self.namespace}.delay.v1.{number:02d}"

    @property
    def out(self) -> str:
        return f"{self.namespace}.delay.v1.out"

    @property
    def due(self) -> str:
        return f"{self.namespace}.due.v1"

    @property
    def dead(self) -> str:
        """The exchange, and the queue, of the dead letters."""
        return f"{self.namespace}.dead.v1"

    def entry(self, steps: int) -> str:
        """The exchange where a copy with so many seconds to wait is published; `out` for none."""
        return self.level(steps.bit_length() - 1) if steps else self.out

    def items(self) -> Iterator[Item]:
        """Everything in an order in which it can be declared."""
        yield Exchange(self.out)
        yield from (Exchange(self.level(number)) for number in range(LEVELS))
        yield Queue(self.due, {**safe_queue(self.dead), "x-delivery-limit": DELIVERY_LIMIT})
        # Unconditional: 32 unroutable copies would freeze a level (its dead-letter worker has 32 slots).
        yield Binding(self.out, self.due, "#", to_queue=True)
        for number in range(LEVELS):
            below = self.level(number - 1) if number else self.out
            # A constant time to live for each queue: RabbitMQ expires messages only at the head.
            arguments = {**safe_queue(below), "x-message-ttl": 2**number * 1000}
            yield Queue(self.level(number), arguments)
            skipped = "*." * (LEVELS - 1 - number)
            yield Binding(self.level(number), self.level(number), f"{skipped}1.#", to_queue=True)
            yield Binding(self.level(number), below, f"{skipped}0.#", to_queue=False)

    def dead_items(self) -> Iterator[Item]:
        """
        The dead letters. Nothing leaves that queue by itself: no time to live, and a limit that nobody reaches.

        RabbitMQ 4 drops after 20 returns where nothing is said, and looking into a queue is returning. Under a policy
        that limits its length it refuses, where RabbitMQ would drop the oldest.
        """
        yield Exchange(self.dead, "fanout")
        limits: Arguments = {"x-delivery-limit": DEAD_LETTER_LIMIT, "x-overflow": "reject-publish"}
        yield Queue(self.dead, {"x-queue-type": "quorum", **limits})
        yield Binding(self.dead, self.dead, "", to_queue=True)


def safe_queue(dead_letter_exchange: str) -> dict[str, str | int]:
    """A quorum queue whose messages move on at least once; that strategy needs reject-publish (RabbitMQ 3.10 docs)."""
    return {
        "x-queue-type": "quorum",
        "x-dead-letter-exchange": dead_letter_exchange,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
