"""A subscription through aio-pika and aiormq: what publishes here too, and a second opinion on our own codec."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiormq.abc import AbstractChannel, DeliveredMessage

from bridge.errors import Disconnected
from bridge.rabbitmq import wire
from bridge.rabbitmq.connection import Session, connect, limited
from bridge.rabbitmq.subscription import Arrived, Place


class ClientSubscription:
    """See `bridge.rabbitmq.subscription`. The client starts a task for each delivery, and two for each ack."""

    def __init__(self, place: Place, arrived: Arrived) -> None:
        self._place = place
        self._arrived = arrived
        self._read = wire.due_delivery_of if place.due else wire.delivery_of
        self._origin = f"rabbitmq:{place.queue}"
        self._writing = asyncio.Lock()
        self._session: Session | None = None
        self._channel: AbstractChannel | None = None
        self._tag: str | None = None
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def alive(self) -> bool:
        return not self.lost.done() and self._session is not None and self._session.alive

    async def open(self) -> None:
        place, settings = self._place, self._place.connection
        name = f"event-bridge {place.where}"
        self._session = await connect(
            settings.url, name=name, where=place.where, heartbeat=settings.heartbeat, ca_file=settings.ca_file
        )
        self._session.lost.add_done_callback(lambda lost: self.lose(lost.result()))
        if place.prepare is not None:
            await place.prepare(self._session)
        self._channel = await self._session.channel()

    async def consume(self, width: int) -> None:
        channel = self._standing
        async with limited(f"consuming {self._place.queue}", where=self._place.where):
            if self._tag is not None:
                await channel.basic_cancel(self._tag)
                self._tag = None
            if width:
                await channel.basic_qos(prefetch_count=width)
                self._tag = (await channel.basic_consume(self._place.queue, self._take_in)).consumer_tag

    async def ack(self, up_to: int | None, singly: Sequence[int]) -> None:
        # One at a time: an ack of everything up to a tag must not overtake the single ack of a tag below it.
        async with self._writing, limited("settling", where=self._place.where):
            if up_to is not None:
                await self._standing.basic_ack(up_to, multiple=True)
            for tag in singly:
                await self._standing.basic_ack(tag)

    async def give_back(self, tags: Sequence[int]) -> None:
        async with self._writing, limited("giving back", where=self._place.where):
            for tag in tags:
                await self._standing.basic_nack(tag, requeue=True)

    async def depth(self) -> int:
        assert self._session is not None
        queue, where = self._place.queue, self._place.where
        async with self._session.scratch() as channel, limited(f"looking at {queue}", where=where):
            return (await channel.queue_declare(queue, passive=True)).message_count or 0

    def lose(self, reason: str) -> None:
        if not self.lost.done():
            self.lost.set_result(reason)
        if self._session is not None:
            self._session.lose(reason)

    async def close(self) -> None:
        self.lose("closed")
        if self._session is not None:
            await self._session.close()

    @property
    def _standing(self) -> AbstractChannel:
        if self._channel is None or not self.alive:
            raise Disconnected("the session is over")
        return self._channel

    async def _take_in(self, received: DeliveredMessage) -> None:
        """The client's callback: nothing that could wait or fail belongs here."""
        self._arrived([self._read(received, self._origin, (self, received.delivery_tag))])
