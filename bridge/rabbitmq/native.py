"""A subscription over the bridge's own AMQP: per read what others do per delivery, and no task at all."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bridge.amqp.connection import Misplaced
from bridge.amqp.events import Cancelled, ChannelOpened, Consuming, Delivered, PrefetchSet, QueueFound
from bridge.errors import Disconnected
from bridge.rabbitmq.connection import connect
from bridge.rabbitmq.dialing import dial, limited
from bridge.rabbitmq.link import Link
from bridge.rabbitmq.reading import Reader
from bridge.rabbitmq.subscription import Arrived, Place

CHANNEL = 1


class NativeSubscription:
    """See `bridge.rabbitmq.subscription`. Acks are not waited for: a turn of the loop sends all of its acks at once."""

    def __init__(self, place: Place, arrived: Arrived) -> None:
        self._place = place
        self._arrived = arrived
        self._read = Reader(self, place.queue, due=place.due).read
        self._link: Link | None = None
        self._consumers = 0
        self._tag = ""
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def alive(self) -> bool:
        # Our own `lost` follows that of the link a turn of the loop later.
        return self._link is not None and not self._link.lost.done() and not self.lost.done()

    async def open(self) -> None:
        await self._prepare()
        place = self._place
        self._link = await dial(place.connection, self._take_in, name=f"event-bridge {place.where}", where=place.where)
        self._link.lost.add_done_callback(lambda lost: self.lose(lost.result()))
        async with limited("opening a channel", where=place.where):
            self._link.amqp.open_channel(CHANNEL)
            await self._link.call(ChannelOpened)

    async def consume(self, width: int) -> None:
        link = self._standing
        async with limited(f"consuming {self._place.queue}", where=self._place.where):
            if self._tag:
                link.amqp.cancel(CHANNEL, self._tag)
                await link.call(Cancelled)
                self._tag = ""
            if width:
                link.amqp.qos(CHANNEL, width)
                await link.call(PrefetchSet)
                self._consumers += 1
                link.amqp.consume(CHANNEL, self._place.queue, f"event-bridge.{self._consumers}")
                self._tag = (await link.call(Consuming)).consumer_tag

    async def ack(self, up_to: int | None, singly: Sequence[int]) -> None:
        link = self._standing
        try:
            if up_to is not None:
                link.amqp.ack(CHANNEL, up_to, multiple=True)
            for tag in singly:
                link.amqp.ack(CHANNEL, tag)
        except Misplaced as error:
            raise Disconnected(str(error)) from None
        link.flush_soon()

    async def give_back(self, tags: Sequence[int]) -> None:
        link = self._standing
        try:
            for tag in tags:
                link.amqp.give_back(CHANNEL, tag)
        except Misplaced as error:
            raise Disconnected(str(error)) from None
        link.flush_soon()

    async def depth(self) -> int:
        link = self._standing
        async with limited(f"looking at {self._place.queue}", where=self._place.where):
            link.amqp.declare_passively(CHANNEL, self._place.queue)
            return (await link.call(QueueFound)).ready

    def lose(self, reason: str) -> None:
        if not self.lost.done():
            self.lost.set_result(reason)
        if self._link is not None:
            self._link.lose(reason)

    async def close(self) -> None:
        self.lose("closed")
        if self._link is not None:
            await self._link.close()

    async def _prepare(self) -> None:
        """Look after the topology, through the client that publishes; its connection is closed before ours is made."""
        place, settings = self._place, self._place.connection
        if place.prepare is None:
            return
        name = f"event-bridge {place.where} (topology)"
        session = await connect(
            settings.url, name=name, where=place.where, heartbeat=settings.heartbeat, ca_file=settings.ca_file
        )
        try:
            await place.prepare(session)
        finally:
            await session.close()

    @property
    def _standing(self) -> Link:
        if self._link is None or not self.alive:
            raise Disconnected("the session is over")
        return self._link

    def _take_in(self, came: list[Delivered]) -> None:
        self._arrived(self._read(came))
