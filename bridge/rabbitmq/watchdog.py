"""Notices a session that is connected and yet deaf."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from bridge.errors import Disconnected
from bridge.rabbitmq.subscription import Subscription

SETTLE_IN: Final = 1.0  # seconds that deliveries which are ready may take to come


async def guard(
    subscription: Subscription, interval: float, *, received: Callable[[], int], hungry: Callable[[], bool]
) -> None:
    """
    Ask the broker every `interval` seconds in which nothing came, although something could have.

    Raises Disconnected when the broker has deliveries ready and none comes, or when it does not answer.
    """
    while True:
        before = received()
        await asyncio.sleep(interval)
        if received() != before or not hungry():
            continue
        ready = await subscription.depth()
        await asyncio.sleep(SETTLE_IN)
        if ready and received() == before and hungry():
            raise Disconnected(f"{ready} deliveries are ready, but none comes")
