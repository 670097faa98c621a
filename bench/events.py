"""The events of the benches: 300 bytes each, unless asked for others, in the two shapes that the two roads take."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aio_pika
from aio_pika.abc import AbstractChannel

SIZE = 300  # bytes
NAME = "order.placed"


def event_id(number: int) -> str:
    return f"evt-{number:07d}"


def trigger_event(number: int, size: int = SIZE) -> bytes:
    """An event as Trigger.dev v1 takes it, so that a consumer may pass the bytes on as they are."""
    data = _data(number, size)
    return _padded(lambda note: {"id": event_id(number), "event": {"name": NAME, "payload": data | note}}, size)


def inngest_event(number: int, size: int = SIZE) -> bytes:
    """An event as Inngest takes it."""
    data = _data(number, size)
    return _padded(lambda note: {"id": event_id(number), "name": NAME, "data": data | note, "ts": _NOW}, size)


def later(number: int, due_at: int) -> bytes:
    """An event that is due at that time, in epoch milliseconds."""
    return json.dumps({"id": event_id(number), "name": NAME, "data": {"n": number}, "ts": due_at}).encode()


_NOW = time.time_ns() // 1_000_000 - 60_000  # a minute ago: not a delay


def _data(number: int, size: int) -> dict[str, object]:
    if size < SIZE:
        return {}
    customer = {"id": f"c-{number % 997}", "email": "ada@example.com", "vip": number % 7 == 0}
    lines = [{"sku": "A-100", "count": 2, "price": 19.95}, {"sku": "B-7", "count": 1, "price": 5}]
    return {"customer": customer, "lines": lines}


def _padded(shape: Callable[[dict[str, str]], object], size: int) -> bytes:
    bare = json.dumps(shape({"note": ""}), separators=(",", ":"))
    return json.dumps(shape({"note": "x" * (size - len(bare))}), separators=(",", ":")).encode()


@asynccontextmanager
async def channel_of(url: str) -> AsyncIterator[AbstractChannel]:
    """A channel with confirms on a connection of its own."""
    async with await aio_pika.connect(url) as connection:
        yield await connection.channel(on_return_raises=True)


async def declare(url: str, queue: str, kind: str) -> None:
    """Declare a durable queue: `quorum` or `classic`."""
    async with channel_of(url) as channel:
        await channel.declare_queue(queue, durable=True, arguments={"x-queue-type": kind})


async def delete(url: str, queue: str) -> None:
    async with channel_of(url) as channel:
        await channel.queue_delete(queue)


async def publish(channel: AbstractChannel, queue: str, body: bytes) -> None:
    delivery = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
    await channel.default_exchange.publish(delivery, queue, timeout=60)
