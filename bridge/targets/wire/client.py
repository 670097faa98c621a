"""The client: it writes heads, finds the pool, and ends what takes too long."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping

from bridge.apis import HttpOptions
from bridge.model import Request
from bridge.targets.client import NOTHING_MORE, Answer, Done, Handle
from bridge.targets.failures import CLOSED, HUNG_UP, NO_ANSWER, NOT_CONNECTED
from bridge.targets.tls import client_context
from bridge.targets.wire.heads import Heads, Place
from bridge.targets.wire.pool import Pool
from bridge.targets.wire.proxy import Proxies
from bridge.targets.wire.trips import Deadlines, Trip


class WireClient:
    """A Client without a task, a future or a timer a request. `http.concurrency` counts for each place by itself."""

    def __init__(self, options: HttpOptions, *, where: str) -> None:
        """`where` is the path of the target in the settings, for errors."""
        self._options = options
        self._where = where
        self._context: ssl.SSLContext | None = None
        self._heads = Heads(Proxies())
        self._pools: dict[Place, Pool] = {}
        self._running = Deadlines(_expire)
        self._loop: asyncio.AbstractEventLoop | None = None  # while open

    async def open(self) -> None:
        self._context = client_context(self._options, self._where)
        if self._options.proxy == "environment":
            self._heads = Heads(Proxies.of_environment(f"{self._where}.http.proxy"))
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        self._loop = None
        for trip in self._running.trips():
            trip.end(HUNG_UP if trip.carrier is not None else CLOSED)
        self._running.stop()
        pools, self._pools = self._pools, {}
        await asyncio.gather(*(pool.close() for pool in pools.values()))

    def start(self, request: Request, more: Mapping[str, str], read_limit: int, done: Done) -> Handle:
        loop = self._loop
        if loop is None:
            return asyncio.get_running_loop().call_soon(done, CLOSED)
        start = self._heads.start(request.method, request.url)
        head = self._heads.head(start, request, more)
        trip = Trip(head, request.body, read_limit, done, loop.time() + self._options.timeout)
        pool = self._pools.get(start.place)
        if pool is None:
            pool = self._pools[start.place] = Pool(start.place, self._options, self._context, self._running)
        self._running.add(trip)
        pool.take(trip)
        return trip

    async def once(self, request: Request, read_limit: int) -> Answer:
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def done(answer: Answer) -> None:
            if not answered.done():
                answered.set_result(answer)

        trip = self.start(request, NOTHING_MORE, read_limit, done)
        try:
            return await answered
        finally:
            trip.cancel()


def _expire(trip: Trip) -> None:
    trip.end(NO_ANSWER if trip.carrier is not None else NOT_CONNECTED)
