"""
Knows how large a record each topic takes, and refuses larger ones before they are sent.

A refusal by the broker costs the producer: every later record to that partition fails as well (aiokafka 0.14.0).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from bridge.errors import BridgeError
from bridge.kafka.outgoing import Outgoing, Refused, TooLarge

log = logging.getLogger(__name__)

REFRESH: Final = 300.0  # seconds until limits are asked for again
DOUBT: Final = 5.0  # seconds that a limit must be old to be asked for again before it refuses anything
LIMITS: Final = ("max.message.bytes", "segment.bytes")
CODECS: Final[dict[str | None, int]] = {
    None: 0,
    "gzip": DefaultRecordBatch.CODEC_GZIP,
    "zstd": DefaultRecordBatch.CODEC_ZSTD,
}

Ask = Callable[[Sequence[str]], Awaitable[Mapping[str, Mapping[str, str]]]]
"""Reads the settings of topics; those that may not be seen are left out."""


class Sizes:
    """The limits of the topics that were sent to so far. Where one is unknown the broker decides."""

    def __init__(self, ask: Ask, *, compression: str | None) -> None:
        self._ask = ask
        self._codec = CODECS[compression]
        self._limits: dict[str, int | None] = {}
        self._asked = -REFRESH  # loop time
        self._asking = asyncio.Lock()

    async def refusals(self, items: Sequence[Outgoing]) -> list[Refused | None]:
        """Why each cannot be sent; None where it can."""
        await self._learn({item.topic for item in items}, REFRESH)
        refusals = [self._refusal(item) for item in items]
        if any(isinstance(refusal, TooLarge) for refusal in refusals):
            # Somebody may just have raised a limit for this very record.
            await self._learn({item.topic for item in items}, DOUBT)
            refusals = [self._refusal(item) for item in items]
        return refusals

    def forget(self) -> None:
        """Ask again: a broker has refused what should have fitted."""
        self._limits.clear()

    def too_large(self, item: Outgoing) -> TooLarge:
        """What to say of a record that the broker has refused for its size."""
        size = self._size(item)
        return TooLarge(item.topic, size, min(size - 1, self._limits.get(item.topic) or size))

    async def _learn(self, topics: set[str], after: float) -> None:
        async with self._asking:
            now = asyncio.get_running_loop().time()
            if topics <= self._limits.keys() and now - self._asked < after:
                return
            names = sorted(topics | self._limits.keys())
            try:
                settings = await self._ask(names)
            except BridgeError as error:
                # If the brokers are away, sending says so better; if not, they check sizes themselves.
                log.info("sizes_unknown", extra={"reason": str(error)})
                self._limits = {name: self._limits.get(name) for name in names}
                self._asked = now - REFRESH + DOUBT
                return
            self._limits = {name: _limit(settings.get(name, {})) for name in names}
            self._asked = now

    def _refusal(self, item: Outgoing) -> Refused | None:
        limit = self._limits.get(item.topic)
        try:
            if limit is None or _estimate(item) <= limit:
                return None
            size = self._size(item)
        except (TypeError, ValueError) as error:
            return Refused(f"cannot be written as a record: {error}")
        return TooLarge(item.topic, size, limit) if size > limit else None

    def _size(self, item: Outgoing) -> int:
        """Bytes of the record in a batch of its own, which is what the broker looks at."""
        if not self._codec:
            return _estimate(item)
        builder = DefaultRecordBatchBuilder(2, self._codec, 0, -1, -1, -1, 2**31 - 1)
        builder.append(0, None, item.key, item.value, list(item.headers))
        return len(builder.build())


def _estimate(item: Outgoing) -> int:
    """Bytes of the record at most, without compression."""
    return int(DefaultRecordBatchBuilder.estimate_size_in_bytes(item.key, item.value, list(item.headers)))


def _limit(settings: Mapping[str, str]) -> int | None:
    return min((int(settings[name]) for name in LIMITS if name in settings), default=None)
