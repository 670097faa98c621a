"""A session ends when it is told to, in whatever call to the broker that finds it."""

from __future__ import annotations

import asyncio
import random

import pytest
from pydantic import SecretStr

from bridge.errors import Disconnected
from bridge.rabbitmq import watchdog
from bridge.rabbitmq.native import NativeSubscription
from bridge.rabbitmq.options import Client, ConnectionSettings
from bridge.rabbitmq.subscription import Place, Subscription
from bridge.rabbitmq.throughclient import ClientSubscription
from tests.integration.rabbitmq.lab import lab

QUEUE = "events"


async def dial(url: str, client: Client) -> Subscription:
    place = Place(connection=ConnectionSettings(url=SecretStr(url)), queue=QUEUE, where="routes.x.source")
    kind = NativeSubscription if client == "native" else ClientSubscription
    subscription: Subscription = kind(place, lambda _: None)
    await subscription.open()
    return subscription


async def test_a_watchdog_ends_at_any_moment(amqp_url: str, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client catches cancellations in tasks of its own; one that got lost there once hung a close for ever."""
    monkeypatch.setattr(watchdog, "SETTLE_IN", 0.002)
    async with lab(amqp_url) as outside:
        await outside.declare(QUEUE)
    subscription = await dial(amqp_url, client)
    for _ in range(100):
        if not subscription.alive:
            await subscription.close()
            subscription = await dial(amqp_url, client)
        watching = [
            asyncio.create_task(watchdog.guard(subscription, 0.001, received=lambda: 0, hungry=lambda: True))
            for _ in range(4)
        ]
        for task in watching:
            await asyncio.sleep(random.uniform(0, 0.004))
            task.cancel()
        done, stuck = await asyncio.wait(watching, timeout=30)
        assert not stuck
        assert all(task.cancelled() or isinstance(task.exception(), Disconnected) for task in done)
    await subscription.close()
