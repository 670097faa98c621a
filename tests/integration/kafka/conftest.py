"""What only these tests need."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka.conn import AIOKafkaConnection


@pytest.fixture
async def farewells(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Wait for what the client leaves to end by itself: a connection with TLS closes when its peer has agreed."""
    closing: list[asyncio.Future[None]] = []
    close = AIOKafkaConnection.close

    def closed(self: Any, *args: Any, **reasons: Any) -> Any:
        end = close(self, *args, **reasons)
        if end is not None:
            closing.append(end)
        return end

    monkeypatch.setattr(AIOKafkaConnection, "close", closed)
    yield
    async with asyncio.timeout(10):
        await asyncio.gather(*closing)
