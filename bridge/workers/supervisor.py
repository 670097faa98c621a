"""
The parent of the workers: starts them, starts again what ended, and ends them all.

It has no broker, no store and no target. It listens on the admin port for all of them.
"""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

from bridge.settings.process import AdminSettings
from bridge.telemetry.probe import Probe
from bridge.workers.books import Books
from bridge.workers.leash import CUT, DRAIN, MARGIN
from bridge.workers.worker import Worker

log = logging.getLogger(__name__)

OK, FAULT, CONFIG = 0, 1, 78
"""Exit codes, those of the command line."""

FIRST_WAIT, LAST_WAIT = 1.0, 30.0  # seconds before a worker is started again; doubles each time
CALM = 60.0  # seconds a worker must have lived for its next end to count as the first
LOOK_EVERY = 1.0  # seconds
QUIET, HUNG = 10, 60  # looks without a report, after which a worker is not ready, and after which it is killed
CUT_WITHIN = 5.0  # seconds to leave everything, when asked twice


class Supervisor:
    """Runs `count` processes of one command."""

    def __init__(self, command: Sequence[str], count: int, admin: AdminSettings, drain_timeout: float) -> None:
        """`command` is the command line that started this process. `drain_timeout` in seconds is that of a worker."""
        self.books = Books(count)
        self.workers = [Worker(number, command, self.books.hear(number)) for number in range(1, count + 1)]
        self._admin = admin
        self._patience = drain_timeout + MARGIN
        self._stopping = asyncio.Event()
        self._word = b""  # what every worker was told, and who starts late has to hear too
        self._code = OK

    async def run(self, stop: asyncio.Event) -> int:
        """
        Run until `stop` is set or a worker's settings cannot work; give the exit code.

        0: whatever ran was drained; 1: it was not; 78: a person must change the settings. A cancellation leaves
        everything at once. Raises ConfigError when the admin port cannot be had.
        """
        async with AsyncExitStack() as stack:
            await self._listen(stack)
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGCHLD, self._look)
            stack.callback(loop.remove_signal_handler, signal.SIGCHLD)
            watching = asyncio.create_task(self._watch(), name="watch")
            keeping = [asyncio.create_task(self._keep(worker)) for worker in self.workers]
            try:
                await self._until_stopped(stop, [*keeping, watching])
                await self._drain(keeping)
            except asyncio.CancelledError:
                await self._cut(keeping)
                raise
            finally:
                await self._end([*keeping, watching])
        log.info("stopped")
        return self._code

    async def _listen(self, stack: AsyncExitStack) -> None:
        if self._admin.enabled:
            probe = Probe(
                self._admin.host, self._admin.port, live=list, ready=self.unready, registry=self.books.registry
            )
            stack.push_async_callback(probe.close)
            await probe.open()

    def unready(self) -> list[str]:
        """Why the whole is not ready: what each worker says of itself, or what is to be said of it."""
        if self._stopping.is_set():
            return ["draining"]
        return [f"worker {worker.number}: {reason}" for worker in self.workers for reason in self._of(worker)]

    def _of(self, worker: Worker) -> Sequence[str]:
        if not worker.running:
            return [self.books.absence(worker.number)]
        if worker.report is None:
            return ["starting"]
        if worker.silence > QUIET:
            return [f"silent for {worker.silence * LOOK_EVERY:.0f} s"]
        return worker.report.unready

    async def _until_stopped(self, stop: asyncio.Event, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Wait to be asked. A task ends before that only where the settings cannot work, or by a bug of ours."""
        asked = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([*tasks, asked], return_when=asyncio.FIRST_COMPLETED)
        finally:
            asked.cancel()

    async def _drain(self, keeping: Sequence[asyncio.Task[None]]) -> None:
        log.info("draining")
        self._tell(DRAIN)
        await asyncio.wait(keeping, timeout=self._patience)

    async def _cut(self, keeping: Sequence[asyncio.Task[None]]) -> None:
        self._tell(CUT)
        await asyncio.wait(keeping, timeout=CUT_WITHIN)

    async def _end(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """End what is left, and say what went wrong with our own tasks."""
        for worker in self.workers:
            if worker.running:
                log.error("worker_killed", extra={"worker": worker.number})
                self._code = self._code or FAULT
                worker.kill()
        for task in tasks:
            task.cancel()
        for worker in self.workers:
            await worker.close()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result

    def _tell(self, word: bytes) -> None:
        self._stopping.set()
        self._word = word
        for worker in self.workers:
            worker.tell(word)

    def _look(self) -> None:
        """See who has ended. Signals that come together count as one, so everyone is looked at."""
        for worker in self.workers:
            worker.look()

    async def _keep(self, worker: Worker) -> None:
        """Let a worker run, and run again, until all are to stop."""
        wait = FIRST_WAIT
        while not self._stopping.is_set():
            code = await self._live(worker)
            if self._stopping.is_set():
                # One that has not reported yet had taken nothing, and may not even have been able to listen.
                self._code = self._code or (FAULT if code and worker.report else OK)
            elif code == CONFIG:
                log.error("worker_refuses_settings", extra={"worker": worker.number})
                self._code = CONFIG
                return
            else:
                if time.monotonic() - worker.begun >= CALM:
                    wait = FIRST_WAIT
                await self._pause(worker, code, wait * random.uniform(0.75, 1.25))  # noqa: S311  not all at once
                wait = min(LAST_WAIT, wait * 2)

    async def _live(self, worker: Worker) -> int | None:
        """Let a worker live once. Gives its exit code, None if it could not be started."""
        try:
            await worker.start()
        except OSError as error:
            log.error("worker_not_started", extra={"worker": worker.number, "reason": str(error)})  # noqa: TRY400
            return None
        log.info("worker_started", extra={"worker": worker.number, "worker_pid": worker.pid})
        if self._word:
            worker.tell(self._word)
        self._look()  # whoever ended before it could be waited for
        code = await worker.ended()
        self.books.end(worker.number)
        return code

    async def _pause(self, worker: Worker, code: int | None, wait: float) -> None:
        """Wait before the next start, unless all are to stop."""
        said = _ending(code)
        self.books.gone(worker.number, said, again=time.monotonic() + wait)
        log.warning("worker_ended", extra={"worker": worker.number, "reason": said, "again_in": round(wait, 1)})
        try:
            await asyncio.wait_for(self._stopping.wait(), wait)
        except TimeoutError:
            self.books.restarted(worker.number)

    async def _watch(self) -> None:
        """End workers that hang. Our own looks are counted, not time: a machine that slept has not hung."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            for worker in self.workers:
                worker.silence += 1
                if worker.running and worker.report is not None and worker.silence > HUNG:
                    log.error("worker_hung", extra={"worker": worker.number, "seconds": HUNG * LOOK_EVERY})
                    worker.silence = 0
                    worker.kill()


def _ending(code: int | None) -> str:
    if code is None:
        return "not started"
    if code < 0:
        return f"ended by {next((sign.name for sign in signal.Signals if sign == -code), f'signal {-code}')}"
    return f"ended with {code}"
