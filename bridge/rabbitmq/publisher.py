"""Publishes with confirms, and says of each publish whether the broker has it for good."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from aiormq.abc import AbstractChannel
from aiormq.exceptions import ChannelPreconditionFailed, DeliveryError, PublishError
from pamqp.commands import Basic

from bridge import tasks
from bridge.errors import ConfigError, Disconnected, Unavailable
from bridge.rabbitmq import wire
from bridge.rabbitmq.connection import Session, limited

log = logging.getLogger(__name__)

CONFIRM_LIMIT: Final = 15.0  # seconds; a publish without an answer by then may still arrive, so it counts as unknown
FIRST_WAIT: Final = 0.5  # seconds before a lost session is replaced; doubles up to LAST_WAIT
LAST_WAIT: Final = 30.0
REFUSING: Final = 10.0  # seconds a session must be old for a refusal to end it
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

    A lost connection is replaced in the background, and at the next call, which raises Unavailable until that works:
    the caller knows best how long to wait. `prepare` declares or checks the topology, on each new session and after
    anything was missing.
    """

    def __init__(
        self, connect: Callable[[], Awaitable[Session]], prepare: Callable[[Session], Awaitable[None]], *, where: str
    ) -> None:
        self._connect = connect
        self._prepare = prepare
        self._where = where
        self._session: Session | None = None
        self._channel: AbstractChannel | None = None
        self._doubtful = False  # whether something was missing when it was last published to
        self._opening = asyncio.Lock()
        self._window = asyncio.Semaphore(WINDOW)
        self._keeping: asyncio.Task[None] | None = None
        self._born = 0.0  # loop time of the present session
        self.rebuilds = -1

    @property
    def connected(self) -> bool:
        return self._session is not None and self._session.alive

    async def open(self) -> None:
        """Connect. Raises Disconnected or ConfigError."""
        await self._ready()
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep())

    async def close(self) -> None:
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            await tasks.end(keeping)
        await self._drop()

    async def _keep(self) -> None:
        """Have a session ready before it is needed; until then the bridge says that it is not."""
        wait = FIRST_WAIT
        while True:
            if self._session is not None and self._session.alive:
                await asyncio.wait({self._session.lost})
                wait = FIRST_WAIT
            await asyncio.sleep(random.uniform(0, wait))  # noqa: S311  full jitter, protects nothing
            wait = min(LAST_WAIT, wait * 2)
            try:
                await self._ready()
            except Exception as error:  # noqa: BLE001  whatever it is, this loop must not end before its publisher
                log.warning("publisher_not_rebuilt", extra={"part": self._where, "reason": str(error)})

    async def _drop(self) -> None:
        session, self._session, self._channel = self._session, None, None
        if session is not None:
            await session.close()

    async def publish(self, items: Sequence[Outgoing]) -> list[Exception | None]:
        """
        Publish all; None where the broker has confirmed, TooLarge where it never will.

        Raises Unavailable when anything else kept one of them from being confirmed: then none of them counts, although
        some may have arrived.
        """
        try:
            channel = await self._ready()
            results = await self._all(channel, items)
            if not any(isinstance(result, TooLarge) for result in results):
                return results
            # A refused size closes the channel, and everything on its way over it failed too: one by one, then.
            return [await self._alone(item) for item in items]
        except ConfigError as error:
            # At the start this ends the process; later it means that an operator is at work, and nothing is lost.
            raise Unavailable(str(error)) from error

    async def _all(self, channel: AbstractChannel, items: Sequence[Outgoing]) -> list[Exception | None]:
        """Publish side by side. Raises Unavailable, unless something was too large: then that is in the list."""
        results = await asyncio.gather(*(self._one(channel, item) for item in items), return_exceptions=True)
        faults = [result for result in results if isinstance(result, BaseException)]
        if not any(isinstance(fault, TooLarge) for fault in faults):
            for fault in faults:
                raise fault
        return [result if isinstance(result, Exception) else None for result in results]

    async def _alone(self, item: Outgoing) -> Exception | None:
        try:
            await self._one(await self._ready(), item)
        except TooLarge as error:
            return error
        return None

    async def _one(self, channel: AbstractChannel, item: Outgoing) -> None:
        async with self._window:
            self._fit(channel, item)
            try:
                place = item.exchange or item.routing_key
                async with limited(f"publishing to {place}", CONFIRM_LIMIT, where=self._where):
                    await self._confirmed(channel, item)
            except (Disconnected, ConfigError, TooLarge) as lost:
                # While the broker blocks publishers, a new connection would only be blocked again, and each try would
                # leave a copy to arrive when the alarm is over.
                if self._session is not None and not self._session.blocked:
                    self._session.lose(str(lost))
                raise

    def _fit(self, channel: AbstractChannel, item: Outgoing) -> None:
        room = (channel.connection.connection_tune.frame_max or wire.FRAME_MAX) - wire.FRAME_OVERHEAD
        if dropped := wire.slim(item.properties, room):
            log.warning("headers_dropped", extra={"part": self._where, "names": dropped[:10], "count": len(dropped)})

    async def _confirmed(self, channel: AbstractChannel, item: Outgoing) -> None:
        place = item.exchange or item.routing_key
        try:
            answer = await channel.basic_publish(
                item.body,
                exchange=item.exchange,
                routing_key=item.routing_key,
                properties=item.properties,
                mandatory=True,
            )
        except PublishError as error:
            self._doubtful = True
            raise Unavailable(f"{place}: the broker has no queue for it") from error
        except DeliveryError as error:
            self._suspect()
            raise Unavailable(f"{place}: the broker refused it; is a queue full, or without its leader?") from error
        except ChannelPreconditionFailed as error:
            if "message size" in str(error):
                raise TooLarge(f"{len(item.body)} bytes, more than the broker's max_message_size") from error
            raise
        if not isinstance(answer, Basic.Ack):
            raise Unavailable(f"{place}: not confirmed")

    def _suspect(self) -> None:
        """
        Take another session for what an old one is refused.

        A channel that was told of a full queue can go on refusing after the queue has room again, when it was a policy
        that made the room (RabbitMQ 3.10).
        """
        session = self._session
        if session is not None and asyncio.get_running_loop().time() - self._born > REFUSING:
            session.lose("publishes are refused")

    async def _ready(self) -> AbstractChannel:
        """The channel to publish on. Raises Unavailable or ConfigError."""
        async with self._opening:
            if self._session is None or not self._session.alive:
                await self._drop()
                await self._renew(await self._connect())
            elif self._session.blocked:
                raise Unavailable("the broker blocks publishers: its memory or disk alarm is on")
            elif self._doubtful:
                await self._prepare(self._session)
                self._doubtful = False
            assert self._channel is not None
            return self._channel

    async def _renew(self, session: Session) -> None:
        try:
            await self._prepare(session)
            channel = await session.channel(confirms=True)
        except BaseException:
            await session.close()
            raise
        self._session, self._channel, self._doubtful = session, channel, False
        self._born = asyncio.get_running_loop().time()
        self.rebuilds += 1
