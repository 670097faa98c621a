"""
The admin port: `/livez`, `/readyz` and `/metrics`, for the orchestrator and Prometheus.

It reads and never changes anything, shows no payload and no secret, and cannot be used to tie up the process: few
connections, each short-lived, one answer a connection.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
from collections.abc import Callable
from http import HTTPStatus

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from bridge.errors import ConfigError
from bridge.telemetry.caller import Answer, Asked, Caller, plain

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
        self._callers: set[Caller] = set()
        self._listener: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The port that is listened on; another than the one asked for when that was 0."""
        if self._listener is None:
            return self._port
        return int(self._listener.sockets[0].getsockname()[1])

    async def open(self) -> None:
        """Listen. Raises ConfigError when the address cannot be had."""
        try:
            self._listener = await asyncio.get_running_loop().create_server(self._let_in, self._host, self._port)
        except OSError as error:
            raise self._refused(error) from None
        log.info("admin_listening", extra={"host": self._host, "port": self.port})

    async def close(self) -> None:
        """Stop listening and cut what is connected."""
        if self._listener:
            self._listener.close()
            self._listener = None
        for caller in list(self._callers):
            caller.cut()

    def _let_in(self) -> asyncio.Protocol:
        if len(self._callers) >= _MAX_CONNECTIONS:
            return _Refusal()
        return Caller(self._answer, self._callers, within=_HEADERS_WITHIN, life=_LIFE)

    def _refused(self, error: OSError) -> ConfigError:
        if error.errno == errno.EADDRINUSE:
            return ConfigError("admin.port", f"{self._port} is in use", "Choose another, or 0 for a free one")
        if error.errno == errno.EACCES:
            return ConfigError("admin.port", f"{self._port} needs rights this process lacks", "Choose one above 1023")
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else "no such address"
        return ConfigError("admin.host", f"cannot be listened on ({reason})", "Name an address of this machine")

    def _answer(self, asked: Asked) -> Answer:
        if asked.path not in {"/livez", "/readyz", "/metrics"}:
            return plain(HTTPStatus.NOT_FOUND)
        if asked.method not in {"GET", "HEAD"}:
            return plain(HTTPStatus.METHOD_NOT_ALLOWED)
        if asked.path == "/metrics":
            encode, content_type = choose_encoder(asked.accept)
            return Answer(HTTPStatus.OK, content_type, encode(self._registry))
        return _said("live", self._live) if asked.path == "/livez" else _said("ready", self._ready)


class _Refusal(asyncio.Protocol):
    """Hangs up."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


def _said(name: str, ask: Reasons) -> Answer:
    try:
        reasons = ask()
    except Exception as error:
        log.exception("probe_failed", extra={"probe": name})
        reasons = [f"the probe failed: {type(error).__name__}"]
    status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
    body = json.dumps({name: not reasons, "reasons": reasons}).encode()
    return Answer(status, "application/json; charset=utf-8", body)
