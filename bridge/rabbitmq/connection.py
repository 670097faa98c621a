"""
One connection to RabbitMQ, with a time limit on everything and one way to fail.

Plain `aio_pika.connect`, never the robust variant: that one can stay connected without channels for ever after an
alarm (aio-pika 10.2.1, seen four times out of four). A connection here lives once; whoever needs another makes it.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, Final

import aio_pika
from aiormq import exceptions
from aiormq.abc import AbstractChannel
from aiormq.connection import TransportFactory
from pydantic import SecretStr
from yarl import URL

from bridge import __version__
from bridge.errors import ConfigError, Disconnected
from bridge.rabbitmq import decoders, encoders
from bridge.rabbitmq.addresses import first_of
from bridge.tasks import bounded

log = logging.getLogger(__name__)

CALL_LIMIT: Final = 10.0  # seconds any call may take
CLOSE_LIMIT: Final = 3.0  # seconds to say goodbye; after that the socket is cut
QUIET: Final = ("aio_pika", "aiormq", "pamqp")  # their DEBUG shows payloads and secrets


def limited(what: str, seconds: float | None = None, *, where: str = "source") -> AbstractAsyncContextManager[None]:
    """
    Bound one call to the broker, by default to `CALL_LIMIT`, and turn whatever the client raises into our errors.

    Raises Disconnected when the session is of no further use, ConfigError when a person must change something.
    """
    limit = CALL_LIMIT if seconds is None else seconds
    # The client (aiormq 7.2.4) cancels its callers when their connection dies, and catches cancellations of ours.
    return bounded(what, limit, partial(translated, what=what, where=where), gave_up="the connection was lost")


LOGIN: Final = "Check the user and the password"
CURES: Final[dict[int, tuple[str, str]]] = {
    403: ("", "Give this user the permission it names"),
    404: ("", "Create it, or set topology to declare"),
    406: ("", "Delete or rename what is there, or make the settings say the same"),
    530: (".url", "Create the virtual host, or give this user access to it"),
}
"""What a person can do about a code of AMQP, and which field of the settings is meant."""

_CURES: Final[dict[type[Exception], tuple[str, str]]] = {
    exceptions.ChannelNotFoundEntity: CURES[404],
    exceptions.ChannelAccessRefused: CURES[403],
    exceptions.ChannelPreconditionFailed: CURES[406],
    exceptions.ProbableAuthenticationError: (".url", LOGIN),
    exceptions.AuthenticationError: (".url", LOGIN),
    exceptions.ConnectionNotAllowed: CURES[530],
    ssl.SSLCertVerificationError: (".ca_file", "Name the authority that signed the broker's certificate"),
}


def translated(error: Exception, what: str, where: str) -> Exception:
    """Our name for an error of the client; an error that is none of its comes back as it is."""
    for kind, (field, cure) in _CURES.items():
        if isinstance(error, kind):
            return ConfigError(f"{where}{field}", f"{what}: {_words(error)}", cure)
    if isinstance(error, exceptions.AMQPError | OSError | RuntimeError):
        return Disconnected(f"{what}: {_words(error)}")
    return error


def _words(error: Exception) -> str:
    """What the broker said; never the URL, which holds the password."""
    args = [arg.decode("utf-8", "replace") if isinstance(arg, bytes) else str(arg) for arg in error.args]
    text = " ".join(arg for arg in args if "://" not in arg)
    return text[:300] or type(error).__name__


def checked_url(url: SecretStr, *, where: str) -> URL:
    """The URL, checked. Raises ConfigError that never repeats it."""
    try:
        parsed = URL(url.get_secret_value())
    except ValueError:
        raise ConfigError(f"{where}.url", "is no URL", "Write amqp://user:password@host:5672/vhost") from None
    if parsed.scheme not in {"amqp", "amqps"} or not parsed.host:
        raise ConfigError(f"{where}.url", "is no AMQP URL", "Write amqp://user:password@host:5672/vhost")
    if parsed.query:
        problem = f"has parameters, which are not taken here: {', '.join(sorted(parsed.query))}"
        raise ConfigError(f"{where}.url", problem, "Remove them; TLS and the heartbeat have settings of their own")
    return parsed


class _Socket(TransportFactory):
    """Opens the socket itself, to be able to cut it."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        self._writer: asyncio.StreamWriter | None = None

    async def create(self, url: URL, **_: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        assert url.host is not None
        assert url.port is not None, "the client fills it in"
        hostname = url.host if self._context else None

        async def connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            return await asyncio.open_connection(address, url.port, ssl=self._context, server_hostname=hostname)

        reader, writer = await first_of(url.host, url.port, CALL_LIMIT, connect)
        self._writer = writer
        return reader, writer

    def cut(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()


class _Connection(aio_pika.Connection):
    """A plain connection over our own socket."""

    def __init__(self, *args: Any, ssl_context: ssl.SSLContext | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.socket = _Socket(ssl_context)
        self.kwargs["transport_factory"] = self.socket

    def __del__(self) -> None:
        """Do nothing: the client's own starts a task to close it, from whichever thread happens to collect it."""


class Session:
    """One connection. `lost` is done, with the reason, once it is of no further use."""

    def __init__(self, connection: _Connection, where: str) -> None:
        self._connection = connection
        self._where = where
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        connection.close_callbacks.add(self._closed)

    @property
    def alive(self) -> bool:
        return not self.lost.done() and not self._connection.is_closed

    @property
    def blocked(self) -> bool:
        """Whether the broker has said that it takes no publishes now (`connection.blocked`)."""
        return self.alive and _would_wait(self._transport().ready())

    @property
    def version(self) -> str:
        """What the broker says it is, "3.10.8"."""
        properties = self._transport().server_properties
        version = properties.get("version", "")
        return version.decode() if isinstance(version, bytes) else str(version)

    async def channel(self, *, confirms: bool = False) -> AbstractChannel:
        """Open a channel; with `confirms`, publishing on it raises for what is returned or refused."""
        async with limited("opening a channel", where=self._where):
            channel: AbstractChannel = await self._transport().channel(
                publisher_confirms=confirms, on_return_raises=confirms
            )
        channel.closing.add_done_callback(self._channel_closed)
        channel.on_consumer_cancel_callbacks.add(self._consumer_cancelled)
        return channel

    @asynccontextmanager
    async def scratch(self) -> AsyncIterator[AbstractChannel]:
        """A channel to throw away: a refused declaration closes it, and nothing else."""
        async with limited("opening a channel", where=self._where):
            channel = await self._transport().channel(publisher_confirms=False)
        try:
            yield channel
        finally:
            try:
                async with limited("closing a channel", CLOSE_LIMIT, where=self._where):
                    await channel.close()
            except Exception:  # noqa: BLE001  it is thrown away
                log.debug("scratch_channel_close_failed")

    def lose(self, reason: str) -> None:
        """Give this session up."""
        if not self.lost.done():
            self.lost.set_result(reason)

    async def close(self) -> None:
        """Close, within `CLOSE_LIMIT` seconds and a moment."""
        self.lose("closed")
        closing = asyncio.ensure_future(self._connection.close())
        done, _ = await asyncio.wait({closing}, timeout=CLOSE_LIMIT)
        if not done:
            # The client would wait for the broker's answer for three heartbeats.
            self._connection.socket.cut()
            await asyncio.wait({closing}, timeout=CLOSE_LIMIT)
        closing.cancel()

    def _transport(self) -> Any:
        transport = self._connection.transport
        if transport is None or self._connection.is_closed:
            raise Disconnected("the connection is closed")
        return transport.connection

    def _closed(self, _: object, error: BaseException | None) -> None:
        self.lose(f"connection closed: {_words(error) if isinstance(error, Exception) else 'no reason given'}")

    def _channel_closed(self, closing: asyncio.Future[Any]) -> None:
        error = None if closing.cancelled() else closing.exception()
        self.lose(f"channel closed: {_words(error) if isinstance(error, Exception) else 'no reason given'}")

    async def _consumer_cancelled(self, *_: object) -> None:
        self.lose("the broker cancelled the consumer: the queue was deleted or moved")


async def connect(url: SecretStr, *, name: str, where: str, heartbeat: float, ca_file: str | None = None) -> Session:
    """Connect once. Raises Disconnected or ConfigError. `name` is what operators see in the broker's list."""
    decoders.install()
    encoders.install()
    for logger in QUIET:
        logging.getLogger(logger).setLevel(logging.CRITICAL)  # what matters of theirs is raised, and logged by us
    parsed = checked_url(url, where=where).update_query(heartbeat=int(heartbeat))
    context = trusting(ca_file, where) if parsed.scheme == "amqps" else None
    properties: dict[str, Any] = {"connection_name": name, "product": "event-bridge", "version": __version__}
    async with limited("connecting", where=where):
        try:
            connection = await aio_pika.connect(
                str(parsed), client_properties=properties, ssl_context=context, connection_class=_Connection
            )
        except exceptions.InvalidFrameError as error:
            if "Connection.OpenOk" not in str(error):
                raise
            # The client keeps what the broker said to itself (aiormq 7.2.4).
            problem = f"the broker refused the virtual host {parsed.path.removeprefix('/') or '/'}"
            raise ConfigError(f"{where}.url", problem, "Create it, or give this user access to it") from None
    return Session(connection, where)


def trusting(ca_file: str | None, where: str) -> ssl.SSLContext:
    """TLS that checks certificates and host names. Raises ConfigError for a file that is none of certificates."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # an SSLError is one too
        problem = f"cannot be read: {error.strerror or error.args[-1]}"
        raise ConfigError(f"{where}.ca_file", problem, "Name a PEM file of certificates") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _would_wait(coroutine: Coroutine[Any, Any, object]) -> bool:
    """Whether awaiting this would suspend. It is what the client offers for asking whether it is blocked."""
    try:
        coroutine.send(None)
    except StopIteration:
        return False
    coroutine.close()
    return True
