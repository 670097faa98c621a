"""Whoever publishes events, and the operator at the broker."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

QUEUE = "events"
AT_ONCE = 200  # publishes on their way

Body = Mapping[str, object] | Sequence[object] | bytes


def event(event_id: str, *, name: str = "user.created", **more: Any) -> dict[str, object]:
    """An Inngest-shaped event."""
    return {"id": event_id, "name": name, "data": {"n": event_id}, **more}


class Publisher:
    """Publishes with confirms: what a call has returned for, the broker has taken."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def publish(self, bodies: Iterable[Body], headers: dict[str, Any] | None = None, queue: str = QUEUE) -> None:
        """Publish; what is not bytes is written as JSON."""
        items = list(bodies)
        async with self._channel() as channel:
            for start in range(0, len(items), AT_ONCE):
                part = items[start : start + AT_ONCE]
                await asyncio.gather(*(_publish(channel, queue, body, headers) for body in part))

    async def events(self, ids: Iterable[str], **more: Any) -> None:
        await self.publish([event(event_id) for event_id in ids], **more)

    async def declare(self, queue: str = QUEUE, arguments: Mapping[str, int] | None = None) -> None:
        """Declare a source queue, as its owner would."""
        async with self._channel() as channel:
            await channel.declare_queue(queue, durable=True, arguments={"x-queue-type": "quorum", **(arguments or {})})

    async def delete(self, queue: str) -> None:
        async with self._channel() as channel:
            await channel.queue_delete(queue)

    async def unbind(self, queue: str, *, whole: bool) -> None:
        """Take away the binding of a queue to the exchange of its name, or the whole exchange."""
        async with self._channel() as channel:
            if whole:
                await channel.exchange_delete(queue)
            else:
                await (await channel.get_queue(queue)).unbind(queue, routing_key="")

    async def bind(self, queue: str) -> None:
        """Put back what `unbind` took."""
        async with self._channel() as channel:
            await channel.declare_exchange(queue, "fanout", durable=True)
            await (await channel.get_queue(queue)).bind(queue, routing_key="")

    async def take_all(self, queue: str) -> list[AbstractIncomingMessage]:
        """Take what is in a queue now."""
        taken: list[AbstractIncomingMessage] = []
        async with self._channel() as channel:
            source = await channel.declare_queue(queue, passive=True)
            while (got := await source.get(fail=False)) is not None:
                taken.append(got)
                await got.ack()
        return taken

    @asynccontextmanager
    async def _channel(self) -> AsyncIterator[AbstractChannel]:
        async with await aio_pika.connect(self._url) as connection:
            yield await connection.channel(on_return_raises=True)


async def _publish(channel: AbstractChannel, queue: str, body: Body, headers: dict[str, Any] | None) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    delivery = aio_pika.Message(data, headers=headers, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
    await channel.default_exchange.publish(delivery, queue, timeout=30)
