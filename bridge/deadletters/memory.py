"""Dead letters within this process, for tests and for trying things out."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from bridge.model import Burial


class MemoryDeadLettersSettings(BaseModel):
    """Dead letters in memory. They are gone when the process ends, and the oldest go first."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    type: Literal["memory"] = Field(description="Keep dead letters in this process; for trying things out.")
    keep: int = Field(10_000, ge=1, description="How many are kept.")

    def build(self, route: str, source: object = None) -> MemoryDeadLetters:  # noqa: ARG002  it has no broker to share
        return MemoryDeadLetters(keep=self.keep)


class MemoryDeadLetters:
    """Keeps the last `keep` burials."""

    def __init__(self, *, keep: int = 10_000) -> None:
        self.buried: deque[Burial] = deque(maxlen=keep)

    async def open(self) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        """Nothing to let go of."""

    async def bury(self, items: Sequence[Burial]) -> None:
        now = time.time_ns() // 1_000_000
        self.buried.extend(replace(item, buried_at=item.buried_at or now) for item in items)

    async def browse(self, limit: int) -> list[Burial]:
        """The oldest ones, which stay."""
        return list(self.buried)[:limit]

    @asynccontextmanager
    async def take(self, limit: int) -> AsyncIterator[list[Burial]]:
        """The oldest ones, which are gone when the block ends without an exception."""
        taken = await self.browse(limit)
        yield taken
        for _ in taken:
            self.buried.popleft()

    async def purge(self) -> int:
        """Forget all; return how many there were."""
        count = len(self.buried)
        self.buried.clear()
        return count
