"""`event-bridge check`: everything about the settings that can be known without side effects; more with `--connect`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial

import orjson

from bridge.app import App
from bridge.cli.console import mark
from bridge.cli.finding import Finding
from bridge.cli.main import CONFIG, FAULT, OK
from bridge.cli.reach import reach
from bridge.errors import ConfigError
from bridge.settings.load import Loaded, load, secrets_of
from bridge.settings.problems import Problems
from bridge.settings.shown import as_yaml, masked
from bridge.settings.tree import Settings
from bridge.targets.credentials import Credentials
from bridge.telemetry.logs import logging_to
from bridge.telemetry.redaction import redact


def main(options: argparse.Namespace) -> int:
    """0: valid, and with `--connect` all reached; 1: something was not; 78: a person must change something."""
    try:
        loaded = load(file=options.config, environment=os.environ, assignments=options.assignments)
        redact.hide(secrets_of(loaded.settings))
        _build(loaded)
    except ConfigError as error:
        if not options.json:
            raise
        _write(orjson.dumps({"valid": False, "problems": _as_json(error)}, option=orjson.OPT_INDENT_2))
        return CONFIG
    found = _reach(loaded.settings) if options.connect else []
    if options.json:
        _write(orjson.dumps(_report(loaded, found), option=orjson.OPT_INDENT_2))
    else:
        _write(_text(loaded, found, connected=options.connect).encode())
    return FAULT if any(finding.level == "error" for finding in found) else OK


def _build(loaded: Loaded) -> None:
    """Build every part, and read every secret. Raises Problems."""
    problems: list[ConfigError] = []
    builds: list[Callable[[], object]] = [*_credentials(loaded.settings), partial(App, loaded.settings)]
    for build in builds:
        try:
            build()
        except ConfigError as problem:
            problems.append(loaded.located(problem))
    if problems:
        raise Problems(problems)


def _credentials(settings: Settings) -> Iterator[Callable[[], object]]:
    for name, route in settings.routes.items():
        if route.target.type != "memory":
            yield Credentials(route.target.secrets(), where=f"routes.{name}.target").load


def _reach(settings: Settings) -> list[Finding]:
    with logging_to(sys.stderr, level="warning"):
        return asyncio.run(reach(settings))


def _as_json(error: ConfigError) -> list[dict[str, str]]:
    found = error.found if isinstance(error, Problems) else [error]
    return [
        {
            "where": getattr(problem, "where", ""),
            "field": problem.field,
            "problem": problem.problem,
            "cure": problem.cure,
        }
        for problem in found
    ]


def _report(loaded: Loaded, found: list[Finding]) -> dict[str, object]:
    origins = {".".join(map(str, trail)): where for trail, where in loaded.stack.origins.items()}
    return {
        "valid": True,
        "file": str(loaded.file) if loaded.file else None,
        "settings": masked(loaded.settings),
        "origins": origins,
        "findings": [asdict(finding) for finding in found],
    }


def _text(loaded: Loaded, found: list[Finding], *, connected: bool) -> str:
    """Give the settings as YAML; what was found follows as comments, so that the whole stays a settings file."""
    count = len(loaded.settings.routes)
    lines = [as_yaml(loaded), f"# {mark('ok', sys.stdout)} the settings are valid: {count} route{'s' * (count > 1)}"]
    for finding in found:
        lines.append(f"# {mark(finding.level, sys.stdout)} {finding.part}: {finding.text}")
        if finding.cure:
            lines.append(f"#         {finding.cure}.")
    if not connected:
        lines.append("#         Nothing was connected to; --connect does that.")
    return "\n".join(lines) + "\n"


def _write(text: bytes) -> None:
    sys.stdout.write(text.decode().rstrip("\n") + "\n")
    sys.stdout.flush()
