"""One session of consuming a queue. It lives once: `bridge.reconnecting` makes the next one."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from aiormq.abc import AbstractChannel, DeliveredMessage

from bridge import tasks
from bridge.core.watermark import Watermark
from bridge.errors import ConfigError, Disconnected, EndOfSource
from bridge.model import Delivery, Verdict
from bridge.rabbitmq import wire
from bridge.rabbitmq.appetite import Appetite
from bridge.rabbitmq.connection import Session, connect, limited
from bridge.rabbitmq.options import ConnectionSettings
from bridge.rabbitmq.watchdog import guard

log = logging.getLogger(__name__)

FLAP: Final = 0.2  # seconds a pause must last before the consumer is cancelled
PROBATION: Final = 60.0  # seconds after which a cautious session that settled nothing is trusted all the same
WATCHDOG: Final = 30.0  # seconds between looks whether a silent queue has anything for us
OFTEN: Final = 15  # returns of one delivery that are worth a warning: RabbitMQ 4 drops at 20 where nothing else is said
WARN_EVERY: Final = 60.0  # seconds

Read = Callable[[DeliveredMessage, str, object], Delivery]
"""Turns what the client delivers into a Delivery, given its origin and its token."""


class Consumer:
    """
    One generation: one connection, one channel, one consumer at a time.

    The client's callback only fills a buffer that the prefetch bounds. Whatever ends the connection, the channel or
    the consumer ends this object: `receive` raises Disconnected, and `settle` skips what is not of this session.
    """

    def __init__(
        self,
        connection: ConnectionSettings,
        queue: str,
        *,
        appetite: Appetite,
        where: str,
        prepare: Callable[[Session], Awaitable[None]] | None = None,
        read: Read = wire.delivery_of,
        watchdog: float = WATCHDOG,
    ) -> None:
        """`prepare` looks after the topology. `watchdog` is in seconds; 0 means none."""
        self._connection = connection
        self._queue = queue
        self._where = where
        self._prepare = prepare
        self._read = read
        self._watchdog = watchdog
        self._origin = f"rabbitmq:{queue}"
        self._appetite = appetite
        self._buffer: deque[Delivery] = deque()
        self._marks = Watermark()
        self._arrived = asyncio.Event()
        self._settling = asyncio.Lock()
        self._wanted = asyncio.Event()  # set when `_width` may have to change
        self._width = 0  # the prefetch of the consumer that stands; 0 for none
        self._tag: str | None = None
        self._received = 0
        self._paused_at: float | None = None
        self._stopped = False
        self._tasks: list[asyncio.Task[None]] = []
        self._session: Session | None = None
        self._channel: AbstractChannel | None = None
        self._warned = -WARN_EVERY
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
        await self._reshape(self._want())
        self._supervise(self._tend)
        if self._watchdog:
            self._supervise(self._guard)
        if self._appetite.cautious:
            self._supervise(self._trust_in_time)

    async def close(self) -> None:
        await tasks.end(*self._tasks)
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
        own = [pair for pair in zip(batch, verdicts, strict=True) if self.owns(pair[0])]
        self.forgotten += len(batch) - len(own)  # those of an older session the broker has back already
        try:
            # One at a time: an ack of everything up to a tag must not overtake the single ack of a tag below it.
            async with self._settling:
                await self._give_back([delivery for delivery, verdict in own if verdict is Verdict.RETURN])
                await self._ack([delivery for delivery, verdict in own if verdict is Verdict.SETTLE])
        except (Disconnected, ConfigError) as error:
            self._lose(error)
            self.forgotten += len(own)

    def owns(self, delivery: Delivery) -> bool:
        return isinstance(delivery.token, tuple) and delivery.token[0] is self and self.connected

    def pause(self) -> None:
        """Take in no more. A short pause costs nothing; a longer one cancels the consumer, but keeps the session."""
        if self._paused_at is None:
            loop = asyncio.get_running_loop()
            self._paused_at = loop.time()
            loop.call_later(FLAP, self._wanted.set)

    def resume(self) -> None:
        self._paused_at = None
        self._wanted.set()

    def stop(self) -> None:
        self._stopped = True
        self._arrived.set()
        self._wanted.set()

    @property
    def _standing(self) -> AbstractChannel:
        if self._channel is None or not self.connected:
            raise Disconnected("the session is over")
        return self._channel

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
        delivery = self._read(received, self._origin, (self, tag))
        self._marks.start(tag)
        self._received += 1
        self._buffer.append(delivery)
        self._arrived.set()
        self._appetite.take(len(delivery.body))
        self._reconsider()
        self._warn_of_returns(delivery.headers.get("x-delivery-count"))

    def _warn_of_returns(self, count: object) -> None:
        now = asyncio.get_running_loop().time()
        if isinstance(count, int) and count >= OFTEN and now - self._warned >= WARN_EVERY:
            self._warned = now
            log.warning("delivery_returned_often", extra={"queue": self._queue, "returns": count})

    def _gone(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self._appetite.give(len(delivery.body))
        self._reconsider()

    def _reconsider(self) -> None:
        if self._want() != self._width:
            self._wanted.set()

    def _want(self) -> int:
        """How many deliveries the broker may have out to us now; 0 means no consumer."""
        paused = self._paused_at is not None and asyncio.get_running_loop().time() - self._paused_at >= FLAP
        return 0 if self._stopped or paused else self._appetite.prefetch(self._width)

    async def _tend(self) -> None:
        """Keep the consumer as it is wanted. All changes happen here, one after the other."""
        while not self._stopped:
            await self._wanted.wait()
            self._wanted.clear()
            if (want := self._want()) != self._width:
                await self._reshape(want)
        unread = list(self._buffer)
        self._buffer.clear()
        async with self._settling:
            await self._give_back(unread)

    async def _reshape(self, width: int) -> None:
        """
        Have a consumer with this prefetch, or none for 0: then the broker keeps what is not here yet.

        A prefetch applies to new consumers only (quorum queues know no other), so each change means another one.
        """
        channel = self._standing
        async with limited(f"consuming {self._queue}", where=self._where):
            if self._tag is not None:
                await channel.basic_cancel(self._tag)
                self._tag = None
            if width:
                await channel.basic_qos(prefetch_count=width)
                self._tag = (await channel.basic_consume(self._queue, self._take_in)).consumer_tag
        self._width = width

    async def _ack(self, deliveries: Sequence[Delivery]) -> None:
        """Up to the watermark at once, and singly beyond it: a straggler never uses up the prefetch."""
        up_to, singly = self._marks.settle(_tag_of(delivery) for delivery in deliveries)
        self._gone(deliveries)
        async with limited("settling", where=self._where):
            if up_to is not None:
                await self._standing.basic_ack(up_to, multiple=True)
            for tag in singly:
                await self._standing.basic_ack(tag)
        self.settled += len(deliveries)
        if self._appetite.cautious and deliveries:
            self._trust()

    async def _give_back(self, deliveries: Sequence[Delivery]) -> None:
        """Return to the queue. Only at shutdown: each return counts against a delivery limit."""
        self._gone(deliveries)
        async with limited("giving back", where=self._where):
            for delivery in deliveries:
                self._marks.finish(_tag_of(delivery))
                await self._standing.basic_nack(_tag_of(delivery), requeue=True)

    def _trust(self) -> None:
        self._appetite.cautious = False
        self._wanted.set()

    async def _trust_in_time(self) -> None:
        await asyncio.sleep(PROBATION)
        self._trust()

    async def _guard(self) -> None:
        assert self._session is not None
        await guard(
            self._session,
            self._queue,
            self._watchdog,
            received=lambda: self._received,
            hungry=lambda: len(self._marks) < self._width,
            where=self._where,
        )

    def _supervise(self, act: Callable[[], Awaitable[None]]) -> None:
        """Run something that lasts as long as the session; if it fails, the session is over."""

        async def supervised() -> None:
            try:
                await act()
            except Exception as error:  # noqa: BLE001  whatever it is, this session is of no further use
                self._lose(error)

        self._tasks.append(asyncio.get_running_loop().create_task(supervised()))

    def _lose(self, error: Exception) -> None:
        if self._session is not None:
            self._session.lose(str(error))


def _tag_of(delivery: Delivery) -> int:
    assert isinstance(delivery.token, tuple)
    tag = delivery.token[1]
    assert isinstance(tag, int)
    return tag
