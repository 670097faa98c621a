"""
What one route counts, as plain numbers.

The hot path adds to integers once a batch; the metrics endpoint reads them when it is scraped. Label sets are closed:
they come from enums and from the configuration, never from an event.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from bridge.core.control import Effect, Op
from bridge.core.slots import Result
from bridge.model import Accepted, Envelope, Misconfigured, Outcome, Rejected, Retryable, Stage, Verdict

# Bounds of the histograms. Three a decade up to ten seconds, so that a quantile is off by less than half a decade. All
# begin at the millisecond that a healthy road takes, and end where a larger number would change nobody's mind.
LAG_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""For the event loop: a second is bad, ten are an emergency."""

REQUEST_SECONDS: Final = (*LAG_SECONDS, 30.0, 60.0)
"""For one HTTP request: beyond a minute there is nothing but what `http.timeout` allows."""

SECONDS: Final = (*REQUEST_SECONDS, 300.0, 3600.0)
"""For what may wait out an outage: minutes are the breaker's waits, an hour the longest of a retry."""

REQUEST_OUTCOMES: Final = ("accepted", "retryable", "rejected", "misconfigured")
"""What a request may come to; "unsent" is none, since no request was made."""


class Exemplar(NamedTuple):
    """One trace of those that a bucket has counted."""

    trace_id: str  # 32 hex digits
    value: float  # in the unit of the bounds
    at: int | None  # epoch ms


class Histogram:
    """
    Counts in buckets of `bounds` (upper, inclusive), and the sum; in the unit of the bounds.

    `exemplars` has the last trace that was told of for each bucket, by its place.
    """

    def __init__(self, bounds: tuple[float, ...] = SECONDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0
        self.exemplars: dict[int, Exemplar] = {}

    def observe(self, values: Iterable[float]) -> None:
        for value in values:
            self.add(value)

    def add(self, value: float, count: int = 1, trace_id: str | None = None, at: int | None = None) -> None:
        """Count one value so many times; it may be shown by a trace, `at` epoch ms."""
        place = bisect_left(self.bounds, value)
        self.counts[place] += count
        self.sum += value * count
        if trace_id is not None:
            self.exemplars[place] = Exemplar(trace_id, value, at)

    def cumulative(self) -> list[tuple[str, int]]:
        """Buckets as Prometheus wants them: (upper bound, observations up to it), the last one "+Inf"."""
        total, rows = 0, []
        for bound, count in zip([*map(str, self.bounds), "+Inf"], self.counts, strict=True):
            total += count
            rows.append((bound, total))
        return rows


def _of_requests() -> dict[str, Histogram]:
    return {outcome: Histogram(REQUEST_SECONDS) for outcome in REQUEST_OUTCOMES}


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
    requests: dict[str, Histogram] = field(default_factory=_of_requests)  # seconds of each HTTP request, by outcome
    seconds_to_accept: Histogram = field(default_factory=Histogram)  # first sight, or due time, to accepted
    lateness: Histogram = field(default_factory=Histogram)  # of delayed events: due to sent
    traced: Callable[[Envelope], str | None] | None = None  # the id of an event's trace, where that is recorded

    def law_holds(self) -> bool:
        """Whether, for each stage, received = settled + in flight."""
        return all(
            self.received[stage] == self.in_flight[stage] + sum(self.settled[stage, verdict] for verdict in Verdict)
            for stage in Stage
        )


_WORST_FIRST: Final[dict[type, str]] = {
    Misconfigured: "misconfigured",
    Retryable: "retryable",
    Rejected: "rejected",
    type(None): "rejected",  # refused as a whole: its events go again in smaller requests
    Accepted: "accepted",
}


def outcome_of(outcomes: Sequence[Outcome | None]) -> str:
    """Say what a request came to by what it came to for each of its events: the worst that was said of the target."""
    if len(outcomes) == 1:
        return _WORST_FIRST[type(outcomes[0])]
    kinds = {*map(type, outcomes)}
    return next(name for kind, name in _WORST_FIRST.items() if kind in kinds)
