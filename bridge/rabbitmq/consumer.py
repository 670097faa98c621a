"""One session of consuming a queue. It lives once: `bridge.reconnecting` makes the next one."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from aiormq.abc import AbstractChannel, DeliveredMessage

from bridge.core.watermark import Watermark
from bridge.errors import Disconnected, EndOfSource
from bridge.model import Delivery, Verdict
from bridge.rabbitmq import wire
from bridge.rabbitmq.connection import Session, connect, limited
from bridge.rabbitmq.options import ConnectionSettings

log = logging.getLogger(__name__)

FLAP: Final = 0.2  # seconds a pause must last before the consumer is cancelled
LOOK_EVERY: Final = 30.0  # seconds between looks whether a silent queue has anything for us

Read = Callable[[DeliveredMessage, str, object], Delivery]
"""Turns what the client delivers into a Delivery, given its origin and its token."""


class Consumer:
    """
    One generation: one connection, one channel, one consumer.

    The client's callback only fills a buffer that the prefetch bounds. Whatever ends the connection, the channel or
    the consumer ends this object: `receive` raises Disconnected, and `settle` skips what is not of this session.
    """

    def __init__(
        self,
        connection: ConnectionSettings,
        queue: str,
        *,
        prefetch: int,
        where: str,
        prepare: Callable[[Session], Awaitable[None]] | None = None,
        read: Read = wire.delivery_of,
        look_every: float = LOOK_EVERY,
    ) -> None:
        self._connection = connection
        self._queue = queue
        self._prefetch = prefetch
        self._where = where
        self._prepare = prepare
        self._read = read
        self._look_every = look_every
        self._origin = f"rabbitmq:{queue}"
        self._buffer: deque[Delivery] = deque()
        self._marks = Watermark()
        self._arrived = asyncio.Event()
        self._settling = asyncio.Lock()
        self._received = 0
        self._paused = False
        self._consumer: str | None = None
        self._stopped = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: Session | None = None
        self._channel: AbstractChannel | None = None
        self.settled = 0
        self.forgotten = 0

    @property
    def connected(self) -> bool:
        return self._session is not None and self._session.alive

    async def open(self) -> None:
        settings = self._connection
        name = f"event-bridge {self._where}"
        self._session = await connect(
            settings.url, name=name, where=self._where, heartbeat=settings.heartbeat, ca_file=settings.ca_file
        )
        self._session.lost.add_done_callback(lambda _: self._arrived.set())
        if self._prepare is not None:
            await self._prepare(self._session)
        self._channel = await self._session.channel()
        async with limited("setting the prefetch", where=self._where):
            await self._channel.basic_qos(prefetch_count=self._prefetch)
        await self._consume()
        self._spawn(self._watch())

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def receive(self, limit: int, linger: float) -> list[Delivery]:
        while not self._buffer:
            self._check()
            self._arrived.clear()
            await self._arrived.wait()
        self._check()
        if linger > 0 and len(self._buffer) < limit:
            await self._linger(limit, linger)
        return [self._buffer.popleft() for _ in range(min(limit, len(self._buffer)))]

    async def settle(self, batch: Sequence[Delivery], verdicts: Sequence[Verdict]) -> None:
        if self._channel is None or not self.connected:
            self.forgotten += len(batch)
            return
        # One at a time: a multiple ack must not overtake the single ack of a tag below it.
        async with limited("settling", where=self._where), self._settling:
            settled, returned = self._own_tags(batch, verdicts)
            for tag in returned:
                await self._channel.basic_nack(tag, requeue=True)
                self._marks.finish(tag)
            up_to, singly = self._marks.settle(settled)
            if up_to is not None:
                await self._channel.basic_ack(up_to, multiple=True)
            for tag in singly:
                await self._channel.basic_ack(tag)
        self.settled += len(settled)

    def pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._spawn(self._follow_pause())

    def resume(self) -> None:
        if self._paused:
            self._paused = False
            self._spawn(self._follow_pause())

    def stop(self) -> None:
        self._stopped = True
        self._arrived.set()

    def _own_tags(self, batch: Sequence[Delivery], verdicts: Sequence[Verdict]) -> tuple[list[int], list[int]]:
        """Tags of this session to settle, and to return. Those of an older one the broker has back already."""
        settled: list[int] = []
        returned: list[int] = []
        for delivery, verdict in zip(batch, verdicts, strict=True):
            match delivery.token:
                case (owner, int(tag)) if owner is self:
                    (settled if verdict is Verdict.SETTLE else returned).append(tag)
                case _:
                    self.forgotten += 1
        return settled, returned

    def _check(self) -> None:
        if self._stopped:
            raise EndOfSource
        if self._session is None or not self._session.alive:
            reason = self._session.lost.result() if self._session and self._session.lost.done() else "not open"
            raise Disconnected(reason)

    async def _linger(self, limit: int, linger: float) -> None:
        try:
            async with asyncio.timeout(linger):
                while len(self._buffer) < limit and not self._stopped and self.connected:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            return

    async def _take_in(self, received: DeliveredMessage) -> None:
        """The client's callback: nothing that could wait or fail belongs here."""
        tag = received.delivery_tag
        assert tag is not None
        self._marks.start(tag)
        self._received += 1
        self._buffer.append(self._read(received, self._origin, (self, tag)))
        self._arrived.set()

    async def _consume(self) -> None:
        assert self._channel is not None
        async with limited(f"consuming {self._queue}", where=self._where):
            answer = await self._channel.basic_consume(self._queue, self._take_in)
        self._consumer = answer.consumer_tag

    async def _cancel(self) -> None:
        assert self._channel is not None
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            async with limited(f"cancelling the consumer of {self._queue}", where=self._where):
                await self._channel.basic_cancel(consumer)

    async def _follow_pause(self) -> None:
        """
        Cancel the consumer once a pause lasts, and consume again after it.

        Without a consumer the broker keeps everything that is not here yet, and counts no delivery against it.
        """
        if self._paused:
            await asyncio.sleep(FLAP)
        try:
            if self._paused and self._consumer is not None:
                await self._cancel()
            elif not self._paused and self._consumer is None and not self._stopped:
                await self._consume()
        except Exception as error:  # noqa: BLE001  whatever it is, this session is of no further use
            self._lose(str(error))

    async def _watch(self) -> None:
        """Notice a queue that has something for us while nothing comes: connected, and yet deaf."""
        while True:
            before = self._received
            await asyncio.sleep(self._look_every)
            if self._paused or self._received != before or len(self._marks) >= self._prefetch:
                continue
            ready = await self._ready_at_broker()
            await asyncio.sleep(1.0)
            if ready and self._received == before and not self._paused:
                self._lose(f"{ready} deliveries are ready, but none comes")

    async def _ready_at_broker(self) -> int:
        assert self._session is not None
        try:
            async with self._session.scratch() as channel, limited(f"looking at {self._queue}", where=self._where):
                found = await channel.queue_declare(self._queue, passive=True)
        except Exception as error:  # noqa: BLE001  the look itself is the test
            self._lose(f"the watchdog got no answer: {error}")
            return 0
        return int(found.message_count or 0)

    def _lose(self, reason: str) -> None:
        if self._session is not None:
            self._session.lose(reason)

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
