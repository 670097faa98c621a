"""What a session consumes, how it asks for it, and how much of it at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

WINDOW: Final = 10_000  # offsets from the oldest that is not settled: what is done among them fits beside a commit


@dataclass(slots=True, frozen=True, kw_only=True)
class Topics:
    """What is consumed, by which group: topics of these `names`, or those that `pattern` fully matches."""

    group_id: str
    names: tuple[str, ...] = ()
    pattern: str | None = None
    group_instance_id: str | None = None
    begin: str = "earliest"  # where there is no committed offset; or "latest"
    member_ids: list[str] = field(default_factory=list, compare=False)  # ours, the last one: sessions tell the next


@dataclass(slots=True, frozen=True)
class Fetch:
    """
    How records are asked for: an answer waits for `min_bytes`, but not longer than `max_wait_ms`.

    It holds about `answer_bytes` at most, and `partition_bytes` of each partition; a first batch comes whole, whatever
    its size. The client has several copies of an answer while it takes it apart.
    """

    min_bytes: int = 1
    max_wait_ms: int = 500
    answer_bytes: int = 1 << 20
    partition_bytes: int = 512 << 10


@dataclass(slots=True, frozen=True)
class Bounds:
    """How much of one partition is taken in. Reading stops at a bound, and goes on below half of it."""

    out: int = 500  # records that are handed out and not settled
    held: int = 1_000  # records in the process, handed out or not
    bytes: int = 8 << 20  # of these
    window: int = WINDOW


@dataclass(slots=True, frozen=True, kw_only=True)
class Pace:
    """How much a session takes on, and how long it waits. Durations are seconds."""

    bounds: Bounds = field(default_factory=Bounds)
    fetch: Fetch = field(default_factory=Fetch)
    commit_every: float = 0.5  # what a crash can repeat
    drain: float = 5.0  # how long a rebalance waits for what is handed out
    watchdog: float = 30.0  # without an answer for so long, a new session is made
