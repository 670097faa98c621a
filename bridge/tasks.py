"""Ends tasks for certain."""

from __future__ import annotations

import asyncio
from typing import Any, Final

AGAIN: Final = 1.0  # seconds until a task that is not over by then is cancelled once more


async def end(*tasks: asyncio.Task[Any]) -> None:
    """
    Cancel, and wait until all are over. What they return or raise is dropped.

    One cancellation is not enough: it is lost where a broker's client, inside of a task of its own, catches it and
    then succeeds, and where `asyncio.wait_for` of Python 3.11 gets its result in the same turn.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # seen, or asyncio complains that nobody did
