"""Runs programs beside the sink, and asks the sink what it saw."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from devtools.processes import end, launch, wait_until
from devtools.scratch import folder, free_port

PATIENCE = 60.0  # seconds without any progress, after which a run has failed
POLL = 0.25  # seconds between looks at the sink, which cost it a tenth of a millisecond each

COMPLAINT = re.compile(r'"level":"(warning|error|critical)"|^Traceback|Error\b')


class SinkProcess:
    """The sink, in a process of its own."""

    def __init__(self, port: int) -> None:
        self.port = port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def watch(self, pid: int, marks: Sequence[int], wait: float = 0.0) -> None:
        """Begin anew; note what the process has used when so many events have come; answer after so many seconds."""
        self._ask("PUT", "/watch", {"pid": pid, "marks": list(marks), "wait": wait})

    def count(self) -> int:
        return int(self._ask("GET", "/count"))

    def report(self) -> dict[str, Any]:
        return dict(self._ask("GET", "/report"))

    def arrivals(self) -> dict[str, float]:
        """When each id came first, in epoch seconds."""
        return dict(self._ask("GET", "/arrivals"))

    def answers(self) -> bool:
        try:
            self.count()
        except OSError:
            return False
        return True

    def wait_for(self, events: int, child: subprocess.Popen[bytes]) -> None:
        """Wait until so many events came. Raises TimeoutError when none came for a while, or the child has ended."""
        seen, since = -1, time.monotonic()
        while (count := self.count()) < events:
            if count != seen:
                seen, since = count, time.monotonic()
            if child.poll() is not None:
                raise TimeoutError(f"it ended with code {child.returncode} after {count} of {events} events")
            if time.monotonic() - since > PATIENCE:
                raise TimeoutError(f"nothing came for {PATIENCE:.0f} s after {count} of {events} events")
            time.sleep(POLL)

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, json.dumps(body).encode())
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


@contextmanager
def program(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs as long as the block; what it said is part of whatever goes wrong in there."""
    child = launch(command, env=dict(os.environ), output=log)
    try:
        yield child
    except Exception as error:
        error.add_note(f"{' '.join(command[:3])} said:\n{log.read_text(errors='replace')[-3000:]}")
        raise
    finally:
        end(child, patience=30)


def complaints(log: Path) -> list[str]:
    """The lines that tell of trouble: a figure with a lost session in it is another figure."""
    return [line for line in log.read_text(errors="replace").splitlines() if COMPLAINT.search(line)]


@contextmanager
def running_sink() -> Iterator[SinkProcess]:
    sink = SinkProcess(free_port())
    command = [sys.executable, "-m", "bench.sink", str(sink.port)]
    with program(command, folder("bench-sink") / "log"):
        wait_until(sink.answers, within=30, what="the sink answers")
        yield sink
