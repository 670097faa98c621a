"""Brings the exchanges and queues about that the bridge owns, or looks whether they are there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import StrEnum
from typing import Final

from aiormq.abc import AbstractChannel
from aiormq.exceptions import ChannelAccessRefused, ChannelNotFoundEntity

from bridge.core.ladder import Binding, Exchange, Item, Queue
from bridge.errors import ConfigError
from bridge.rabbitmq.connection import Session, limited

log = logging.getLogger(__name__)

# A quorum queue that is younger than a second when its broker dies can lose what it has confirmed, and stay stuck.
NEWBORN: Final = 2.0  # seconds


class Topology(StrEnum):
    """What the bridge does about queues and exchanges."""

    DECLARE = "declare"  # creates what is missing; needs the permission to configure
    VERIFY = "verify"  # looks, and says what is missing or different
    OFF = "off"  # trusts that it is there


async def establish(session: Session, items: Iterable[Item], mode: Topology, *, where: str) -> None:
    """
    Declare or verify what is the bridge's own.

    Raises ConfigError for what is missing, forbidden or different, Disconnected when a new queue does not answer.
    """
    if mode is Topology.OFF:
        return
    wanted = list(items)
    queues = [item for item in wanted if isinstance(item, Queue)]
    if mode is Topology.VERIFY:
        await _each(session, wanted, _look, where)
        await _compare(session, queues, where)
        return
    missing = await _missing(session, queues, where)
    await _each(session, wanted, _declare, where)
    if missing:
        await _settle_in(session, missing, where)


async def ensure(session: Session, queue: Queue, mode: Topology, *, where: str) -> None:
    """
    Have the publishers' queue: declare it where it is missing, and take it as it is where it is not.

    Raises ConfigError where it is missing and may not be declared.
    """
    if mode is Topology.OFF:
        return
    missing = await _missing(session, [queue], where)
    if missing and mode is Topology.VERIFY:
        raise ConfigError(f"{where}.queue", f"{queue.name} does not exist", "Create it, or set topology to declare")
    if missing:
        await _each(session, missing, _declare, where)
        await _settle_in(session, missing, where)


async def exists(session: Session, queue: str, *, where: str) -> bool:
    """Whether a queue is there. Needs no permission."""
    return not await _missing(session, [Queue(queue, {})], where)


async def _missing(session: Session, queues: Sequence[Queue], where: str) -> list[Queue]:
    """Which of these are not there. Asking needs no permission, but a missing one costs the channel."""
    missing: list[Queue] = []
    left = list(queues)
    while left:
        async with session.scratch() as channel:
            while left:
                queue = left.pop(0)
                async with limited(f"looking for {queue.name}", where=where):
                    if not await _is_there(channel, queue.name):
                        missing.append(queue)
                        break
    return missing


async def _is_there(channel: AbstractChannel, queue: str) -> bool:
    try:
        await channel.queue_declare(queue, passive=True)
    except ChannelNotFoundEntity:
        return False
    return True


async def _compare(session: Session, queues: Sequence[Queue], where: str) -> None:
    """
    Compare arguments, which RabbitMQ does when a queue that exists is declared again.

    It needs the permission to configure; without it the arguments stay unseen, and that is said.
    """
    for queue in queues:
        async with session.scratch() as channel, limited(f"comparing {queue.name}", where=where):
            try:
                await _declare(channel, queue)
            except ChannelAccessRefused:
                log.info("topology_not_compared", extra={"part": where, "reason": "no permission to configure"})
                return


async def _settle_in(session: Session, queues: Sequence[Queue], where: str) -> None:
    log.info("topology_created", extra={"part": where, "queues": len(queues)})
    await asyncio.sleep(NEWBORN)
    await _each(session, queues, _probe, where)


async def _each(
    session: Session, items: Iterable[Item], act: Callable[[AbstractChannel, Item], Awaitable[None]], where: str
) -> None:
    async with session.scratch() as channel:
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
        case Binding(source, destination, key, to_queue=True):
            await channel.queue_bind(destination, source, routing_key=key)
        case Binding(source, destination, key):
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
    """
    Ask a new queue for a delivery, within the limit of every call.

    One without a leader is listed and can be declared, but answers no consumer and confirms nothing. What is got goes
    back when the scratch channel closes.
    """
    assert isinstance(item, Queue)
    await channel.basic_get(item.name)
