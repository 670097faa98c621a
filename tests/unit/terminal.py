"""A shell as a reader of the papers has it: our command on the path, the README's settings file in the folder."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.unit.markdown import ROOT, paper

FOREIGN = ("BRIDGE_", "TRIGGER_", "INNGEST_")
PATIENCE = 60.0  # seconds


class Terminal:
    """Runs lines in a folder of its own; `more` are variables to set."""

    def __init__(self, folder: Path, **more: str) -> None:
        self.folder = folder
        command = folder / "bin" / "event-bridge"
        command.parent.mkdir()
        command.write_text(f"#!{sys.executable}\nimport sys\nfrom bridge.cli.main import main\nsys.exit(main())\n")
        command.chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        path = f"{command.parent}:{kept['PATH']}"
        self.environment = kept | {"PATH": path, "PYTHONPATH": str(ROOT), "TRIGGER_API_KEY": "tr_dev_example"} | more
        self.write("event-bridge.yaml", paper("README.md").marked("event-bridge.yaml").text)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run to the end; any failing line ends the script."""
        return subprocess.run(
            ["sh", "-eu", "-c", script],
            cwd=self.folder,
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )

    async def typed(self, script: str) -> None:
        """Run to the end beside the loop. Raises AssertionError unless it succeeds."""
        run = await asyncio.to_thread(self.run, script)
        assert run.returncode == 0, f"{script}: {run.stdout}{run.stderr}"

    async def start(self, *arguments: str) -> Daemon:
        """Start `event-bridge` and leave it running."""
        return Daemon(
            await asyncio.create_subprocess_exec(
                self.folder / "bin" / "event-bridge",
                *arguments,
                cwd=self.folder,
                env=self.environment,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
        )


class Daemon:
    """A running bridge and what it logs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lines: list[str] = []

    async def logs(self, event: str) -> dict[str, Any]:
        """Wait for this event in the log."""
        stdout = self._process.stdout
        assert stdout is not None
        async with asyncio.timeout(PATIENCE):
            while line := (await stdout.readline()).decode():
                self._lines.append(line)
                record: dict[str, Any] = json.loads(line) if line.startswith("{") else {}
                if record.get("event") == event:
                    return record
        raise AssertionError(f"ended without {event}: {''.join(self._lines)}")

    async def stop(self) -> int:
        """Ask it to stop, as Ctrl-C does, and return its exit code."""
        self._process.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE):
            await self._process.communicate()
        return self._process.returncode or 0

    def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()


async def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition of things that tell nobody when they change."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110  the other side knows no events of ours
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not within {PATIENCE:.0f} s: {what}") from None
