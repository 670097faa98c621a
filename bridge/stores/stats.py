"""What a key store tells the metrics."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, frozen=True, kw_only=True)
class StoreStats:
    """Gauges first, then counters since `open()`."""

    keys: int  # done and remembered
    claims: int
    scheduled: int  # scheduled or cancelled
    healthy: bool = True  # whether the last write to disk went through
    evicted: int = 0  # keys forgotten before their ttl because of `max_keys`: each may cost a second send
    unrecorded: int = 0  # delayed events held without a record because of `max_keys`: they cannot be cancelled
    damaged: int = 0  # blocks and rows found damaged and set aside
