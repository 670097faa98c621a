"""
The counters that tell of a frozen delay level do so.

They are asked for where RabbitMQ's exporter takes them from: it puts `rabbitmq_global_` in front of their names.
"""

from __future__ import annotations

import asyncio
import re

from bridge.core.ladder import Ladder
from bridge.delays.rabbitmq import RabbitMQDelaySettings
from devtools.processes import wait_until
from devtools.rabbitmq import Node
from tests.contract.delay_line import hold
from tests.integration.rabbitmq.lab import lab

LADDER = Ladder("bridge")
PATIENCE = 60.0
LOOKS = 40
"""So many looks in a row, 50 ms apart, at a copy that does not get on: one on its way is there for a few ms."""


def unconfirmed(broker: Node) -> int:
    """How many copies have left a queue by at-least-once dead-lettering, and no other has confirmed them."""
    labels = "[{queue_type,rabbit_quorum_queue},{dead_letter_strategy,at_least_once}]"
    counters = broker.eval(f"maps:get({labels}, rabbit_global_counters:overview())")
    expired, confirmed = (
        int(re.findall(rf"messages_dead_lettered_{name}_total\s*=>\s*(\d+)", counters)[0])
        for name in ("expired", "confirmed")
    )
    return expired - confirmed


async def test_a_level_whose_copies_nobody_takes_shows_in_the_brokers_counters(
    broker: Node, vhost: str, amqp_url: str
) -> None:
    before = await asyncio.to_thread(unconfirmed, broker)
    line = RabbitMQDelaySettings.model_validate({"type": "rabbitmq", "url": amqp_url}).build("default")
    try:
        await line.open()
        async with lab(amqp_url) as operator:
            await operator.channel.queue_unbind(LADDER.due, LADDER.out, "#")
        assert await line.hold([hold(1, 5.0)]) == [None]
        seen = 0

        def stands_still() -> bool:
            nonlocal seen
            seen = seen + 1 if unconfirmed(broker) == before + 1 else 0
            return seen >= LOOKS

        await asyncio.to_thread(wait_until, stands_still, within=PATIENCE, what="a copy that does not get on")
        assert (await asyncio.to_thread(broker.depths, vhost))[LADDER.due] == (0, 0)
    finally:
        await line.close()
