"""Publishes with confirms, and says of each publish whether the broker has it for good."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from aiormq.abc import AbstractChannel
from aiormq.exceptions import ChannelPreconditionFailed, DeliveryError, PublishError
from pamqp.commands import Basic

from bridge.errors import Disconnected, Unavailable
from bridge.rabbitmq.connection import Session, limited

log = logging.getLogger(__name__)

CONFIRM_LIMIT: Final = 15.0  # seconds; a publish without an answer by then may still arrive, so it counts as unknown
WINDOW: Final = 256  # publishes on their way at once


@dataclass(slots=True, frozen=True)
class Outgoing:
    """One publish."""

    exchange: str
    routing_key: str
    body: bytes
    properties: Basic.Properties


class TooLarge(ValueError):
    """The broker takes nothing of this size (`max_message_size`)."""


class Publisher:
    """
    Owns one connection for publishing, apart from any that consumes: an alarm blocks only what publishes.

    A lost connection is replaced at the next call, which raises Unavailable until that works: the caller knows best
    how long to wait. `prepare` declares or checks the topology on each new session.
    """

    def __init__(
        self, connect: Callable[[], Awaitable[Session]], prepare: Callable[[Session], Awaitable[None]], *, where: str
    ) -> None:
        self._connect = connect
        self._prepare = prepare
        self._where = where
        self._session: Session | None = None
        self._channel: AbstractChannel | None = None
        self._opening = asyncio.Lock()
        self._window = asyncio.Semaphore(WINDOW)
        self.rebuilds = -1

    @property
    def connected(self) -> bool:
        return self._session is not None and self._session.alive

    async def open(self) -> None:
        """Connect. Raises Disconnected or ConfigError."""
        await self._ready()

    async def close(self) -> None:
        session, self._session, self._channel = self._session, None, None
        if session is not None:
            await session.close()

    async def publish(self, items: Sequence[Outgoing]) -> list[Exception | None]:
        """
        Publish all; None where the broker has confirmed, TooLarge where it never will.

        Raises Unavailable when anything else kept one of them from being confirmed: then none of them counts, although
        some may have arrived.
        """
        channel = await self._ready()
        results = await asyncio.gather(*(self._one(channel, item) for item in items), return_exceptions=True)
        faults = [result for result in results if isinstance(result, BaseException)]
        if not faults:
            return [None] * len(items)
        for fault in faults:
            if not isinstance(fault, Unavailable | TooLarge):
                raise fault
        if not any(isinstance(fault, TooLarge) for fault in faults):
            raise faults[0]
        # A refused size closes the channel, and everything on its way over it failed too: one by one, then.
        await self._drop()
        return [error for item in items for error in await self._alone(item)]

    async def _alone(self, item: Outgoing) -> list[Exception | None]:
        try:
            await self._one(await self._ready(), item)
        except TooLarge as error:
            await self._drop()
            return [error]
        return [None]

    async def _one(self, channel: AbstractChannel, item: Outgoing) -> None:
        async with self._window:
            try:
                async with limited("publishing", CONFIRM_LIMIT, where=self._where):
                    await self._confirmed(channel, item)
            except Disconnected as lost:
                if self._session is not None:
                    self._session.lose(str(lost))
                raise

    async def _confirmed(self, channel: AbstractChannel, item: Outgoing) -> None:
        try:
            answer = await channel.basic_publish(
                item.body,
                exchange=item.exchange,
                routing_key=item.routing_key,
                properties=item.properties,
                mandatory=True,
                timeout=CONFIRM_LIMIT,
            )
        except PublishError as error:
            raise Unavailable(f"{item.exchange or item.routing_key}: the broker has no queue for it") from error
        except DeliveryError as error:
            raise Unavailable(f"{item.exchange or item.routing_key}: the broker refused it") from error
        except ChannelPreconditionFailed as error:
            if "size" in str(error):
                raise TooLarge(f"{len(item.body)} bytes, more than the broker's max_message_size") from error
            raise Unavailable(f"{item.exchange}: {error}") from error
        if not isinstance(answer, Basic.Ack):
            raise Unavailable(f"{item.exchange}: not confirmed")

    async def _ready(self) -> AbstractChannel:
        async with self._opening:
            if self._channel is not None and self._session is not None and self._session.alive:
                return self._channel
            await self._drop()
            session = await self._connect()
            try:
                await self._prepare(session)
                self._channel = await session.channel(confirms=True)
            except BaseException:
                await session.close()
                raise
            self._session = session
            self.rebuilds += 1
            return self._channel

    async def _drop(self) -> None:
        await self.close()
