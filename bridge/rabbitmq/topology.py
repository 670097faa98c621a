"""Brings the exchanges and queues about that the bridge owns, or looks whether they are there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, Final

from aiormq.abc import AbstractChannel
from aiormq.exceptions import ChannelNotFoundEntity

from bridge.core.ladder import Binding, Exchange, Item, Queue
from bridge.errors import Disconnected
from bridge.rabbitmq.connection import Session, limited

log = logging.getLogger(__name__)

# A quorum queue that is younger than a second when its broker dies can lose what it has confirmed.
NEWBORN: Final = 2.0  # seconds


class Topology(StrEnum):
    """What the bridge does about queues and exchanges."""

    DECLARE = "declare"  # creates what is missing; needs the permission to configure
    VERIFY = "verify"  # looks, and says what is missing
    OFF = "off"  # trusts that it is there


async def establish(session: Session, items: Iterable[Item], mode: Topology, *, where: str) -> None:
    """
    Declare or verify.

    Raises ConfigError for what is missing, forbidden or different, Disconnected when a new queue does not answer.
    """
    wanted = list(items)
    if mode is Topology.OFF:
        return
    if mode is Topology.VERIFY:
        async with session.scratch() as channel:
            await _each(channel, wanted, _look, where)
        return
    queues = [item.name for item in wanted if isinstance(item, Queue)]
    # The last one is declared last, so where it stands the others do too.
    fresh = not await exists(session, queues[-1], where=where) if queues else False
    async with session.scratch() as channel:
        await _each(channel, wanted, _declare, where)
    if fresh:
        log.info("topology_created", extra={"queues": len(queues)})
        await asyncio.sleep(NEWBORN)
        async with session.scratch() as channel:
            await _each(channel, [Queue(name, {}) for name in queues], _probe, where)


async def exists(session: Session, queue: str, *, where: str) -> bool:
    """Whether a queue is there. Needs no permission."""
    async with session.scratch() as channel, limited(f"looking for {queue}", where=where):
        try:
            await channel.queue_declare(queue, passive=True)
        except ChannelNotFoundEntity:
            return False
    return True


async def _each(channel: AbstractChannel, items: Iterable[Item], act: Callable[..., Any], where: str) -> None:
    for item in items:
        name = item.destination if isinstance(item, Binding) else item.name
        async with limited(name, where=where):
            await act(channel, item)


async def _declare(channel: AbstractChannel, item: Item) -> None:
    match item:
        case Exchange(name, kind):
            await channel.exchange_declare(name, exchange_type=kind, durable=True)
        case Queue(name, arguments):
            await channel.queue_declare(name, durable=True, arguments=dict(arguments))
        case Binding(source, destination, key, to_queue):
            if to_queue:
                await channel.queue_bind(destination, source, routing_key=key)
            else:
                await channel.exchange_bind(destination, source, routing_key=key)


async def _look(channel: AbstractChannel, item: Item) -> None:
    match item:
        case Exchange(name):
            await channel.exchange_declare(name, passive=True)
        case Queue(name):
            await channel.queue_declare(name, passive=True)
        case Binding():
            return  # AMQP cannot ask for bindings; a missing one shows as a returned publish, which is never settled


async def _probe(channel: AbstractChannel, item: Item) -> None:
    """A queue without a leader answers no consumer and confirms nothing; asking a new, empty one costs nothing."""
    if isinstance(item, Queue):
        got = await channel.basic_get(item.name)
        if got.delivery_tag:  # not so new after all: the scratch channel gives it back when it closes
            raise Disconnected(f"{item.name} was not empty")
