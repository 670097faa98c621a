"""One worker as its parent sees it: a process, the pipe to tell it something, the pipe on which it reports."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from bridge.workers.leash import OPTION
from bridge.workers.report import LONGEST, Report, decode

log = logging.getLogger(__name__)

_LAST_LINES = 5.0  # seconds to read what a worker said before it ended
_KILLED_WITHIN = 5.0  # seconds


class Worker:
    """
    Starts a process, again and again if need be, and hears what it says.

    It is a fresh interpreter, not a fork: a copy of a running event loop would share its sockets and signals with us.
    Whoever owns it calls `look()` at each SIGCHLD, so nobody but this thread ever asks the system for its exit code.
    """

    def __init__(self, number: int, command: Sequence[str], heard: Callable[[Report], None]) -> None:
        """`command` starts the bridge; the option that makes it a worker is added."""
        self.number = number
        self.report: Report | None = None  # the last of the process that runs
        self.silence = 0  # times somebody looked in vain for a report, which is that somebody's to count
        self.begun = 0.0
        self._command = command
        self._heard = heard
        self._process: subprocess.Popen[bytes] | None = None
        self._commands = -1
        self._exited: asyncio.Future[int] | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        """Of the process that runs or ran last; 0 before the first."""
        return self._process.pid if self._process else 0

    async def start(self) -> None:
        """Start a process. Raises OSError when the system will not have one more."""
        loop = asyncio.get_running_loop()
        self.report, self.silence, self.begun = None, 0, time.monotonic()
        commands, self._commands = os.pipe()
        try:
            heard = self._launch(commands)
        except OSError:
            self._let_go()
            raise
        finally:
            os.close(commands)
        self._exited = loop.create_future()
        self._reading = asyncio.create_task(self._read(heard), name=f"worker-{self.number}")

    def _launch(self, commands: int) -> int:
        """Start the process. Gives the descriptor on which it reports."""
        heard, reports = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603  our own command line
                [*self._command, OPTION, f"{self.number}:{commands}:{reports}"],
                pass_fds=(commands, reports),
                stdin=subprocess.DEVNULL,
            )
        except OSError:
            os.close(heard)
            raise
        finally:
            os.close(reports)
        return heard

    def tell(self, word: bytes) -> None:
        """Say DRAIN or CUT."""
        if self._commands != -1:
            with suppress(BrokenPipeError):  # it has just ended
                os.write(self._commands, word)

    def kill(self) -> None:
        """End it without its help."""
        if self._process is not None:
            self._process.kill()  # asks first whether it still runs, so no stranger is hit

    def look(self) -> None:
        """See whether it has ended."""
        if self._process is not None and self._exited is not None and not self._exited.done():
            code = self._process.poll()
            if code is not None:
                self._exited.set_result(code)

    async def ended(self) -> int:
        """Wait for its end, and until all it said is read. Gives the exit code, negative for a signal."""
        assert self._exited is not None
        assert self._reading is not None
        code = await asyncio.shield(self._exited)
        await asyncio.wait([self._reading], timeout=_LAST_LINES)
        self._reading.cancel()
        self._let_go()
        return code

    async def close(self) -> None:
        """End what is left, at once."""
        self.kill()
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_KILLED_WITHIN)
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
        self._let_go()

    def _let_go(self) -> None:
        if self._commands != -1:
            os.close(self._commands)
            self._commands = -1

    async def _read(self, pipe: int) -> None:
        reader = asyncio.StreamReader(limit=LONGEST)
        file = os.fdopen(pipe, "rb", buffering=0)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), file
        )
        try:
            while line := await reader.readline():
                self._take(line)
        except ValueError:  # longer than any report: it is not read on, falls silent, and counts as hung
            log.exception("worker_unreadable", extra={"worker": self.number})
        finally:
            transport.close()

    def _take(self, line: bytes) -> None:
        if not line.endswith(b"\n"):
            return  # it ended in the middle of a word
        try:
            self.report = decode(line)
        except ValueError:
            log.exception("worker_unreadable", extra={"worker": self.number})
            return
        self.silence = 0
        self._heard(self.report)
