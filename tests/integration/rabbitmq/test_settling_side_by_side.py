"""Batches that settle at the same time on one channel."""

from __future__ import annotations

import asyncio
import random

from pydantic import SecretStr

from bridge.model import Delivery, Verdict
from bridge.sources.rabbitmq import RabbitMQSourceSettings
from tests.chaos.harness import QUEUE, Publisher


async def test_acks_of_many_batches_never_overtake_each_other(amqp_url: str) -> None:
    """An ack that comes after a multiple ack of a higher tag closes the channel: unknown delivery tag."""
    publisher = Publisher(amqp_url)
    await publisher.declare()
    await publisher.events(f"e{number}" for number in range(500))
    source = RabbitMQSourceSettings(type="rabbitmq", url=SecretStr(amqp_url), queue=QUEUE, prefetch=500).build(
        "default"
    )
    await source.open()
    taken: list[Delivery] = []
    while len(taken) < 500:
        taken += await source.receive(100, 0)
    random.Random(1).shuffle(taken)
    batches = [taken[start : start + 7] for start in range(0, 500, 7)]

    await asyncio.gather(*(source.settle(batch, [Verdict.SETTLE] * len(batch)) for batch in batches))

    await publisher.events(["after"])
    [after] = await asyncio.wait_for(source.receive(100, 0), 30)
    await source.settle([after], [Verdict.SETTLE])
    assert (source.rebuilds, source.forgotten) == (0, 0)
    await source.close()
