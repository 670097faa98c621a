"""What SIGTERM and SIGINT do: the first asks to stop and drain, the second cancels."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from types import FrameType

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Asked:
    """
    Remembers signals from the first moment on.

    As process 1 of a container a signal without a receiver is lost, and one that comes while modules are being imported
    must not be.
    """

    def __init__(self) -> None:
        self.count = 0
        for number in SIGNALS:
            signal.signal(number, self._early)

    def _early(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1

    def run(self, work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
        """Run `work(stop)` to its end. Raises CancelledError when a second signal cut it short."""
        asyncio.run(self._until_done(work))

    async def _until_done(self, work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
        loop, stop, task = asyncio.get_running_loop(), asyncio.Event(), asyncio.current_task()
        assert task is not None

        def asked(number: int) -> None:
            self.count += 1
            log.info("stop_asked", extra={"signal": signal.Signals(number).name, "times": self.count})
            act()

        def act() -> None:
            if self.count:
                stop.set()
            if self.count > 1:
                task.cancel()

        for number in SIGNALS:
            loop.add_signal_handler(number, asked, number)
        act()
        await work(stop)
