"""Batches that settle at the same time on one channel."""

from __future__ import annotations

import asyncio
import random

from pydantic import SecretStr

from bridge.rabbitmq.options import Client
from bridge.sources.rabbitmq import RabbitMQSourceSettings
from tests.integration.rabbitmq.lab import lab, settle, take


async def test_acks_of_many_batches_never_overtake_each_other(amqp_url: str, client: Client) -> None:
    """An ack that comes after a multiple ack of a higher tag closes the channel: unknown delivery tag."""
    settings = RabbitMQSourceSettings(
        type="rabbitmq", url=SecretStr(amqp_url), queue="events", prefetch=500, client=client
    )
    source = settings.build("default")
    async with lab(amqp_url) as publisher:
        await publisher.declare("events")
        await source.open()
        await asyncio.gather(*(publisher.publish("events", b"%d" % number) for number in range(500)))
        taken = await take(source, 500)
        random.Random(1).shuffle(taken)
        batches = [taken[start : start + 7] for start in range(0, 500, 7)]

        await asyncio.gather(*(settle(source, batch) for batch in batches))

        await publisher.publish("events", b"after")
    await settle(source, await take(source, 1))
    assert (source.rebuilds, source.forgotten) == (0, 0)
    await source.close()
