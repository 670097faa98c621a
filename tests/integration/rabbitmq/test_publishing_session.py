"""The session that publishes: there before it is needed."""

from __future__ import annotations

import asyncio

from pydantic import SecretStr

from bridge.core.ladder import Ladder
from bridge.deadletters.rabbitmq import RabbitMQDeadLetters
from bridge.rabbitmq.options import ConnectionSettings
from devtools.rabbitmq import Node


async def test_a_lost_session_is_replaced_without_anything_to_publish(fresh_broker: Node) -> None:
    connection = ConnectionSettings(url=SecretStr(fresh_broker.url))
    letters = RabbitMQDeadLetters(connection, Ladder("bridge"), topology="declare", where="dead_letters")
    await letters.open()
    try:
        await asyncio.to_thread(fresh_broker.close_all_connections)
        async with asyncio.timeout(30):
            while not (letters.connected and letters.rebuilds):  # noqa: ASYNC110  a session has no event for it
                await asyncio.sleep(0.05)
    finally:
        await letters.close()

    assert not letters.connected
