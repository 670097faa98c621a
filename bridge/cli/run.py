"""`event-bridge run`: the daemon."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Iterator

from bridge.cli.main import FAULT, OK
from bridge.cli.signals import Asked
from bridge.errors import ConfigError
from bridge.settings.problems import Problems
from bridge.telemetry.logs import logging_to
from bridge.telemetry.redaction import redact

log = logging.getLogger(__name__)


def main(options: argparse.Namespace) -> int:
    """Run until asked to stop. 0: everything was drained; 1: a fault; ConfigError: the settings cannot work."""
    asked = Asked()
    from bridge import app  # after the signals are caught: these imports take a while
    from bridge.settings.load import load, secrets_of

    loaded = load(file=options.config, environment=os.environ, assignments=options.assignments)
    settings = loaded.settings
    redact.hide(secrets_of(settings))
    with logging_to(sys.stdout, style=settings.log.format, level=settings.log.level):
        try:
            asked.run(lambda stop: app.run(settings, stop))
        except asyncio.CancelledError:
            log.warning("stopped_without_draining")
            return FAULT
        except Exception as error:
            if problems := list(_settings_at_fault(error)):
                raise Problems(map(loaded.located, problems)) from None
            log.critical("fault", exc_info=error)
            return FAULT
        return OK


def _settings_at_fault(error: BaseException) -> Iterator[ConfigError]:
    """Find the ConfigErrors, also in a group, when there is nothing else in it."""
    if isinstance(error, ConfigError):
        yield error
    elif isinstance(error, BaseExceptionGroup):
        found = [list(_settings_at_fault(inner)) for inner in error.exceptions]
        if all(found):
            yield from (problem for problems in found for problem in problems)
