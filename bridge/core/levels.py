"""
The delay line on Kafka as arithmetic: which topic a wait goes to, and when a copy leaves it again.

A level is a topic in which every copy waits equally long, so the first record of a partition is always the first to
leave, and whoever reads it needs to look at the first only. What has left and is still not due goes to the next level
that fits. The levels are powers of four seconds, up to three days, with at most three hops in each; and one of no
seconds at all, for waits that are shorter than the shortest.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

LEVELS: Final[tuple[int, ...]] = (0, *(4**power for power in range(10)))  # seconds; a longer wait repeats the last
WINDOW: Final = 3.0  # seconds before its time that a copy is handed out, to wait for the rest in the process
SLACK: Final = 100  # ms that share a batch: what is parked again may leave early by that, since it is not due yet
HOUR: Final = 3_600  # seconds

FOR_EVER: Final = "-1"
SEGMENT_BYTES: Final = 64 << 20  # a broker frees disk by whole segments; its default is 1 GiB
SEGMENT_MS: Final = HOUR * 1000  # of levels below an hour, which would fill a segment in a week or never


def level_for(wait: float, shortest: int = 0) -> int:
    """
    Seconds of the longest level that ends no later than a wait of `wait` seconds, but at least `shortest`.

    Of the numbers that leave at most the window to wait for in the process, this walks down to the one with the fewest
    hops: powers of four are coins for which taking the largest is best.
    """
    fitting = LEVELS[bisect_right(LEVELS, wait) - 1] if wait > 0 else 0
    return max(fitting, shortest)


def ripe_at(parked_at: int, level: int, due_at: int, window: float = WINDOW) -> int:
    """
    When a copy leaves its level of `level` seconds, in epoch ms like `parked_at` and `due_at`.

    Never after its time, even where the clock of another instance said when it was parked. One that has more than the
    window before it, and so is parked again, leaves together with all of the same 100 ms.
    """
    leaves = min(parked_at + level * 1000, due_at)
    return leaves if due_at - leaves <= window * 1000 else leaves - leaves % SLACK


def partition_at(now: int, partitions: int) -> int:
    """Which partition takes what is parked at `now` (epoch ms): one at a time, so that a batch is one request."""
    return now // SLACK % partitions


@dataclass(slots=True, frozen=True)
class Levels:
    """Names and topics of one namespace. `v1` is part of every name: another set of levels would be another one."""

    namespace: str

    def topic(self, level: int) -> str:
        """The topic of a level of so many seconds."""
        return f"{self.group}.{level:07d}"

    @property
    def group(self) -> str:
        """The consumer group that all instances share."""
        return f"{self.namespace}.delay.v1"

    def topics(self) -> Mapping[str, int]:
        """The seconds of each topic."""
        return {self.topic(level): level for level in LEVELS}

    def configs(self, level: int, largest: int = 0) -> Mapping[str, str]:
        """
        What the topic of a level must be told, in the words of Kafka, to take records of up to `largest` bytes.

        Nothing may go by age or size, or an event that waits goes with it: what has left is deleted by the bridge.
        """
        configs = {
            "cleanup.policy": "delete",
            "retention.ms": FOR_EVER,
            "retention.bytes": FOR_EVER,
            "message.timestamp.type": "CreateTime",
            "segment.bytes": str(max(SEGMENT_BYTES, largest)),
        }
        return configs | {"segment.ms": str(SEGMENT_MS)} if level < HOUR else configs
