"""
The metrics endpoint's view of the tallies.

Nothing is written here while events flow: a scrape reads the plain numbers that the routes keep (`bridge.core.tally`).
The law anyone can check, for each route and stage:

    bridge_deliveries_received_total = sum(bridge_deliveries_settled_total) + bridge_deliveries_in_flight
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from bridge import __version__
from bridge.core.breaker import State
from bridge.core.control import Effect, Op
from bridge.core.slots import Result
from bridge.core.tally import LAG_SECONDS, REQUEST_OUTCOMES, Histogram, Tally
from bridge.model import Backlog, Stage, Verdict
from bridge.telemetry.catalogue import DESCRIBED

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily

OUTCOMES = ("accepted", "retryable", "rejected", "misconfigured", "unsent")
KINDS = ("poison", "rejected", "exhausted", "expired", "stuck", "too_late", "conflict")
PAUSES = ("target", "store", "delay", "dead_letters")


@dataclass(slots=True, frozen=True, kw_only=True)
class Watched:
    """One route as the metrics see it."""

    tally: Tally
    breaker: Callable[[], State]
    reconnects: Callable[[], Mapping[str, int]]  # session name -> sessions built after the first
    connected: Callable[[], Mapping[str, bool]]
    backlogs: Callable[[], Mapping[str, Backlog]]  # by session; of those that have partitions
    forgotten: Callable[[], int]  # deliveries settled after their session was lost: the broker delivers them again
    requests: Callable[[], tuple[int, int]] = lambda: (0, 0)  # under way at the target, and how many may be
    opened: Callable[[], int] = lambda: 0  # how often the breaker has opened
    oldest: Callable[[], float] = lambda: 0.0  # seconds


class BridgeCollector(Collector):
    """Turns tallies into metric families at each scrape; every label set is closed and starts at zero."""

    def __init__(
        self,
        routes: Mapping[str, Watched],
        store: Callable[[], Mapping[str, float]],
        lag: Histogram | None = None,
    ) -> None:
        """`lag` is that of the event loop."""
        self._routes = routes
        self._store = store
        self._lag = lag or Histogram(LAG_SECONDS)

    def collect(self) -> Iterable[Family]:
        yield _build()
        yield from self._law()
        yield from self._events()
        yield from self._target()
        yield from self._breaker()
        yield from self._sessions()
        for name, value in self._store().items():
            family = _gauge(f"store_{name}")
            family.add_metric([], value)
            yield family
        lag = _histogram("event_loop_lag_seconds")
        _fill(lag, [], self._lag)
        yield lag

    def _law(self) -> Iterator[Family]:
        received, settled = _counter("deliveries_received"), _counter("deliveries_settled")
        in_flight, forgotten = _gauge("deliveries_in_flight"), _counter("deliveries_forgotten")
        oldest = _gauge("oldest_event_seconds")
        for route, watched in self._routes.items():
            tally = watched.tally
            for stage in Stage:
                received.add_metric([route, stage.value], tally.received[stage])
                in_flight.add_metric([route, stage.value], tally.in_flight[stage])
                for verdict in Verdict:
                    settled.add_metric([route, stage.value, verdict.value], tally.settled[stage, verdict])
            forgotten.add_metric([route], watched.forgotten())
            oldest.add_metric([route], watched.oldest())
        yield from (received, settled, in_flight, forgotten, oldest)

    def _events(self) -> Iterator[Family]:
        events, buried, controls = _counter("events"), _counter("events_buried"), _counter("control")
        for route, watched in self._routes.items():
            for result in Result:
                events.add_metric([route, result.value], watched.tally.events[result])
            for kind in KINDS:
                buried.add_metric([route, kind], watched.tally.buried[kind])
            for op in Op:
                for effect in Effect:
                    controls.add_metric([route, op.value, effect.value], watched.tally.controls[op, effect])
        yield from (events, buried, controls)
        for name, read in _PLAIN:
            family = _counter(name)
            for route, watched in self._routes.items():
                family.add_metric([route], read(watched.tally))
            yield family
        for name, read in _NOW:
            gauge = _gauge(name)
            for route, watched in self._routes.items():
                gauge.add_metric([route], read(watched.tally))
            yield gauge

    def _target(self) -> Iterator[Family]:
        outcomes, requests = _counter("sends"), _histogram("request_seconds")
        accepting, lateness = _histogram("accept_seconds"), _histogram("delay_lateness_seconds")
        under_way, limit = _gauge("requests_under_way"), _gauge("requests_limit")
        for route, watched in self._routes.items():
            tally = watched.tally
            for outcome in OUTCOMES:
                outcomes.add_metric([route, outcome], tally.outcomes[outcome])
            for outcome in REQUEST_OUTCOMES:
                _fill(requests, [route, outcome], tally.requests[outcome])
            for gauge, now in zip((under_way, limit), watched.requests(), strict=True):
                gauge.add_metric([route], now)
            _fill(accepting, [route], tally.seconds_to_accept)
            _fill(lateness, [route], tally.lateness)
        yield from (outcomes, requests, accepting, lateness, under_way, limit)

    def _breaker(self) -> Iterator[Family]:
        state, opened, paused = _gauge("breaker_state"), _counter("breaker_opened"), _gauge("intake_paused")
        for route, watched in self._routes.items():
            now = watched.breaker()
            for each in State:
                state.add_metric([route, each.value], float(each is now))
            opened.add_metric([route], watched.opened())
            for reason in PAUSES:
                paused.add_metric([route, reason], float(watched.tally.paused[reason] > 0))
        yield from (state, opened, paused)

    def _sessions(self) -> Iterator[Family]:
        reconnects, connected = _counter("session_rebuilds"), _gauge("session_up")
        for route, watched in self._routes.items():
            for name, count in watched.reconnects().items():
                reconnects.add_metric([route, name], count)
            for name, up in watched.connected().items():
                connected.add_metric([route, name], float(up))
        yield from (reconnects, connected)
        yield from self._partitions()

    def _partitions(self) -> Iterator[Family]:
        lag, stuck, missed = _gauge("lag"), _gauge("partitions_stuck"), _counter("records_missed")
        for route, watched in self._routes.items():
            for name, backlog in watched.backlogs().items():
                lag.add_metric([route, name], backlog.lag)
                stuck.add_metric([route, name], backlog.stuck)
                missed.add_metric([route, name], backlog.missed)
        yield from (lag, stuck, missed)


_PLAIN: tuple[tuple[str, Callable[[Tally], int]], ...] = (
    ("id_conflicts", lambda tally: tally.conflicts),
    ("naming_complaints", lambda tally: tally.naming_complaints),
    ("store_bypassed", lambda tally: tally.store_bypassed),
    ("marks_failed", lambda tally: tally.marks_failed),
    ("leases_lost", lambda tally: tally.leases_lost),
    ("faults", lambda tally: tally.faults),
    ("order_given_up", lambda tally: tally.disordered),
)

_NOW: tuple[tuple[str, Callable[[Tally], int]], ...] = (
    ("events_parked", lambda tally: tally.parked),
    ("events_in_line", lambda tally: tally.in_line),
    ("keys_stuck", lambda tally: tally.stuck),
)


def registry(collector: BridgeCollector) -> CollectorRegistry:
    """A registry of its own with the bridge's metrics and those of the process."""
    made = CollectorRegistry(auto_describe=False)
    made.register(collector)
    ProcessCollector(registry=made)
    PlatformCollector(registry=made)
    GCCollector(registry=made)
    return made


def _build() -> GaugeMetricFamily:
    try:
        loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    except RuntimeError:
        loop = "none"
    family = _gauge("build_info")
    family.add_metric([__version__, platform.python_version(), loop], 1.0)
    return family


def _counter(name: str) -> CounterMetricFamily:
    described = DESCRIBED[f"bridge_{name}_total"]
    return CounterMetricFamily(f"bridge_{name}", described.help, labels=described.labels)


def _gauge(name: str) -> GaugeMetricFamily:
    described = DESCRIBED[f"bridge_{name}"]
    return GaugeMetricFamily(described.name, described.help, labels=described.labels)


def _histogram(name: str) -> HistogramMetricFamily:
    described = DESCRIBED[f"bridge_{name}"]
    return HistogramMetricFamily(described.name, described.help, labels=described.labels)


def _fill(family: HistogramMetricFamily, labels: Sequence[str], histogram: Histogram) -> None:
    buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = [*histogram.cumulative()]
    for place, found in histogram.exemplars.items():  # shown in OpenMetrics only; the older format has no room for them
        at = None if found.at is None else found.at / 1000
        buckets[place] = (*buckets[place][:2], Exemplar({"trace_id": found.trace_id}, found.value, at))
    family.add_metric(labels, buckets=buckets, sum_value=histogram.sum)
