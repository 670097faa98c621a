"""
Where log lines go: formatted where they arise, written by a thread of their own.

The loop never waits for whoever reads the output. When the reader is stuck, lines are dropped and counted; the count is
the first thing written once it reads again.
"""

from __future__ import annotations

import logging
import os
import queue
import select
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from bridge.telemetry.lines import HumanLines, JsonLines

_CAPS = {
    "aio_pika": logging.WARNING,
    "aiormq": logging.WARNING,  # its DEBUG shows frames, with payloads and secrets
    "pamqp": logging.WARNING,
    "aiohttp": logging.WARNING,
    "asyncio": logging.WARNING,
}
_ROOM = 10_000  # lines
_WHOLE = select.PIPE_BUF  # bytes that reach a pipe in one piece, also where other processes write into it
_STOP_LIMIT = 2.0  # seconds for the last lines at the end


class Outlet(logging.Handler):
    """
    Puts lines into a bounded queue; a thread writes them to a file descriptor.

    Garbage may be collected at any allocation, in this thread or that one, and finalizers log: asyncio's do, and so
    does whoever drops a coroutine. So a line may have to go into the queue from within the queue. `queue.Queue` would
    wait for its own lock then, for ever, and everyone who logs with it; `queue.SimpleQueue` is made for that.
    """

    def __init__(self, fd: int, *, room: int = _ROOM) -> None:
        super().__init__()
        self._fd = fd
        self._room = room
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._dropped = 0
        self._closing = False
        self._thread = threading.Thread(target=self._write_all, name="log-writer", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Lines lost since the last one that was written."""
        return self._dropped

    def emit(self, record: logging.LogRecord) -> None:
        if self._lines.qsize() >= self._room:
            self._dropped += 1
            return
        try:
            self._lines.put(self.format(record))
        except Exception:  # noqa: BLE001  a value that cannot be shown may not stop the work
            self._dropped += 1

    def close(self) -> None:
        """Write what is left, within two seconds."""
        if not self._closing:
            self._closing = True
            self._lines.put(None)
            self._thread.join(_STOP_LIMIT)
        super().close()

    def _write_all(self) -> None:
        """Write lines as they come, many in one call when many wait."""
        while (line := self._lines.get()) is not None:
            text = _ended(line)
            with suppress(queue.Empty):
                while len(text) < _WHOLE:
                    if (line := self._lines.get_nowait()) is None:
                        self._lines.put(None)
                        break
                    if len(text) + len(more := _ended(line)) > _WHOLE:
                        self._write(text)
                        text = b""
                    text += more
            self._write(text)
            if self._dropped:
                self._write(_ended(self._report()))

    def _report(self) -> str:
        self.acquire()  # `emit` runs under the same lock
        lost, self._dropped = self._dropped, 0
        self.release()
        record = logging.makeLogRecord(
            {"name": __name__, "levelno": logging.WARNING, "levelname": "WARNING", "msg": "log_lines_dropped"}
        )
        record.count = lost
        return self.format(record)

    def _write(self, text: bytes) -> None:
        """Write all of it, past Python's own buffer: its lock, held while the reader is stuck, would hang the exit."""
        data = memoryview(text)
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:  # the descriptor was made non-blocking by whoever shares it
                time.sleep(0.01)
            except OSError:  # the reader is gone
                return


def _ended(line: str) -> bytes:
    return f"{line}\n".encode("utf-8", "backslashreplace")


@contextmanager
def logging_to(
    stream: TextIO | None, *, style: str = "auto", level: str = "info", worker: int | None = None
) -> Iterator[Outlet]:
    """
    Send all logs of this process to the stream while the context lasts; `style` is auto, json or human.

    With the number of a `worker`, every line carries it.
    `sys.stdout` is None where the process was started with it closed; then nothing is written.
    """
    terminal = stream is not None and stream.isatty()
    outlet = Outlet(stream.fileno() if stream is not None else os.open(os.devnull, os.O_WRONLY))
    human = style == "human" or (style == "auto" and terminal)
    colour = terminal and not os.environ.get("NO_COLOR")
    outlet.setFormatter(HumanLines(colour=colour, worker=worker) if human else JsonLines(worker=worker))
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    root.handlers[:] = [outlet]
    root.setLevel(level.upper())
    for name, cap in _CAPS.items():
        logging.getLogger(name).setLevel(max(cap, root.level))
    logging.captureWarnings(True)
    try:
        yield outlet
    finally:
        logging.captureWarnings(False)
        root.handlers[:] = before[0]
        root.setLevel(before[1])
        outlet.close()
