"""The one reconnect loop: a source that never ends, around sessions that each live once."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from bridge.errors import ConfigError, Disconnected, EndOfSource
from bridge.model import Backlog, Delivery, Verdict
from bridge.ports import Source

log = logging.getLogger(__name__)

FIRST_WAIT, LAST_WAIT = 0.5, 30.0  # seconds before a new session; full jitter, doubling
BARREN = 3  # short sessions in a row that settled nothing, after which the next one is cautious
SHORT = 60.0  # seconds; a session that lives longer is not killed by what it received


class Session(Source, Protocol):
    """A source that lives once."""

    @property
    def settled(self) -> int:
        """How many of its deliveries were settled."""

    @property
    def forgotten(self) -> int:
        """How many were settled too late to count."""

    @property
    def connected(self) -> bool:
        """Whether it still stands."""


class Reconnecting:
    """
    Keeps a session standing.

    `make(cautious)` makes the next one, not open. It is cautious after sessions that died soon and settled nothing:
    then something in the prefetch may be what kills them, and only one delivery at a time is put at risk, since each
    lost session counts against the delivery limit of all that it had received.
    """

    def __init__(self, make: Callable[[bool], Session], *, name: str) -> None:
        self._make = make
        self._name = name
        self._session = make(False)
        self._paused = False
        self._stopping = asyncio.Event()
        self._barren = 0
        self._born = 0.0
        self._forgotten = 0
        self._missed = 0
        self.rebuilds = 0

    @property
    def connected(self) -> bool:
        return self._session.connected

    @property
    def forgotten(self) -> int:
        """Deliveries that were settled after their session was lost, and so come again."""
        return self._forgotten + self._session.forgotten

    @property
    def backlog(self) -> Backlog | None:
        """Of a source that has partitions, how it stands with them."""
        now: Backlog | None = getattr(self._session, "backlog", None)
        return None if now is None else replace(now, missed=now.missed + self._missed)

    async def open(self) -> None:
        """Open the first session. Raises Disconnected or ConfigError; may be called again then."""
        try:
            await self._open_session()
        except BaseException:
            await self._replace()
            raise

    async def close(self) -> None:
        await self._session.close()

    async def receive(self, limit: int, linger: float) -> list[Delivery]:
        while True:
            try:
                return await self._session.receive(limit, linger)
            except Disconnected as lost:
                log.warning("session_lost", extra={"session": self._name, "reason": str(lost)})
                await self._rebuild()

    async def settle(self, batch: Sequence[Delivery], verdicts: Sequence[Verdict]) -> None:
        await self._session.settle(batch, verdicts)

    def owns(self, delivery: Delivery) -> bool:
        return self._session.owns(delivery)

    def pause(self) -> None:
        self._paused = True
        if self.connected:
            self._session.pause()

    def resume(self) -> None:
        self._paused = False
        if self.connected:
            self._session.resume()

    def stop(self) -> None:
        self._stopping.set()
        self._session.stop()

    async def _rebuild(self) -> None:
        """Make sessions until one opens. Raises EndOfSource when asked to stop meanwhile."""
        short = asyncio.get_running_loop().time() - self._born < SHORT
        self._barren = self._barren + 1 if short and not self._session.settled else 0
        if self._barren >= BARREN:
            log.error("sessions_die_unsettled", extra={"session": self._name, "sessions": self._barren})
        wait = min(LAST_WAIT, FIRST_WAIT * 2 ** min(self._barren, 6))
        while not self._stopping.is_set():
            await self._replace()
            if self._stopping.is_set():
                break
            await self._pause_for(random.uniform(0, wait))  # noqa: S311  full jitter, protects nothing
            wait = min(LAST_WAIT, wait * 2)
            try:
                await self._open_session()
            except (Disconnected, ConfigError) as error:
                # Wrong settings ended the start; later, the same words mean that an operator is at work.
                log.warning("session_not_rebuilt", extra={"session": self._name, "reason": str(error)})
                continue
            self.rebuilds += 1
            log.info("session_rebuilt", extra={"session": self._name, "rebuilds": self.rebuilds})
            return
        raise EndOfSource

    async def _open_session(self) -> None:
        await self._session.open()
        self._born = asyncio.get_running_loop().time()
        if self._paused:
            self._session.pause()
        if self._stopping.is_set():
            self._session.stop()

    async def _replace(self) -> None:
        self._forgotten += self._session.forgotten
        self._missed = self.backlog.missed if self.backlog else 0
        await self._session.close()
        self._session = self._make(self._barren >= BARREN)

    async def _pause_for(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return
