"""The clock of a key store."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Epoch milliseconds."""


def steady_clock() -> Clock:
    """
    Epoch milliseconds that were right when the clock was made and have run with the monotonic clock since.

    A step of the wall clock (NTP, an operator, a resumed virtual machine) can so neither end every lease at once nor
    keep one alive for hours.
    """
    anchor = time.time_ns() - time.monotonic_ns()
    return lambda: (anchor + time.monotonic_ns()) // 1_000_000
