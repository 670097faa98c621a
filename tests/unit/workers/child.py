"""A worker for the tests: the real leash around what the first argument says; and a parent, for `parent ARGUMENTS`."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

from bridge import app
from bridge.cli.signals import Asked
from bridge.settings.process import AdminSettings
from bridge.settings.tree import Settings
from bridge.sources.memory import MemorySource
from bridge.telemetry.logs import logging_to
from bridge.workers import supervisor
from bridge.workers.leash import OPTION, Leash
from bridge.workers.supervisor import Supervisor

ROUTE = {"source": {"type": "memory"}, "target": {"type": "memory"}, "store": {"type": "memory"}}
EVENTS = 10
FAILING = [sys.executable, "-c", "raise SystemExit(3)"]


def main() -> int:
    role, *arguments = sys.argv[1:]
    asked = Asked()
    if role == "parent":
        return parent(asked, *arguments)
    assert arguments[0] == OPTION
    leash = Leash.parse(arguments[1])
    leash.hold(asked)
    with logging_to(sys.stdout, worker=leash.number):
        return ROLES[role](asked, leash)


def parent(asked: Asked, port: str, count: str, role: str, drain_timeout: str, constants: str) -> int:
    for name, value in json.loads(constants).items():
        setattr(supervisor, name, value)
    admin = AdminSettings(port=int(port))
    command = FAILING if role == "fails" else [sys.executable, __file__, role]
    with logging_to(sys.stdout):
        parent = Supervisor(command, int(count), admin, float(drain_timeout))
        try:
            return asked.run(parent.run)
        except asyncio.CancelledError:
            return supervisor.FAULT


def works(asked: Asked, leash: Leash) -> int:
    """A whole bridge in memory, which delivers ten events as soon as it runs."""
    bridge = app.App(Settings.model_validate(ROUTE), leash.reporting)
    source = bridge.routes["default"].parts.source
    assert isinstance(source, MemorySource)
    for number in range(EVENTS):
        event = {"id": f"{os.getpid()}-{number}", "name": "user.created", "data": {}}
        source.publish(json.dumps(event).encode())
    asked.run(bridge.run)
    return 0


def refuses(_asked: Asked, leash: Leash) -> int:
    """The first cannot use the settings, the others work."""
    return 78 if leash.number == 1 else works(_asked, leash)


def stubborn(asked: Asked, leash: Leash) -> int:
    """Reports, and then never ends by itself."""

    async def work(_stop: asyncio.Event) -> None:
        bridge = app.App(Settings.model_validate(ROUTE), leash.reporting)
        await bridge.run(asyncio.Event())

    try:
        asked.run(work)
    except asyncio.CancelledError:
        return 1
    return 0


def deaf(_asked: Asked, leash: Leash) -> int:
    """Reports once, then hangs in the middle of its loop."""

    async def work(_stop: asyncio.Event) -> None:
        bridge = app.App(Settings.model_validate(ROUTE), leash.reporting)
        asyncio.get_running_loop().call_later(1, time.sleep, 600)
        await bridge.run(asyncio.Event())

    leash.allow(-14.0)
    _asked.run(work)
    return 0


ROLES = {"works": works, "refuses": refuses, "stubborn": stubborn, "deaf": deaf}

if __name__ == "__main__":
    sys.exit(main())
