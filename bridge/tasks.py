"""Ends tasks, however their cancellation is taken."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

log = logging.getLogger(__name__)

AGAIN: Final = 1.0  # seconds until a task that is not over by then is cancelled once more
TRIES: Final = 15  # after that it is left to itself: whoever closes a session must get on to the next one


async def end(*tasks: asyncio.Task[Any]) -> None:
    """
    Cancel, and wait until all are over. What they return or raise is dropped.

    One cancellation is not enough: it is lost where a broker's client, inside of a task of its own, catches it and
    then succeeds, and where `asyncio.wait_for` of Python 3.11 gets its result in the same turn.
    """
    pending = {task for task in tasks if not task.done()}
    for _ in range(TRIES):
        if not pending:
            break
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN)
    if pending:
        log.error("tasks_do_not_end", extra={"tasks": ", ".join(task.get_name() for task in pending)})
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()  # seen, or asyncio complains that nobody did
