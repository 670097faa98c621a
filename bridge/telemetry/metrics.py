"""
The metrics endpoint's view of the tallies.

Nothing is written here while events flow: a scrape reads the plain numbers that the routes keep (`bridge.core.tally`).
The law anyone can check, for each route and stage:

    bridge_deliveries_received_total = sum(bridge_deliveries_settled_total) + bridge_deliveries_in_flight
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from bridge import __version__
from bridge.core.breaker import State
from bridge.core.control import Effect, Op
from bridge.core.slots import Result
from bridge.core.tally import Histogram, Tally
from bridge.model import Backlog, Stage, Verdict

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily | InfoMetricFamily

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


class BridgeCollector(Collector):
    """Turns tallies into metric families at each scrape; every label set is closed and starts at zero."""

    def __init__(self, routes: Mapping[str, Watched], store: Callable[[], Mapping[str, float]]) -> None:
        self._routes = routes
        self._store = store

    def collect(self) -> Iterable[Family]:
        yield InfoMetricFamily("bridge", "The running version.", value={"version": __version__})
        yield from self._law()
        yield from self._events()
        yield from self._target()
        yield from self._sessions()
        for name, value in self._store().items():
            yield GaugeMetricFamily(f"bridge_store_{name}", f"Of the key store: {name.replace('_', ' ')}.", value=value)

    def _law(self) -> Iterator[Family]:
        received = _counter("deliveries_received", "Deliveries taken from a broker.", "stage")
        settled = _counter("deliveries_settled", "Deliveries the broker was told about.", "stage", "verdict")
        in_flight = _gauge("deliveries_in_flight", "Deliveries received and not settled yet.", "stage")
        forgotten = _counter("deliveries_forgotten", "Settlements after their session was lost.")
        for route, watched in self._routes.items():
            tally = watched.tally
            for stage in Stage:
                received.add_metric([route, stage.value], tally.received[stage])
                in_flight.add_metric([route, stage.value], tally.in_flight[stage])
                for verdict in Verdict:
                    settled.add_metric([route, stage.value, verdict.value], tally.settled[stage, verdict])
            forgotten.add_metric([route], watched.forgotten())
        yield from (received, settled, in_flight, forgotten)

    def _events(self) -> Iterator[Family]:
        events = _counter("events", "Events by what became of them; a parked one counts again later.", "result")
        buried = _counter("events_buried", "Events put into the dead letters, by kind.", "kind")
        controls = _counter("control", "Control envelopes by what they came to.", "op", "result")
        for route, watched in self._routes.items():
            for result in Result:
                events.add_metric([route, result.value], watched.tally.events[result])
            for kind in KINDS:
                buried.add_metric([route, kind], watched.tally.buried[kind])
            for op in Op:
                for effect in Effect:
                    controls.add_metric([route, op.value, effect.value], watched.tally.controls[op, effect])
        yield from (events, buried, controls)
        for name, text, read in _PLAIN:
            family = _counter(name, text)
            for route, watched in self._routes.items():
                family.add_metric([route], read(watched.tally))
            yield family
        for name, text, read in _NOW:
            gauge = _gauge(name, text)
            for route, watched in self._routes.items():
                gauge.add_metric([route], read(watched.tally))
            yield gauge

    def _target(self) -> Iterator[Family]:
        outcomes = _counter("sends", "Sends of an event by what the target answered.", "outcome")
        breaker = _gauge("breaker_state", "1 for the state the target's breaker is in.", "state")
        paused = _gauge("intake_paused", "Whether the intake is held back, by reason.", "reason")
        under_way = _gauge("requests_under_way", "Requests to the target that are not answered yet.")
        limit = _gauge("requests_limit", "How many requests to the target may be under way at once.")
        accepting = _histogram("accept_seconds", "From first sight of an event to its acceptance.")
        lateness = _histogram("delay_lateness_seconds", "From an event's due time to its first send.")
        for route, watched in self._routes.items():
            tally, state = watched.tally, watched.breaker()
            for outcome in OUTCOMES:
                outcomes.add_metric([route, outcome], tally.outcomes[outcome])
            for each in State:
                breaker.add_metric([route, each.value], float(each is state))
            for reason in PAUSES:
                paused.add_metric([route, reason], float(tally.paused[reason] > 0))
            for gauge, now in zip((under_way, limit), watched.requests(), strict=True):
                gauge.add_metric([route], now)
            _fill(accepting, route, tally.seconds_to_accept)
            _fill(lateness, route, tally.lateness)
        yield from (outcomes, breaker, paused, under_way, limit, accepting, lateness)

    def _sessions(self) -> Iterator[Family]:
        reconnects = _counter("session_rebuilds", "Broker sessions built after the first.", "session")
        connected = _gauge("session_up", "Whether the broker session stands.", "session")
        for route, watched in self._routes.items():
            for name, count in watched.reconnects().items():
                reconnects.add_metric([route, name], count)
            for name, up in watched.connected().items():
                connected.add_metric([route, name], float(up))
        yield from (reconnects, connected)
        yield from self._partitions()

    def _partitions(self) -> Iterator[Family]:
        lag = _gauge("lag", "Records of Kafka partitions that are not settled.", "session")
        stuck = _gauge("partitions_stuck", "Kafka partitions left alone: a record is unreadable.", "session")
        missed = _counter("records_missed", "Records that Kafka deleted before they were read.", "session")
        for route, watched in self._routes.items():
            for name, backlog in watched.backlogs().items():
                lag.add_metric([route, name], backlog.lag)
                stuck.add_metric([route, name], backlog.stuck)
                missed.add_metric([route, name], backlog.missed)
        yield from (lag, stuck, missed)


_PLAIN: tuple[tuple[str, str, Callable[[Tally], int]], ...] = (
    ("id_conflicts", "Events whose id was seen before with another payload.", lambda tally: tally.conflicts),
    ("naming_complaints", "Events whose name breaks the naming convention.", lambda tally: tally.naming_complaints),
    ("store_bypassed", "Events sent without a claim while the key store was away.", lambda tally: tally.store_bypassed),
    (
        "marks_failed",
        "Marks the key store could not take; each may cost a second send.",
        lambda tally: tally.marks_failed,
    ),
    ("leases_lost", "Claims that ended before their event did.", lambda tally: tally.leases_lost),
    ("faults", "Bugs that a batch or a delivery survived.", lambda tally: tally.faults),
    ("order_given_up", "Events that gave up their place in the order of their key.", lambda tally: tally.disordered),
)

_NOW: tuple[tuple[str, str, Callable[[Tally], int]], ...] = (
    ("events_parked", "Events waiting inside the process for a time of their own.", lambda tally: tally.parked),
    ("events_in_line", "Events waiting behind another one of their key.", lambda tally: tally.in_line),
    ("keys_stuck", "Keys blocked by an event that has failed for `stuck_after`.", lambda tally: tally.stuck),
)


def registry(collector: BridgeCollector) -> CollectorRegistry:
    """A registry of its own with the bridge's metrics and those of the process."""
    made = CollectorRegistry(auto_describe=False)
    made.register(collector)
    ProcessCollector(registry=made)
    PlatformCollector(registry=made)
    GCCollector(registry=made)
    return made


def _counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"bridge_{name}", text, labels=["route", *labels])


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"bridge_{name}", text, labels=["route", *labels])


def _histogram(name: str, text: str) -> HistogramMetricFamily:
    return HistogramMetricFamily(f"bridge_{name}", text, labels=["route"])


def _fill(family: HistogramMetricFamily, route: str, histogram: Histogram) -> None:
    family.add_metric([route], buckets=histogram.cumulative(), sum_value=histogram.sum)
