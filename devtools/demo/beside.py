"""The bridge of the demo as a process of its own, beside a real broker."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from devtools.demo.road import ROUTES, RoadError, settings, until_ready
from devtools.demo.screen import Screen
from devtools.processes import end, launch
from devtools.scratch import folder, free_port

DRAIN_LIMIT = 30.0  # seconds
PROGRAM = Path(sys.executable).with_name("event-bridge")
LAST_WORDS = 2_000  # characters of the log


class Bridge:
    """`event-bridge run` with settings and a key store in a folder of its own."""

    def __init__(self, process: subprocess.Popen[bytes], home: Path, admin_url: str) -> None:
        self.admin_url = admin_url
        self._process, self._home = process, home

    def check(self) -> None:
        """Raise RoadError when it is not running any more."""
        if (code := self._process.poll()) is not None:
            said = log_of(self._home).read_text(errors="replace")[-LAST_WORDS:]
            raise RoadError(f"the bridge ended with exit code {code}:\n{said}")

    async def stop(self) -> int:
        """Ask it to drain and end. Returns its exit code."""
        await asyncio.to_thread(end, self._process, patience=DRAIN_LIMIT)
        return self._process.returncode

    def addresses(self) -> Sequence[tuple[str, str]]:
        """What a person can look at or use while it runs: name and text."""
        config = config_of(self._home)
        return [
            ("settings", str(config)),
            ("log", str(log_of(self._home))),
            ("publish", f"{_short(PROGRAM)} publish -c {config} \\"),
            ("", "    --route webhook --shape raw --name order.created --delay 5s"),
        ]


@asynccontextmanager
async def running_bridge(screen: Screen, api_url: str, source: dict[str, Any], place: str) -> AsyncIterator[Bridge]:
    """
    Run it until the block ends; the source of each route is `source`, with `place` said as `place_of` names it.

    Raises RoadError when it fails.
    """
    home, admin_port = folder("demo"), free_port()
    sources = {name: {**source, place: place_of(name)} for name in ROUTES}
    store = {"type": "sqlite", "path": str(home / "keys.db")}
    tree = settings(api_url, admin_port, sources, store)
    config_of(home).write_text(yaml.safe_dump(tree, sort_keys=False))
    command = [str(PROGRAM), "run", "--config", str(config_of(home))]
    with screen.step(f"event-bridge run, with {len(ROUTES)} routes"):
        bridge = Bridge(
            launch(command, env=_environment(), output=log_of(home)), home, f"http://127.0.0.1:{admin_port}"
        )
        try:
            await until_ready(bridge)
        except BaseException:
            await bridge.stop()
            raise
    try:
        yield bridge
    finally:
        await bridge.stop()


def place_of(route: str) -> str:
    """The queue or topic that a route reads."""
    return f"events.{route}"


def config_of(home: Path) -> Path:
    return home / "event-bridge.yaml"


def log_of(home: Path) -> Path:
    return home / "bridge.log"


def _environment() -> dict[str, str]:
    """Leave out settings of other bridges that this shell may have."""
    return {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}


def _short(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
