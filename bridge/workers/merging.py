"""
The metrics of all workers as those of one process.

What counts up is added, and what a worker counted stays when it ends: a counter never goes back. What is true at a
moment is put together as `GAUGES` says, over the workers that run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar, Sample

Labels: TypeAlias = tuple[tuple[str, str], ...]
Key: TypeAlias = tuple[str, Labels]
Combine: TypeAlias = Callable[[Sequence[float]], float]

COUNTING = ("counter", "histogram")
"""The types whose samples only grow."""

GAUGES: Mapping[str, Combine] = {
    "bridge_deliveries_in_flight": sum,
    "bridge_oldest_event_seconds": max,
    "bridge_events_parked": sum,
    "bridge_requests_under_way": sum,
    "bridge_requests_limit": sum,
    "bridge_events_in_line": sum,
    "bridge_keys_stuck": sum,
    "bridge_breaker_state": max,  # and `closed` only where it is so in all
    "bridge_intake_paused": max,
    "bridge_session_up": min,
    "bridge_lag": sum,  # each worker has partitions of its own
    "bridge_partitions_stuck": sum,
    "bridge_store_healthy": min,
    "process_virtual_memory_bytes": sum,
    "process_resident_memory_bytes": sum,
    "process_open_fds": sum,
    "process_max_fds": min,
    "process_start_time_seconds": min,
}
"""How gauges of several workers become one. What is not named is the largest: of `bridge_store_*` all see one store."""

_IN_FLIGHT, _SETTLED = "bridge_deliveries_in_flight", "bridge_deliveries_settled"
_RETURN = "return"  # the label's value for what went back to the broker


class Merged(Collector):
    """Keeps the last metrics of each worker, and the sum of what those counted that are gone."""

    def __init__(self) -> None:
        self._latest: dict[int, Sequence[Metric]] = {}
        self._kept: dict[str, dict[Key, float]] = {}  # by family
        self._families: dict[str, tuple[str, str]] = {}  # name -> text and type, in the order in which they were seen

    def put(self, worker: int, families: Sequence[Metric]) -> None:
        """Take the metrics of a worker in place of those before."""
        self._latest[worker] = families
        self._families.update((family.name, (family.documentation, family.type)) for family in families)

    def retire(self, worker: int) -> None:
        """
        Keep what a worker counted whose process has ended.

        What it had in flight went back to the broker when its connection closed, so it counts as returned: received
        stays settled + in flight.
        """
        for family in self._latest.pop(worker, ()):
            for sample in family.samples:
                if family.type in COUNTING:
                    self._keep(family.name, sample.name, sample.labels, sample.value)
                elif sample.name == _IN_FLIGHT:
                    returned = {**sample.labels, "verdict": _RETURN}
                    self._keep(_SETTLED, f"{_SETTLED}_total", returned, sample.value)

    def collect(self) -> Iterable[Metric]:
        """Give one family for each name that any worker has told of."""
        values, exemplars = self._values(), self._exemplars()
        for name, (text, kind) in self._families.items():
            metric = Metric(name, text, kind)
            metric.samples = list(self._samples(kind, values.get(name, {}), exemplars))
            if metric.samples:
                yield metric

    def _keep(self, family: str, name: str, labels: Mapping[str, str], value: float) -> None:
        kept, key = self._kept.setdefault(family, {}), (name, tuple(labels.items()))
        kept[key] = kept.get(key, 0.0) + value

    def _values(self) -> dict[str, dict[Key, list[float]]]:
        """Give by family what the workers say of each sample, in the order of the first who says it."""
        found: dict[str, dict[Key, list[float]]] = {}
        for family in (family for families in self._latest.values() for family in families):
            samples = found.setdefault(family.name, {})
            for sample in family.samples:
                samples.setdefault((sample.name, tuple(sample.labels.items())), []).append(sample.value)
        for name, kept in self._kept.items():
            samples = found.setdefault(name, {})
            for key, value in kept.items():
                samples.setdefault(key, []).append(value)
        return found

    def _exemplars(self) -> dict[Key, Exemplar]:
        """Give the newest of each sample that has any."""
        newest: dict[Key, Exemplar] = {}
        for sample in (each for families in self._latest.values() for family in families for each in family.samples):
            if (found := sample.exemplar) is not None:
                key = (sample.name, tuple(sample.labels.items()))
                if key not in newest or float(found.timestamp or 0) > float(newest[key].timestamp or 0):
                    newest[key] = found
        return newest

    def _samples(
        self, kind: str, values: Mapping[Key, Sequence[float]], exemplars: Mapping[Key, Exemplar]
    ) -> Iterator[Sample]:
        for (name, labels), told in values.items():
            combine = sum if kind in COUNTING else combining(name, dict(labels))
            shown = exemplars.get((name, labels))
            yield Sample(name, dict(labels), float(combine(told)), exemplar=shown)


def combining(name: str, labels: Mapping[str, str]) -> Combine:
    """Give how a gauge is put together."""
    if labels.get("state") == "closed":
        return min
    return GAUGES.get(name, max)
