"""`event-bridge devserver`: the local event API for development."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

from bridge.cli.main import FAULT, OK
from bridge.cli.signals import Asked
from bridge.settings.problems import Problem, Problems
from bridge.telemetry.logs import logging_to
from bridge.telemetry.redaction import redact

if TYPE_CHECKING:
    from bridge.devserver import DevServerSettings


def main(options: argparse.Namespace) -> int:
    """Serve until asked to stop."""
    asked = Asked()
    from bridge.devserver import serve

    redact.hide([*options.keys, *options.webhook_secrets])
    settings = _settings(options)
    with logging_to(sys.stderr):
        try:
            asked.run(lambda stop: serve(settings, stop))
        except asyncio.CancelledError:
            return FAULT
        return OK


def _settings(options: argparse.Namespace) -> DevServerSettings:
    """Read the options. Raises Problems."""
    from pydantic import ValidationError

    from bridge.devserver import DevServer, DevServerSettings, parse_fault

    option = "--fault "
    try:
        faults = [parse_fault(spec) for spec in options.faults]
        option = ""
        settings = DevServerSettings(
            host=options.host,
            port=options.port,
            keys=options.keys,
            webhook_secrets=options.webhook_secrets,
            faults=tuple(faults),
            seed=options.seed,
        )
        option = "--webhook-secret"
        DevServer(settings)
    except ValidationError as error:
        raise Problems(
            Problem(f"{option or '--'}{'.'.join(map(str, detail['loc']))}", detail["msg"], "See docs/devserver.md")
            for detail in error.errors(include_input=False, include_url=False)
        ) from None
    except ValueError as error:
        raise Problem(option.strip(), str(error), "See docs/devserver.md") from None
    return settings
