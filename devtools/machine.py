"""
Put what the tests need onto this machine, ahead of the tests: `python -m devtools.machine`.

The fixtures do the same when they are first needed. Doing it beforehand shows what takes long, and keeps it out of the
time limits of the tests.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from devtools import browser, containers, debian, kafka_jars
from devtools import kafka as kafkas
from devtools import prometheus as prometheuses
from devtools import rabbitmq as rabbitmqs
from devtools import redis as redises
from devtools.processes import CommandError, MissingError


def prepare(*, rabbitmq: bool, kafka: bool, redis: bool, chromium: bool, prometheus: bool) -> list[str]:
    """Install what is wanted and missing, and return a sentence for each thing that cannot be had."""
    steps: list[tuple[str, Callable[[], object]]] = []
    if chromium:
        steps.append(("Chromium", browser.chromium))
    if redis:
        steps.append(("Redis", redises.program))
    if prometheus:
        steps.append(("Prometheus", prometheuses.programs))
    natively = not containers.engine_answers()
    if rabbitmq and natively:
        steps += [(f"RabbitMQ {version}", partial(debian.rabbitmq_root, version)) for version in rabbitmqs.VERSIONS]
    if kafka and natively:
        steps += [(f"Kafka {version}", partial(kafka_jars.jars, version)) for version in kafkas.VERSIONS]
    with ThreadPoolExecutor() as pool:  # apt waits for apt, and Maven for Maven, but not for each other
        return [sentence for sentence in pool.map(_try, steps) if sentence]


def _try(named: tuple[str, Callable[[], object]]) -> str | None:
    name, step = named
    began = time.monotonic()
    try:
        step()
    except (MissingError, CommandError) as error:
        return str(error)
    if (took := time.monotonic() - began) > 1:
        print(f"{name} was installed, {took:.0f} s", file=sys.stderr)
    return None


if __name__ == "__main__":
    for missing in prepare(rabbitmq=True, kafka=True, redis=True, chromium=True, prometheus=True):
        print(missing, file=sys.stderr)
