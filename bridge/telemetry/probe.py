"""
The admin port: `/livez`, `/readyz` and `/metrics`, for the orchestrator and Prometheus.

It reads and never changes anything, shows no payload and no secret, and cannot be used to tie up the process: few
connections, each short-lived, one answer a connection.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import Callable

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from bridge.errors import ConfigError

log = logging.getLogger(__name__)

Reasons = Callable[[], list[str]]
"""What is wrong, in words; empty when all is well."""

_MAX_CONNECTIONS = 64
_HEADERS_WITHIN = 10.0  # seconds for a request to arrive
_LIFE = 30.0  # seconds for the whole of a connection, so that a reader that stalls is let go


class Probe:
    """Listens from `open()` to `close()`."""

    def __init__(self, host: str, port: int, *, live: Reasons, ready: Reasons, registry: CollectorRegistry) -> None:
        self._host, self._port = host, port
        self._live, self._ready = live, ready
        self._registry = registry
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The port that is listened on; another than the one asked for when that was 0."""
        if self._listener is None:
            return self._port
        return int(self._listener.sockets[0].getsockname()[1])

    async def open(self) -> None:
        """Listen. Raises ConfigError when the address cannot be had."""
        app = web.Application()
        app.on_response_prepare.append(_last_answer)
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(
            app, access_log=None, keepalive_timeout=_HEADERS_WITHIN, lingering_time=0, shutdown_timeout=1
        )
        await self._runner.setup()
        try:
            self._listener = await asyncio.get_running_loop().create_server(self._let_in, self._host, self._port)
        except OSError as error:
            await self.close()
            raise self._refused(error) from None
        log.info("admin_listening", extra={"host": self._host, "port": self.port})

    async def close(self) -> None:
        """Stop listening and cut what is connected."""
        if self._listener:
            self._listener.close()
            self._listener = None
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    def _let_in(self) -> asyncio.Protocol:
        assert self._runner is not None
        server = self._runner.server
        if server is None or len(server.connections) >= _MAX_CONNECTIONS:
            return _Refusal()
        connection = server()
        asyncio.get_running_loop().call_later(_LIFE, _cut, connection)
        return connection

    def _refused(self, error: OSError) -> ConfigError:
        if error.errno == errno.EADDRINUSE:
            return ConfigError("admin.port", f"{self._port} is in use", "Choose another, or 0 for a free one")
        if error.errno == errno.EACCES:
            return ConfigError("admin.port", f"{self._port} needs rights this process lacks", "Choose one above 1023")
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else "no such address"
        return ConfigError("admin.host", f"cannot be listened on ({reason})", "Name an address of this machine")

    async def _livez(self, _: web.Request) -> web.Response:
        return _answer("live", self._live)

    async def _readyz(self, _: web.Request) -> web.Response:
        return _answer("ready", self._ready)

    async def _metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})


class _Refusal(asyncio.Protocol):
    """Hangs up."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


def _cut(connection: RequestHandler) -> None:
    if isinstance(transport := connection.transport, asyncio.Transport):
        transport.abort()  # not close(), which would wait for the reader


def _answer(name: str, ask: Reasons) -> web.Response:
    try:
        reasons = ask()
    except Exception as error:
        log.exception("probe_failed", extra={"probe": name})
        reasons = [f"the probe failed: {type(error).__name__}"]
    return web.json_response({name: not reasons, "reasons": reasons}, status=503 if reasons else 200)


async def _last_answer(_: web.Request, response: web.StreamResponse) -> None:
    """Close the connection behind each answer: scrapes are rare, and idle connections would use up the few."""
    response.headers.update({"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Connection": "close"})
    response.force_close()
