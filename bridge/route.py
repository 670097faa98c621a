"""What one route is made of: its adapters, and how much it takes on at a time."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.gate import Gate
from bridge.ports import DeadLetters, DelayLine, KeyStore, Source, Target


@dataclass(slots=True, frozen=True, kw_only=True)
class Limits:
    """How much a route takes on at a time. Durations are seconds."""

    batch: int = 100  # deliveries a batch
    linger: float = 0.0  # how long a batch waits to fill up
    in_flight: int = 1_000  # events between receive and settle; those that came due are not held back by it
    in_flight_bytes: int = 64 << 20
    parked: int = 2_000
    parked_at_intake: int = 128  # of these, so that waiting events never use up the whole prefetch
    lease: float = 40.0
    ttl: float = 86_400.0
    max_hold: float = 300.0  # longest wait inside the process for something that is down
    drain: float = 20.0
    bypass_store: bool = False  # on a store that is down: send without a claim instead of waiting


@dataclass(slots=True, frozen=True, kw_only=True)
class Parts:
    """The adapters of one route, open."""

    source: Source
    delay: DelayLine
    dead_letters: DeadLetters
    store: KeyStore
    target: Target
    gate: Gate
