"""The client on aiohttp: what the bridge used first, to compare with and to fall back on."""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import aiohttp
from yarl import URL

from bridge import __version__
from bridge.apis import HttpOptions
from bridge.model import Request, Response, Retryable
from bridge.targets.client import NOTHING_MORE, Answer, Done
from bridge.targets.failures import (
    BROKEN_OFF,
    CLOSED,
    HUNG_UP,
    NO_ANSWER,
    NO_HTTP,
    NOT_CONNECTED,
    Failure,
    unconnected,
    untrusted,
)
from bridge.targets.tls import client_context

log = logging.getLogger(__name__)

_CLOSE_LIMIT = 3.0  # seconds


class AiohttpClient:
    """A Client; each request runs in a task."""

    def __init__(self, options: HttpOptions, *, where: str) -> None:
        """`where` is the path of the target in the settings, for errors."""
        self._options = options
        self._where = where
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        options = self._options
        connector = aiohttp.TCPConnector(
            limit=options.concurrency,
            keepalive_timeout=options.keepalive,
            ssl=client_context(options, self._where),
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=options.timeout, sock_connect=options.connect_timeout),
            # "identity", because a missing Accept-Encoding allows any (RFC 9110, section 12.5.3)
            headers={"user-agent": f"event-bridge/{__version__}", "accept-encoding": "identity"},
            skip_auto_headers=("content-type",),  # a request without a body has none
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,  # it would send what stands in a .netrc, too
        )

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        try:
            await asyncio.wait_for(session.close(), _CLOSE_LIMIT)
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=_CLOSE_LIMIT)
        except Exception as error:  # noqa: BLE001  closing must not raise
            log.warning("target_close_failed", extra={"reason": type(error).__name__})

    def start(self, request: Request, more: Mapping[str, str], read_limit: int, done: Done) -> asyncio.Task[None]:
        _url(request.url)
        task = asyncio.get_running_loop().create_task(self._run(request, more, read_limit, done))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _run(self, request: Request, more: Mapping[str, str], read_limit: int, done: Done) -> None:
        try:
            answer = await self._request(request, more, read_limit)
        except Exception as error:
            log.exception("request_faulty")
            answer = Failure(Retryable(f"a fault in the bridge: {type(error).__name__}"))
        done(answer)

    async def once(self, request: Request, read_limit: int) -> Answer:
        return await self._request(request, NOTHING_MORE, read_limit)

    async def _request(self, request: Request, more: Mapping[str, str], read_limit: int) -> Answer:
        if self._session is None:
            return CLOSED
        try:
            async with self._session.request(
                request.method,
                _url(request.url),
                data=request.body,
                headers={**more, **request.headers},
                allow_redirects=False,
            ) as answer:
                body = await _read(answer, read_limit)
                headers = {name.lower(): value for name, value in answer.headers.items()}
                return Response(answer.status, headers, body)
        except Exception as error:
            failure = failure_of(error)
            if failure is None:
                raise
            return failure


@lru_cache(maxsize=1024)
def _url(text: str) -> URL:
    """Take the address as it was encoded: escaping it again would change a key, and "%2F" into "/"."""
    if not re.fullmatch(r"https?://[!-~]+", text):
        raise ValueError("an address holds characters that no request line can carry")
    return URL(text, encoded=True)


async def _read(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    """Read up to the limit. Where there is more, aiohttp gives the connection up when the answer is released."""
    chunks: list[bytes] = []
    left = limit
    while left > 0 and (chunk := await answer.content.read(left)):
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks)


def failure_of(error: Exception) -> Failure | None:
    """Translate what aiohttp raises; None for what is no failure of the network but a fault of ours."""
    return next((meaning(error) for kind, meaning in _MEANINGS if isinstance(error, kind)), None)


def _untrusted(error: aiohttp.ClientConnectorCertificateError) -> Failure:
    cause = error.certificate_error
    return untrusted(cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else type(cause).__name__)


def _unconnected(error: aiohttp.ClientConnectorError) -> Failure | None:
    return unconnected(error.os_error)


def _always(failure: Failure) -> Callable[[Exception], Failure]:
    return lambda _: failure


# The first kind that fits counts, so the narrow ones stand first.
_MEANINGS: tuple[tuple[type[Exception], Callable[[Any], Failure | None]], ...] = (
    (aiohttp.ClientConnectorCertificateError, _untrusted),
    (aiohttp.ConnectionTimeoutError, _always(NOT_CONNECTED)),
    (aiohttp.ClientConnectorError, _unconnected),
    (TimeoutError, _always(NO_ANSWER)),
    (aiohttp.ServerDisconnectedError, _always(HUNG_UP)),
    (aiohttp.ClientOSError, _always(HUNG_UP)),
    (ConnectionError, _always(HUNG_UP)),
    (aiohttp.ClientPayloadError, _always(BROKEN_OFF)),
    (aiohttp.ClientError, _always(NO_HTTP)),
)
