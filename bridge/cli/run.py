"""`event-bridge run`: the daemon, in this process or in as many as the settings say."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bridge.cli.loops import factory_of
from bridge.cli.main import FAULT, OK
from bridge.cli.signals import Asked
from bridge.errors import ConfigError
from bridge.settings.problems import Problems
from bridge.telemetry.logs import logging_to
from bridge.telemetry.redaction import redact

if TYPE_CHECKING:
    from bridge.settings.load import Loaded
    from bridge.settings.tree import Settings
    from bridge.workers.leash import Leash

log = logging.getLogger(__name__)


def main(options: argparse.Namespace) -> int:
    """Run until asked to stop. 0: everything was drained; 1: a fault; ConfigError: the settings cannot work."""
    asked = Asked()
    leash = _leash(options.worker, asked) if options.worker else None
    from bridge.settings.load import load, secrets_of  # after the signals are caught: these imports take a while

    loaded = load(file=options.config, environment=os.environ, assignments=options.assignments)
    settings = loaded.settings
    redact.hide(secrets_of(settings))
    worker = leash.number if leash else None
    with logging_to(sys.stdout, style=settings.log.format, level=settings.log.level, worker=worker):
        return _run(loaded, asked, leash)


def _leash(word: str, asked: Asked) -> Leash:
    from bridge.workers.leash import Leash

    leash = Leash.parse(word)
    leash.hold(asked)
    return leash


def _run(loaded: Loaded, asked: Asked, leash: Leash | None) -> int:
    from bridge.workers.cpus import workers_of

    settings = loaded.settings
    count = workers_of(settings.workers) if leash is None else 1
    try:
        if count > 1:
            return asked.run(lambda stop: _parent(settings, count, stop))  # uvloop keeps SIGCHLD to itself
        return asked.run(lambda stop: _work(settings, stop, leash), factory_of(settings.event_loop))
    except asyncio.CancelledError:
        log.warning("stopped_without_draining")
        return FAULT
    except Exception as error:
        if problems := list(_settings_at_fault(error)):
            raise Problems(map(loaded.located, problems)) from None
        log.critical("fault", exc_info=error)
        return FAULT


async def _parent(settings: Settings, count: int, stop: asyncio.Event) -> int:
    """Be the parent of so many workers."""
    from bridge.workers.supervisor import Supervisor

    command = [sys.executable, *sys.orig_argv[1:]]
    return await Supervisor(command, count, settings.admin, settings.drain_timeout).run(stop)


async def _work(settings: Settings, stop: asyncio.Event, leash: Leash | None) -> int:
    """Be a worker, or all there is."""
    from bridge import app

    if leash is None:
        await app.run(settings, stop)
        return OK
    from bridge.workers.naming import settings_of

    leash.allow(settings.drain_timeout)
    await app.run(settings_of(leash.number, settings), stop, leash.reporting)
    return OK


def _settings_at_fault(error: BaseException) -> Iterator[ConfigError]:
    """Find the ConfigErrors, also in a group, when there is nothing else in it."""
    if isinstance(error, ConfigError):
        yield error
    elif isinstance(error, BaseExceptionGroup):
        found = [list(_settings_at_fault(inner)) for inner in error.exceptions]
        if all(found):
            yield from (problem for problems in found for problem in problems)
