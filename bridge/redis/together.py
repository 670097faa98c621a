"""Calls that come while one is under way, and share the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

Run = Callable[[Sequence[bytes]], Awaitable[None]]


class Together:
    """
    Runs `run` over the keys of all calls that have come since it was last begun, one run at a time.

    A round trip costs the same for one key as for a hundred. Whoever calls while none is under way waits for nobody but
    those of the same turn of the loop.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._waiting: list[tuple[Sequence[bytes], asyncio.Future[None]]] = []
        self._running: asyncio.Task[None] | None = None

    async def __call__(self, keys: Sequence[bytes]) -> None:
        """Return once a run with these keys has ended. Raises what it raised."""
        ended = asyncio.get_running_loop().create_future()
        self._waiting.append((keys, ended))
        if self._running is None:
            self._running = asyncio.create_task(self._go_on(), name="redis-together")
        await ended

    async def close(self) -> None:
        """Wait until nobody waits any more, which is soon: what the runs need is closed."""
        if self._running is not None:
            await self._running

    async def _go_on(self) -> None:
        try:
            while self._waiting:
                some, self._waiting = self._waiting, []
                failure = await self._failure([key for keys, _ in some for key in keys])
                for _, ended in some:
                    if ended.done():  # cancelled meanwhile; its keys are marked all the same
                        continue
                    if failure is None:
                        ended.set_result(None)
                    else:
                        ended.set_exception(failure)
        finally:
            self._running = None

    async def _failure(self, keys: Sequence[bytes]) -> Exception | None:
        try:
            await self._run(keys)
        except Exception as error:  # noqa: BLE001  each of the callers raises it
            return error
        return None
