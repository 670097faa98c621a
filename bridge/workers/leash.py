"""
A worker's side of the two pipes to its parent: one to be told to stop, one to report.

The parent speaks through a pipe and not by signals, so nothing can get lost before anybody listens, and whoever signals
the whole group besides (Ctrl-C in a terminal, systemd) says only once what the parent says too. The pipe also ends when
the parent does, however that happens: then the worker drains, and if it cannot, it goes all the same.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Final, cast

from prometheus_client import CollectorRegistry

from bridge.cli.signals import Asked
from bridge.errors import ConfigError
from bridge.workers.report import encode

log = logging.getLogger(__name__)

DRAIN: Final = b"d"
CUT: Final = b"c"
"""What a parent says: finish what is under way; leave it. Whether it says so once or more often is the same."""

OPTION = "--worker"
REPORT_EVERY = 1.0  # seconds
LAST_WORDS = 2.0  # seconds for the last report
MARGIN = 15.0  # seconds beyond `drain_timeout` in which a worker has to close its connections


class Leash:
    """Holds a worker to its parent, from its first moment to its last."""

    def __init__(self, number: int, commands: int, reports: int) -> None:
        """Listen at once. `commands` and `reports` are file descriptors that were inherited."""
        self.number = number
        self._patience = 60.0  # seconds that a worker without a parent may take to end
        self._commands, self._reports = commands, reports
        for pipe in (commands, reports):
            os.set_inheritable(pipe, False)

    @classmethod
    def parse(cls, text: str) -> Leash:
        """Read "number:commands:reports". Raises ConfigError when no parent has written that."""
        try:
            return cls(*(int(word) for word in text.split(":")))
        except (ValueError, TypeError, OSError):
            raise ConfigError(OPTION, "is what the bridge tells its own workers", "Leave it out") from None

    def hold(self, asked: Asked) -> None:
        """Pass on what the parent says, from a thread, which listens while modules are imported too."""
        threading.Thread(target=self._listen, args=[asked], name="leash", daemon=True).start()

    def allow(self, drain_timeout: float) -> None:
        """Say how long a drain may take, in seconds."""
        self._patience = drain_timeout + MARGIN

    def _listen(self, asked: Asked) -> None:
        while said := os.read(self._commands, 16):
            asked.told(2 if CUT in said else 1)
        asked.told(1)
        time.sleep(self._patience)
        os.kill(os.getpid(), signal.SIGKILL)

    def reporting(self, ready: Callable[[], list[str]], registry: CollectorRegistry) -> Reports:
        """Make what stands in a worker where an admin port stands in a process of its own."""
        return Reports(self._reports, ready, registry)


class Reports:
    """Tells the parent every second how it goes, from `open()` to `close()`, and a last time at its close."""

    def __init__(self, pipe: int, ready: Callable[[], list[str]], registry: CollectorRegistry) -> None:
        self._pipe, self._ready, self._registry = pipe, ready, registry
        self._line: _Line | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin. The first report is on its way before anything else is opened."""
        pipe = os.fdopen(self._pipe, "wb", buffering=0)
        _, self._line = await asyncio.get_running_loop().connect_write_pipe(_Line, pipe)
        self._report()
        self._task = asyncio.create_task(self._go_on(), name="reports")

    async def close(self) -> None:
        """Say the last, and wait until the parent has it."""
        if self._task is None or self._line is None:
            return
        self._task.cancel()
        self._report(last=True)
        await self._line.close()
        self._task = None

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(REPORT_EVERY)
            self._report()

    def _report(self, *, last: bool = False) -> None:
        assert self._line is not None
        if last or self._line.free:  # a parent that does not read gets the next one
            try:
                self._line.write(encode(self._ready(), self._registry.collect()))
            except Exception:
                log.exception("report_failed")


class _Line(asyncio.BaseProtocol):
    """The way to the parent."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._ended = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # that of uvloop is not derived from it

    def connection_lost(self, exc: Exception | None) -> None:
        """The parent is gone, or all was said."""
        del exc
        self._ended.set()

    @property
    def free(self) -> bool:
        return self._transport is not None and self._transport.get_write_buffer_size() == 0

    def write(self, line: bytes) -> None:
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.write(line)

    async def close(self) -> None:
        assert self._transport is not None
        self._transport.close()
        try:
            await asyncio.wait_for(self._ended.wait(), LAST_WORDS)
        except TimeoutError:
            self._transport.abort()
            await self._ended.wait()
