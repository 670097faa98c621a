"""`event-bridge devserver`: the local event API for development."""

from __future__ import annotations

import argparse
import asyncio
import sys

from pydantic import ValidationError

from bridge.cli.main import FAULT, OK
from bridge.cli.signals import Asked
from bridge.settings.problems import Problem, Problems
from bridge.telemetry.logs import logging_to
from bridge.telemetry.redaction import redact


def main(options: argparse.Namespace) -> int:
    """Serve until asked to stop."""
    asked = Asked()
    from bridge.devserver import DevServerSettings, parse_fault, serve

    redact.hide([*options.keys, *options.webhook_secrets])
    try:
        settings = DevServerSettings(
            host=options.host,
            port=options.port,
            keys=options.keys,
            webhook_secrets=options.webhook_secrets,
            faults=[parse_fault(spec) for spec in options.faults],
            seed=options.seed,
        )
    except ValidationError as error:
        raise Problems(
            Problem(f"--{'-'.join(map(str, detail['loc']))}", detail["msg"], "See `event-bridge devserver --help`")
            for detail in error.errors(include_input=False, include_url=False)
        ) from None
    except ValueError as error:
        raise Problem("--fault", str(error), "See docs/devserver.md") from None
    with logging_to(sys.stderr):
        try:
            asked.run(lambda stop: serve(settings, stop))
        except asyncio.CancelledError:
            return FAULT
        return OK
