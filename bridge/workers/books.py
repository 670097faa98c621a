"""What the parent knows of its workers, for the admin port."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from bridge.workers.merging import Merged
from bridge.workers.report import Report

_PARENT = 0
"""The parent's own place among the workers: the memory that it takes counts too."""


class Absence(NamedTuple):
    """Why a worker is not there, and when it is started again (monotonic seconds)."""

    reason: str
    again: float


class Books(Collector):
    """Counts starts and ends, and puts the workers' metrics together."""

    def __init__(self, count: int) -> None:
        self._merged = Merged()
        self._up = dict.fromkeys(range(1, count + 1), 0)
        self._restarts = dict.fromkeys(range(1, count + 1), 0)
        self._absent: dict[int, Absence] = {}
        self._own = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._own)
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)

    def hear(self, worker: int) -> Callable[[Report], None]:
        """Give what takes the reports of a worker."""

        def take(report: Report) -> None:
            self._up[worker] = 1
            self._merged.put(worker, report.families)

        return take

    def end(self, worker: int) -> None:
        """Note the end of a worker's process."""
        self._up[worker] = 0
        self._merged.retire(worker)

    def gone(self, worker: int, reason: str, *, again: float) -> None:
        """Note why it ended, and when (monotonic seconds) it is started again."""
        self._absent[worker] = Absence(reason, again)

    def restarted(self, worker: int) -> None:
        self._restarts[worker] += 1
        self._absent.pop(worker, None)

    def absence(self, worker: int) -> str:
        """Say why a worker does not run."""
        if worker not in self._absent:
            return "starting"
        reason, again = self._absent[worker]
        return f"{reason}, starts again in {max(0.0, again - time.monotonic()):.0f} s"

    def collect(self) -> Iterable[Metric]:
        """Give everyone's metrics as one, and who is there."""
        self._merged.put(_PARENT, list(self._own.collect()))
        yield from self._merged.collect()
        up = GaugeMetricFamily("bridge_worker_up", "Whether the worker runs and reports.", labels=["worker"])
        restarts = CounterMetricFamily("bridge_worker_restarts", "Starts after the first.", labels=["worker"])
        for worker in self._up:
            up.add_metric([str(worker)], self._up[worker])
            restarts.add_metric([str(worker)], self._restarts[worker])
        yield from (up, restarts)
