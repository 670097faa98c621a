"""The connections to one place: made when needed, at most so many, kept for a while when idle."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from typing import Final

from bridge.apis import HttpOptions
from bridge.model import Retryable
from bridge.targets.failures import HUNG_UP, Failure, unconnected
from bridge.targets.wire.connection import Connection
from bridge.targets.wire.dial import dial
from bridge.targets.wire.heads import Place
from bridge.targets.wire.trips import Deadlines, Trip
from bridge.targets.wire.tunnel import ProxyRefusedError

log = logging.getLogger(__name__)

_GOODBYE: Final = 1.0  # seconds for connections to close in good order


class Pool:
    """
    Gives each trip a connection: an idle one, the one used last first; else a new one; else the next that is free.

    A trip that waits takes whichever comes first, so a slow handshake holds up nobody for whom another has finished.
    """

    def __init__(self, place: Place, options: HttpOptions, context: ssl.SSLContext | None, running: Deadlines) -> None:
        self._place = place
        self._options = options
        self._context = context
        self._running = running
        self._idle: deque[Connection] = deque()  # the one that has been so for longest first
        self._waiting: deque[Trip] = deque()
        self._live: set[Connection] = set()  # idle or carrying
        self._open: set[Connection] = set()  # those, and what is being closed
        self._dials: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._emptied = asyncio.Event()
        self._time = asyncio.get_running_loop().time
        self._shut = False

    def take(self, trip: Trip) -> None:
        """Bring it on its way as soon as there is a connection."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.usable:
                connection.send(trip)
                return
        trip.queue = self
        self._waiting.append(trip)
        self._dial_more()

    def leave(self, trip: Trip, failure: Failure | None) -> None:
        trip.queue = None
        self._waiting.remove(trip)
        self._running.remove(trip)
        if failure is not None:
            trip.done(failure)

    async def close(self) -> None:
        """Close what is idle in good order, and after a second everything. Its trips must have ended."""
        self._shut = True
        if self._timer is not None:
            self._timer.cancel()
        for task in self._dials:
            task.cancel()
        for connection in list(self._idle):
            connection.close()
        if not await self._empty(_GOODBYE):
            for connection in list(self._open):
                connection.abort()
            await self._empty(_GOODBYE)

    async def _empty(self, limit: float) -> bool:
        """Wait until nothing is open; say whether that is so."""
        try:
            async with asyncio.timeout(limit):
                while self._open or self._dials:
                    self._emptied.clear()
                    await self._emptied.wait()
        except TimeoutError:
            return False
        return True

    # What connections say.

    def free(self, connection: Connection) -> None:
        if self._waiting:
            self._bring(connection)
            return
        connection.idle_since = self._time()
        self._idle.append(connection)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._options.keepalive, self._sweep)

    def lost(self, connection: Connection) -> None:
        self._live.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._dial_more()

    def closed(self, connection: Connection) -> None:
        self._open.discard(connection)
        self._emptied.set()

    def ended(self, trip: Trip) -> None:
        self._running.remove(trip)

    # How connections come and go.

    def _bring(self, connection: Connection) -> None:
        trip = self._waiting.popleft()
        trip.queue = None
        connection.send(trip)

    def _dial_more(self) -> None:
        """Make a connection for each trip that waits, as far as the limit goes."""
        room = self._options.concurrency - len(self._live) - len(self._dials)
        for _ in range(0 if self._shut else min(room, len(self._waiting) - len(self._dials))):
            task = asyncio.get_running_loop().create_task(self._dial())
            self._dials.add(task)
            task.add_done_callback(self._dialled)

    async def _dial(self) -> None:
        try:
            connection = await dial(lambda: Connection(self), self._place, self._context, self._options.connect_timeout)
        except ProxyRefusedError as refused:
            self._failed(refused.failure)
        except Exception as error:
            failure = unconnected(error)
            if failure is None:
                log.exception("connect_faulty")
                failure = Failure(Retryable(f"connect: a fault in the bridge: {type(error).__name__}"))
            self._failed(failure)
        else:
            self._made(connection)

    def _dialled(self, task: asyncio.Task[None]) -> None:
        self._dials.discard(task)
        self._emptied.set()
        self._dial_more()

    def _made(self, connection: Connection) -> None:
        if not connection.usable:
            connection.abort()
            self._failed(HUNG_UP)
            return
        self._open.add(connection)
        if self._shut:
            connection.abort()
            return
        self._live.add(connection)
        self.free(connection)

    def _failed(self, failure: Failure) -> None:
        """Tell the trip that has waited for longest. Where all have found another connection, nobody cares."""
        if self._waiting:
            trip = self._waiting[0]
            self.leave(trip, failure)

    def _sweep(self) -> None:
        """Close what has been idle for too long, and look again when the next one will have been."""
        self._timer = None
        limit = self._time() - self._options.keepalive
        while self._idle and self._idle[0].idle_since <= limit:
            connection = self._idle.popleft()
            self._live.discard(connection)
            connection.close()
        if self._idle and not self._shut:
            when = self._idle[0].idle_since + self._options.keepalive
            self._timer = asyncio.get_running_loop().call_at(when, self._sweep)
