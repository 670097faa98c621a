"""A session ends when it is told to, in whatever call to the broker that finds it."""

from __future__ import annotations

import asyncio
import random

import pytest
from pydantic import SecretStr

from bridge.errors import Disconnected
from bridge.rabbitmq import watchdog
from bridge.rabbitmq.connection import Session, connect
from tests.integration.rabbitmq.lab import lab

QUEUE = "events"


async def dial(url: str) -> Session:
    return await connect(SecretStr(url), name="event-bridge test", where="routes.x.source", heartbeat=15)


async def test_a_watchdog_ends_at_any_moment(amqp_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client catches cancellations in tasks of its own; one that got lost there once hung a close for ever."""
    monkeypatch.setattr(watchdog, "SETTLE_IN", 0.002)
    async with lab(amqp_url) as outside:
        await outside.declare(QUEUE)
    session = await dial(amqp_url)
    for _ in range(100):
        if not session.alive:
            session = await dial(amqp_url)
        watching = [
            asyncio.create_task(
                watchdog.guard(session, QUEUE, 0.001, received=lambda: 0, hungry=lambda: True, where="routes.x.source")
            )
            for _ in range(4)
        ]
        for task in watching:
            await asyncio.sleep(random.uniform(0, 0.004))
            task.cancel()
        done, stuck = await asyncio.wait(watching, timeout=30)
        assert not stuck
        assert all(task.cancelled() or isinstance(task.exception(), Disconnected) for task in done)
    await session.close()
