"""What `check --connect` asks of RabbitMQ, without changing anything there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from bridge.cli.finding import Finding
from bridge.rabbitmq.options import ConnectionSettings
from bridge.sources.rabbitmq import RabbitMQSourceSettings

if TYPE_CHECKING:
    from bridge.rabbitmq.connection import Session


async def source(settings: RabbitMQSourceSettings, where: str) -> list[Finding]:
    """The broker and the publishers' queue."""
    from bridge.rabbitmq import preflight

    async with _session(settings, where) as session:
        declared = settings.topology == "declare"
        found = [
            preflight.of_broker(session),
            *await preflight.of_queue(session, settings.queue, declared=declared, where=where),
        ]
    return [Finding(where, each.level, each.text, each.cure) for each in found]


async def other_broker(connection: ConnectionSettings, where: str) -> list[Finding]:
    """The broker of a part that does not live at the source's."""
    from bridge.rabbitmq import preflight

    async with _session(connection, where) as session:
        found = preflight.of_broker(session)
    return [Finding(where, found.level, found.text, found.cure)]


@asynccontextmanager
async def _session(settings: ConnectionSettings, where: str) -> AsyncIterator[Session]:
    from bridge.rabbitmq.connection import connect

    session = await connect(
        settings.url, name="event-bridge check", where=where, heartbeat=settings.heartbeat, ca_file=settings.ca_file
    )
    try:
        yield session
    finally:
        await session.close()
