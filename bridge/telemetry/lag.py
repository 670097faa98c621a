"""How late the event loop is: everything else in the process is late by that, too."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Final

from bridge.core.tally import LAG_SECONDS, Histogram

INTERVAL: Final = 0.25  # seconds between samples
_RECENT: Final = 4  # samples


class LoopLag:
    """
    Sleeps, and looks how much later than asked for it is woken.

    The time is the system's: that of a loop is read once a turn, before whatever hangs in it.
    """

    def __init__(self) -> None:
        self.seconds = Histogram(LAG_SECONDS)
        self._last: deque[float] = deque([0.0], maxlen=_RECENT)

    @property
    def recent(self) -> float:
        """The longest of the last second, in seconds."""
        return max(self._last)

    async def run(self) -> None:
        """Take samples, without end."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(INTERVAL)
            self.note(max(0.0, time.monotonic() - before - INTERVAL))

    def note(self, seconds: float) -> None:
        """Count one sample."""
        self.seconds.add(seconds)
        self._last.append(seconds)
