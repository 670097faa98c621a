"""Ends tasks, and bounds calls of a broker's client, however a cancellation is taken there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from bridge.errors import BridgeError, Disconnected

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


@asynccontextmanager
async def bounded(
    what: str, limit: float, translated: Callable[[Exception], BaseException], *, gave_up: str
) -> AsyncIterator[None]:
    """
    Bound one call of a broker's client to `limit` seconds, and raise our own errors for those of the client.

    `translated` has our name for an error, or gives it back. `gave_up` says what it means when the client cancels its
    callers. A cancellation of the task that calls comes out whatever the client makes of it.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        async with asyncio.timeout(limit):
            yield
    except BaseException as error:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError from error  # we are to end, whatever became of the call
        named = error
        if isinstance(error, asyncio.CancelledError):
            named = Disconnected(f"{what}: {gave_up}")
        elif isinstance(error, TimeoutError):
            named = Disconnected(f"{what}: no answer within {limit:g} s")
        elif isinstance(error, Exception) and not isinstance(error, BridgeError):
            named = translated(error)
        if named is error:
            raise
        raise named from error
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError  # the client caught our cancellation, and went on
