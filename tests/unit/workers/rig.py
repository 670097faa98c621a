"""A parent with its workers as real processes, and what can be seen of them from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.asking import get

CHILD = Path(__file__).with_name("child.py")
PATIENCE = 120.0  # seconds, for whatever a busy machine may take


class Parent:
    """The process, its log, its admin port."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log
        self._port = 0

    def lines(self, event: str = "", **fields: object) -> list[dict[str, Any]]:
        """Everything that was logged, by the parent and its workers; whole lines only."""
        whole = (line for line in self.raw().splitlines(keepends=True) if line.startswith("{") and line.endswith("\n"))
        said = map(json.loads, whole)
        wanted = fields | ({"event": event} if event else {})
        return [line for line in said if all(line.get(key) == value for key, value in wanted.items())]

    def raw(self) -> str:
        return self._log.read_text()

    def until(self, condition: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + PATIENCE
        while not (found := condition()):
            assert time.monotonic() < deadline, self.raw()[-6000:]
            time.sleep(0.05)
        return found

    def get(self, path: str) -> tuple[int, str]:
        if not self._port:
            listening = self.until(lambda: self.lines("admin_listening"))
            self._port = int(listening[0]["port"])
        return get(self._port, path, patience=PATIENCE)

    def ready(self) -> bool:
        return self.get("/readyz")[0] == 200

    def reasons(self) -> list[str]:
        body = self.get("/readyz")[1]
        return list(json.loads(body)["reasons"]) if body else []

    def samples(self) -> dict[str, float]:
        """Each sample as `name{label=value,...}`, without the route."""
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(self.get("/metrics")[1]):
            for sample in family.samples:
                labels = ",".join(f"{key}={value}" for key, value in sample.labels.items() if key != "route")
                found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
        return found

    def pid(self, worker: int) -> int:
        """Of the worker's newest process."""
        return int(self.until(lambda: self.lines("worker_started", worker=worker))[-1]["worker_pid"])

    def pids(self) -> list[int]:
        """Of every process that was ever started."""
        return [int(line["worker_pid"]) for line in self.lines("worker_started")]

    def ask(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        return self.process.wait(PATIENCE)

    def stop(self) -> int:
        self.ask()
        return self.end()


def alive(pid: int) -> bool:
    """Whether it runs; one that has ended and waits to be asked for its exit code does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextmanager
def parent(folder: Path, count: int, role: str, drain_timeout: float = 20.0, **constants: float) -> Iterator[Parent]:
    """`constants` are those of the supervisor, in place of its own."""
    log = folder / "log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, str(CHILD), "parent", "0", str(count), role, str(drain_timeout), json.dumps(constants)],
            stdout=out,
            stderr=out,
            env={**os.environ, "PYTHONPATH": str(CHILD.parents[3])},
        )
    started = Parent(process, log)
    try:
        yield started
    finally:
        process.kill()
        process.wait(PATIENCE)
        for pid in filter(alive, started.pids()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
