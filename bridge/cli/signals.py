"""What SIGTERM and SIGINT do: the first asks to stop and drain, the second cancels."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import FrameType
from typing import TypeVar

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)

Result = TypeVar("Result")


class Asked:
    """
    Remembers signals from the first moment on.

    As process 1 of a container a signal without a receiver is lost, and one that comes while modules are being imported
    must not be.
    """

    def __init__(self) -> None:
        self._signals = 0
        self._told = 0
        self._act: Callable[[], None] | None = None
        for number in SIGNALS:
            signal.signal(number, self._early)

    @property
    def times(self) -> int:
        """How often it was asked: by signals, or by the parent of a worker."""
        return max(self._signals, self._told)

    def _early(self, _number: int, _frame: FrameType | None) -> None:
        self._signals += 1

    def told(self, times: int) -> None:
        """
        Take the word of the parent, from any thread: 1 to drain, 2 to cancel.

        It is not added to the signals: one Ctrl-C reaches the worker and, by way of the parent, reaches it again.
        """
        self._told = max(self._told, times)
        if self._act:
            self._act()

    def run(
        self,
        work: Callable[[asyncio.Event], Awaitable[Result]],
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> Result:
        """Run `work(stop)` to its end. Raises CancelledError when a second signal cut it short."""
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            return runner.run(self._until_done(work))

    async def _until_done(self, work: Callable[[asyncio.Event], Awaitable[Result]]) -> Result:
        loop, stop, task = asyncio.get_running_loop(), asyncio.Event(), asyncio.current_task()
        assert task is not None

        def asked(number: int) -> None:
            self._signals += 1
            log.info("stop_asked", extra={"signal": signal.Signals(number).name, "times": self.times})
            act()

        def act() -> None:
            if self.times:
                stop.set()
            if self.times > 1:
                task.cancel()

        def from_a_thread() -> None:
            with suppress(RuntimeError):  # the loop is closed: it is over
                loop.call_soon_threadsafe(act)

        for number in SIGNALS:
            loop.add_signal_handler(number, asked, number)
        self._act = from_a_thread
        act()
        return await work(stop)
