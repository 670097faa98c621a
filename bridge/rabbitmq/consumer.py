"""One session of consuming a queue. It lives once: `bridge.reconnecting` makes the next one."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, cast

from bridge import tasks
from bridge.core.watermark import Watermark
from bridge.errors import ConfigError, Disconnected, EndOfSource
from bridge.model import Delivery, Verdict
from bridge.rabbitmq.appetite import Appetite
from bridge.rabbitmq.native import NativeSubscription
from bridge.rabbitmq.options import Client
from bridge.rabbitmq.subscription import Place, Subscription
from bridge.rabbitmq.throughclient import ClientSubscription
from bridge.rabbitmq.watchdog import guard

log = logging.getLogger(__name__)

FLAP: Final = 0.2  # seconds a pause must last before the consumer is cancelled
PROBATION: Final = 60.0  # seconds after which a cautious session that settled nothing is trusted all the same
WATCHDOG: Final = 30.0  # seconds between looks whether a silent queue has anything for us
OFTEN: Final = 15  # returns of one delivery that are worth a warning: RabbitMQ 4 drops at 20 where nothing else is said
WARN_EVERY: Final = 60.0  # seconds


class Consumer:
    """
    One generation: one subscription, one consumer of it at a time.

    What arrives only fills a buffer that the prefetch bounds. Whatever ends the connection, the channel or the
    consumer ends this object: `receive` raises Disconnected, and `settle` skips what is not of this session.
    """

    def __init__(
        self, place: Place, *, appetite: Appetite, client: Client = "native", watchdog: float = WATCHDOG
    ) -> None:
        """`watchdog` is in seconds; 0 means none."""
        self._place = place
        self._client: Client = client
        self._watchdog = watchdog
        self._appetite = appetite
        self._buffer: deque[Delivery] = deque()
        self._marks = Watermark()
        self._arrived = asyncio.Event()
        self._wanted = asyncio.Event()  # set when `_width` may have to change
        self._width = 0  # the prefetch of the consumer that stands; 0 for none
        self._received = 0
        self._paused_at: float | None = None
        self._stopped = False
        self._tasks: list[asyncio.Task[None]] = []
        self._subscription: Subscription | None = None
        self._warned = -WARN_EVERY
        self.settled = 0
        self.forgotten = 0

    @property
    def connected(self) -> bool:
        return self._subscription is not None and self._subscription.alive

    async def open(self) -> None:
        kind = NativeSubscription if self._client == "native" else ClientSubscription
        self._subscription = kind(self._place, self._take_in)
        self._subscription.lost.add_done_callback(lambda _: self._arrived.set())
        await self._subscription.open()
        await self._reshape(self._want())
        self._supervise(self._tend)
        if self._watchdog:
            self._supervise(self._guard)
        if self._appetite.cautious:
            self._supervise(self._trust_in_time)

    async def close(self) -> None:
        await tasks.end(*self._tasks)
        if self._subscription is not None:
            await self._subscription.close()

    async def receive(self, limit: int, linger: float) -> list[Delivery]:
        while not self._buffer:
            self._check()
            self._arrived.clear()
            await self._arrived.wait()
        self._check()
        if linger > 0 and len(self._buffer) < limit:
            await self._linger(limit, linger)
        return self._drawn(limit)

    async def settle(self, batch: Sequence[Delivery], verdicts: Sequence[Verdict]) -> None:
        mine, returned = self._mine(batch, verdicts)
        count = len(mine) + len(returned)
        self.forgotten += len(batch) - count  # those of an older session the broker has back already
        if not count:
            return
        try:
            await self._give_back(returned)
            await self._ack(mine)
        except (Disconnected, ConfigError) as error:
            self._lose(error)
            self.forgotten += count

    def owns(self, delivery: Delivery) -> bool:
        token = delivery.token
        return isinstance(token, tuple) and token[0] is self._subscription and self.connected

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
    def _standing(self) -> Subscription:
        if self._subscription is None or not self._subscription.alive:
            raise Disconnected("the session is over")
        return self._subscription

    def _check(self) -> None:
        if self._stopped:
            raise EndOfSource
        if not self.connected:
            lost = self._subscription.lost if self._subscription is not None else None
            raise Disconnected(lost.result() if lost is not None and lost.done() else "not open")

    async def _linger(self, limit: int, linger: float) -> None:
        try:
            async with asyncio.timeout(linger):
                while len(self._buffer) < limit and not self._stopped and self.connected:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            return

    def _drawn(self, limit: int) -> list[Delivery]:
        buffer = self._buffer
        if len(buffer) > limit:
            return [buffer.popleft() for _ in range(limit)]
        drawn = list(buffer)
        buffer.clear()
        return drawn

    def _mine(self, batch: Sequence[Delivery], verdicts: Sequence[Verdict]) -> tuple[list[Delivery], list[Delivery]]:
        """Those of this session: to settle, and to return."""
        if not self.connected:
            return [], []
        own = [pair for pair in zip(batch, verdicts, strict=True) if self.owns(pair[0])]
        settled = [delivery for delivery, verdict in own if verdict is Verdict.SETTLE]
        return settled, [delivery for delivery, verdict in own if verdict is Verdict.RETURN]

    def _take_in(self, deliveries: list[Delivery]) -> None:
        """What came in one go: nothing that could wait or fail belongs here."""
        self._marks.begin(_tags_of(deliveries))
        self._received += len(deliveries)
        self._buffer += deliveries
        self._arrived.set()
        self._appetite.take(_bytes_of(deliveries), len(deliveries))
        self._reconsider()
        again = [delivery for delivery in deliveries if delivery.redelivered]
        if again:
            self._warn_of_returns(again)

    def _warn_of_returns(self, again: Sequence[Delivery]) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._warned < WARN_EVERY:
            return
        counts = [delivery.headers.get("x-delivery-count") for delivery in again]
        returns = max((count for count in counts if isinstance(count, int)), default=0)
        if returns >= OFTEN:
            self._warned = now
            log.warning("delivery_returned_often", extra={"queue": self._place.queue, "returns": returns})

    def _gone(self, deliveries: Sequence[Delivery]) -> None:
        self._appetite.give(_bytes_of(deliveries))
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
        if self._width:  # or the broker would hand out again what is given back
            await self._reshape(0)
        unread = list(self._buffer)
        self._buffer.clear()
        await self._give_back(unread)

    async def _reshape(self, width: int) -> None:
        """Have a consumer with this prefetch, or none for 0: then the broker keeps what is not here yet."""
        await self._standing.consume(width)
        self._width = width

    async def _ack(self, deliveries: Sequence[Delivery]) -> None:
        """Up to the watermark at once, and singly beyond it: a straggler never uses up the prefetch."""
        if not deliveries:
            return
        up_to, singly = self._marks.settle(_tags_of(deliveries))
        self._gone(deliveries)
        await self._standing.ack(up_to, singly)
        self.settled += len(deliveries)
        if self._appetite.cautious:
            self._trust()

    async def _give_back(self, deliveries: Sequence[Delivery]) -> None:
        """Return to the queue. Only at shutdown: each return counts against a delivery limit."""
        if not deliveries:
            return
        tags = _tags_of(deliveries)
        self._marks.settle(tags)
        self._gone(deliveries)
        await self._standing.give_back(tags)

    def _trust(self) -> None:
        self._appetite.cautious = False
        self._wanted.set()

    async def _trust_in_time(self) -> None:
        await asyncio.sleep(PROBATION)
        self._trust()

    async def _guard(self) -> None:
        await guard(
            self._standing,
            self._watchdog,
            received=lambda: self._received,
            hungry=lambda: len(self._marks) < self._width,
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
        if self._subscription is not None:
            self._subscription.lose(str(error))


def _tags_of(deliveries: Sequence[Delivery]) -> list[int]:
    """The broker's tags, of deliveries of a subscription."""
    return [cast("tuple[Subscription, int]", delivery.token)[1] for delivery in deliveries]


def _bytes_of(deliveries: Sequence[Delivery]) -> int:
    return sum([len(delivery.body) for delivery in deliveries])
