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

from devtools import browser, containers, debian
from devtools.processes import CommandError, MissingError
from devtools.rabbitmq import VERSIONS


def prepare(*, rabbitmq: bool, chromium: bool) -> list[str]:
    """Install what is wanted and missing, and return a sentence for each thing that cannot be had."""
    steps: list[tuple[str, Callable[[], object]]] = []
    if chromium:
        steps.append(("Chromium", browser.chromium))
    if rabbitmq and not containers.engine_answers():
        steps += [(f"RabbitMQ {version}", partial(debian.rabbitmq_root, version)) for version in VERSIONS]
    with ThreadPoolExecutor() as pool:  # apt waits for apt, but not for debootstrap
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
    for missing in prepare(rabbitmq=True, chromium=True):
        print(missing, file=sys.stderr)
