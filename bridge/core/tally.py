"""
What one route counts, as plain numbers.

The hot path adds to integers once a batch; the metrics endpoint reads them when it is scraped. Label sets are closed:
they come from enums and from the configuration, never from an event.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from bridge.core.control import Effect, Op
from bridge.core.slots import Result
from bridge.model import Stage, Verdict

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)


class Histogram:
    """Counts in buckets of `bounds` (upper, inclusive), and the sum; in the unit of the bounds."""

    def __init__(self, bounds: tuple[float, ...] = SECONDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, values: Iterable[float]) -> None:
        for value in values:
            self.add(value, 1)

    def add(self, value: float, count: int) -> None:
        """Count one value so many times."""
        self.counts[bisect_left(self.bounds, value)] += count
        self.sum += value * count

    def cumulative(self) -> list[tuple[str, int]]:
        """Buckets as Prometheus wants them: (upper bound, observations up to it), the last one "+Inf"."""
        total, rows = 0, []
        for bound, count in zip([*map(str, self.bounds), "+Inf"], self.counts, strict=True):
            total += count
            rows.append((bound, total))
        return rows


@dataclass(slots=True)
class Tally:
    """The counts of one route. `in_flight` is not derived from the others: that is what makes the law checkable."""

    received: Counter[Stage] = field(default_factory=Counter)  # deliveries
    settled: Counter[tuple[Stage, Verdict]] = field(default_factory=Counter)  # deliveries
    in_flight: Counter[Stage] = field(default_factory=Counter)  # deliveries
    events: Counter[Result] = field(default_factory=Counter)
    buried: Counter[str] = field(default_factory=Counter)  # by kind
    controls: Counter[tuple[Op, Effect]] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)  # of sends: accepted, retryable, rejected, misconfigured
    conflicts: int = 0  # same id, other payload
    naming_complaints: int = 0
    store_bypassed: int = 0  # events sent without a claim because the store was down
    marks_failed: int = 0  # the store could not be told, and the event was settled all the same
    leases_lost: int = 0
    faults: int = 0  # batches that hit a bug
    forgotten: int = 0  # settlements that came after their session was lost
    parked: int = 0
    in_line: int = 0  # events that wait behind another one of their key
    stuck: int = 0  # keys held up by an event that was waited for long enough
    disordered: int = 0  # events that gave up their place in order to be safe
    paused: Counter[str] = field(default_factory=Counter)  # reason -> how many batches hold the intake back
    seconds_to_accept: Histogram = field(default_factory=Histogram)  # first sight to accepted
    lateness: Histogram = field(default_factory=Histogram)  # of delayed events: due to sent

    def law_holds(self) -> bool:
        """Whether, for each stage, received = settled + in flight."""
        return all(
            self.received[stage] == self.in_flight[stage] + sum(self.settled[stage, verdict] for verdict in Verdict)
            for stage in Stage
        )
