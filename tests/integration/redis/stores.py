"""Stores on a real Redis, opened and closed around a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from bridge.errors import StoreUnavailable
from bridge.model import Answer, Ask
from bridge.stores.redis import RedisSettings, RedisStore

T = TypeVar("T")

PATIENCE = 60.0  # seconds; what is waited for takes one or two


def settings_of(url: str, namespace: str, **more: Any) -> RedisSettings:
    return RedisSettings.model_validate({"url": url, "namespace": namespace, "timeout": 5.0, **more})


@asynccontextmanager
async def opened(settings: RedisSettings) -> AsyncIterator[RedisStore]:
    store = RedisStore(settings)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def insist(act: Callable[[], Awaitable[T]]) -> T:
    """Repeat until the store is back, as the pipeline does."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await act()
            except StoreUnavailable:
                await asyncio.sleep(0.02)


async def answers(store: RedisStore, *keys: bytes, owner: str = "me", lease: float = 600.0) -> list[Answer]:
    return [claim.answer for claim in await store.claim([Ask(key) for key in keys], owner=owner, lease=lease)]


def numbered(count: int, first: int = 0) -> list[bytes]:
    """Keys that fall into every group."""
    return [(first + number).to_bytes(16, "little") for number in range(count)]
