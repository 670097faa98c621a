"""Makes a link: addresses, TLS, login, and what to tell a person when the broker objects."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Final

from yarl import URL

from bridge import __version__
from bridge.amqp.connection import Connection
from bridge.amqp.events import Delivered, Opened
from bridge.amqp.handshake import Plain
from bridge.errors import ConfigError, Disconnected
from bridge.rabbitmq import connection as client
from bridge.rabbitmq.addresses import first_of
from bridge.rabbitmq.link import Link, Objection
from bridge.rabbitmq.options import ConnectionSettings
from bridge.tasks import bounded

PORTS: Final = {"amqp": 5672, "amqps": 5671}
SETTLING: Final = frozenset({"", "basic.ack", "basic.nack", "basic.reject"})
"""What no call waits for: an objection to it is nothing that a person could change."""


async def dial(
    settings: ConnectionSettings, delivered: Callable[[list[Delivered]], None], *, name: str, where: str
) -> Link:
    """Connect once. Raises Disconnected or ConfigError. `name` is what operators see in the broker's list."""
    url = client.checked_url(settings.url, where=where)
    context = client.trusting(settings.ca_file, where) if url.scheme == "amqps" else None
    assert url.host is not None
    amqp = Connection(
        Plain(url.user or "guest", url.password or "guest"),
        properties={"connection_name": name, "product": "event-bridge", "version": __version__},
        heartbeat=int(settings.heartbeat),
        vhost=vhost_of(url),
    )
    link = Link(amqp, delivered)
    opened = link.expect(Opened)
    try:
        async with limited("connecting", where=where):
            await _connect(link, url.host, url.port or PORTS[url.scheme], context)
            await opened
    except BaseException:
        opened.cancel()
        await link.close()
        raise
    return link


def limited(what: str, *, where: str) -> AbstractAsyncContextManager[None]:
    """As `bridge.rabbitmq.connection.limited`, for calls over a link."""
    translated = partial(_translated, what=what, where=where)
    return bounded(what, client.CALL_LIMIT, translated, gave_up="the connection was lost")


def vhost_of(url: URL) -> str:
    """The virtual host that a URL names; "/" where it names none."""
    return url.path[1:].replace("%2F", "/") or "/"


def _translated(error: Exception, what: str, where: str) -> Exception:
    if not isinstance(error, Objection):
        return client.translated(error, what, where)
    said = f"{what}: {error}"
    if error.during == "login":
        return ConfigError(f"{where}.url", said, client.LOGIN if error.code else "Let it take the mechanism PLAIN")
    if error.code not in client.CURES or error.during in SETTLING:
        return Disconnected(said)
    field, cure = client.CURES[error.code]
    return ConfigError(f"{where}{field}", said, cure)


async def _connect(link: Link, host: str, port: int, context: ssl.SSLContext | None) -> None:
    """Give the link its socket. Raises OSError."""
    loop = asyncio.get_running_loop()
    hostname = host if context else None

    async def connect(address: str) -> None:
        await loop.create_connection(lambda: link, address, port, ssl=context, server_hostname=hostname)

    await first_of(host, port, client.CALL_LIMIT, connect)
