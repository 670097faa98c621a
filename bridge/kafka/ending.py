"""
Ends a client of the cluster for certain: afterwards it holds no connection, and nothing of it runs.

The client forgets connections (aiokafka 0.14.0): the one it begins with, where that is cancelled before the cluster has
answered; those that become ready when it is being closed; and all of them, where saying goodbye fails or is cancelled.
So each connection is noted when it is made.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from typing import Any, Final

import aiokafka.client
from aiokafka import AIOKafkaProducer, errors
from aiokafka.conn import AIOKafkaConnection

from bridge.tasks import end

log = logging.getLogger(__name__)

CLOSE_LIMIT: Final = 3.0  # seconds to say goodbye; after that the client is dropped
GONE_LIMIT: Final = 1.0  # seconds until a connection that was cut must be gone, which takes one turn of the loop

_making: ContextVar[Connections | None] = ContextVar("_making", default=None)


class Connections:
    """All connections of one client, from before they are ready until they are over."""

    def __init__(self) -> None:
        self._made: list[Any] = []
        self._over = False

    async def make(self, *address: Any, **options: Any) -> Any:
        """Connect as the client's `create_conn` does. Raises KafkaConnectionError once this is `cut`."""
        connection = AIOKafkaConnection(*address, **options)
        self._made = [each for each in self._made if not _gone(each)]
        self._made.append(connection)
        try:
            await connection.connect()
        except BaseException:
            if _transport(connection) is None:
                self._made.remove(connection)
            raise
        if self._over:
            connection.close()
            raise errors.KafkaConnectionError("the client is closed")
        return connection

    def cut(self) -> None:
        """Close them all at once, and whatever is still to come as soon as it is ready."""
        self._over = True
        for connection in self._made:
            connection.close()  # whoever waits for an answer is told
            if (transport := _transport(connection)) is not None:
                transport.abort()  # what is not sent yet would keep it, and TLS waits for its peer

    async def gone(self) -> None:
        """Wait until the sockets of all that were cut are closed."""
        ends = [connection._protocol._closed for connection in self._made if _transport(connection) is not None]  # noqa: SLF001
        if ends:
            await asyncio.wait(ends, timeout=GONE_LIMIT)


def _transport(connection: Any) -> asyncio.Transport | None:
    """What it runs over; None before it has connected, and when it is over."""
    protocol = connection._protocol  # noqa: SLF001  the connection itself drops its transport before that is closed
    found: asyncio.Transport | None = None if protocol is None else protocol._transport  # noqa: SLF001
    return found


def _gone(connection: Any) -> bool:
    return connection._protocol is not None and _transport(connection) is None  # noqa: SLF001  as above


def noted(client: Any) -> Any:
    """Note all connections that a consumer, a producer or an admin client will make; returns its AIOKafkaClient."""
    aiokafka.client.create_conn = _create
    inner = inner_of(client)
    inner.connections = connections = Connections()
    inner.bootstrap = partial(_within, connections, inner.bootstrap)
    inner._get_conn = partial(_within, connections, inner._get_conn)  # noqa: SLF001  it has no other name
    return inner


def inner_of(client: Any) -> Any:
    """The AIOKafkaClient of a consumer, a producer or an admin client."""
    return client.client if isinstance(client, AIOKafkaProducer) else client._client  # noqa: SLF001  no public name


async def _within(connections: Connections, call: Callable[..., Awaitable[Any]], *arguments: Any, **how: Any) -> Any:
    before = _making.set(connections)
    try:
        return await call(*arguments, **how)
    finally:
        with suppress(ValueError):  # a task that was dropped with its loop ends here, in nobody's context
            _making.reset(before)


async def _create(*address: Any, **options: Any) -> Any:
    """In place of the client's `create_conn`."""
    connections = _making.get() or Connections()  # of a client that is not ours: as before
    return await connections.make(*address, **options)


async def close(client: Any, *, where: str, limit: float = CLOSE_LIMIT) -> None:
    """
    Let a `noted` client say goodbye, within `limit` seconds, and end it, within a moment. Raises nothing.

    A consumer leaves its group, a producer waits for the answers to what is on its way. A cancellation of this call
    cuts the goodbye short.
    """
    inner = inner_of(client)
    closing = asyncio.ensure_future(client.close() if hasattr(client, "close") else client.stop())
    try:
        await asyncio.wait({closing}, timeout=limit)
        if not closing.done() or closing.cancelled() or closing.exception() is not None:
            log.debug("client_close_failed", extra={"part": where})
    finally:
        if isinstance(client, AIOKafkaProducer):
            client._message_accumulator.fail_all(errors.ProducerClosed())  # noqa: SLF001  who waits is to know
        inner.connections.cut()
        await end(closing, *_running(client, inner))
        update = inner._md_update_fut  # noqa: SLF001  what waits for it, with nobody left to make it, is to end too
        if update is not None and not update.done():
            update.set_result(False)
        await inner.connections.gone()


def _running(client: Any, inner: Any) -> list[asyncio.Task[Any]]:
    """
    What a client may leave running where no broker answers.

    The heartbeats of a consumer would go on for ever, and keep a member in its group that reads nothing.
    """
    coordinator, fetcher = getattr(client, "_coordinator", None), getattr(client, "_fetcher", None)
    found = [
        getattr(inner, "_sync_task", None),
        getattr(getattr(client, "_sender", None), "sender_task", None),
        getattr(coordinator, "_coordination_task", None),
        getattr(coordinator, "_heartbeat_task", None),
        getattr(coordinator, "_commit_refresh_task", None),
        getattr(coordinator, "_reset_committed_task", None),
        getattr(fetcher, "_fetch_task", None),
        *getattr(fetcher, "_pending_tasks", ()),
    ]
    return [task for task in found if isinstance(task, asyncio.Task)]
