"""What a worker tells its parent, once a second: one line of JSON down a pipe."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Exemplar, Sample

LONGEST = 16 << 20  # bytes of a line; a worker with fifty routes says half a megabyte


@dataclass(slots=True, frozen=True)
class Report:
    """Why a worker is not ready (empty when it is), and all of its metrics at one moment."""

    unready: tuple[str, ...]
    families: tuple[Metric, ...]


def encode(unready: Iterable[str], families: Iterable[Metric]) -> bytes:
    """Write a report as a line."""
    said = {"unready": list(unready), "families": [_family(family) for family in families]}
    return json.dumps(said, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Report:
    """Read a line back. Raises ValueError when it is not one of ours."""
    try:
        said = json.loads(line)
        return Report(tuple(map(str, said["unready"])), tuple(map(_metric, said["families"])))
    except (TypeError, KeyError, RecursionError) as error:
        raise ValueError("no report") from error


def _family(family: Metric) -> list[Any]:
    samples = [[sample.name, sample.labels, sample.value, *_exemplar(sample)] for sample in family.samples]
    return [family.name, family.documentation, family.type, samples]


def _exemplar(sample: Sample) -> list[Any]:
    return [] if sample.exemplar is None else list(sample.exemplar)


def _metric(family: list[Any]) -> Metric:
    name, text, kind, samples = family
    metric = Metric(name, text, kind)
    metric.samples = [
        Sample(sample, dict(labels), float(value), exemplar=Exemplar(*shown) if shown else None)
        for sample, labels, value, *shown in samples
    ]
    return metric
