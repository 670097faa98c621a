"""One HTTP client: it makes one request at a time, within limits that no server can stretch."""

from __future__ import annotations

import asyncio
import logging
import re
from functools import lru_cache

import aiohttp
from yarl import URL

from bridge import __version__
from bridge.apis import HttpOptions
from bridge.model import Request, Response
from bridge.targets.failures import Failure, failure_of
from bridge.targets.tls import client_context

log = logging.getLogger(__name__)

_CLOSE_LIMIT = 3.0  # seconds


class Client:
    """
    A pool of connections.

    Redirects are not followed (the body and its secrets would go elsewhere), answers are not unpacked (a bomb stays
    small), cookies are not kept, proxies of the environment are not used.
    """

    def __init__(self, options: HttpOptions, *, where: str) -> None:
        """`where` is the path of the target in the settings, for errors."""
        self._options = options
        self._where = where
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Raise ConfigError for TLS files that cannot be used. No connection is made yet."""
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
            trust_env=False,
        )

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        try:
            await asyncio.wait_for(session.close(), _CLOSE_LIMIT)
        except Exception as error:  # noqa: BLE001  closing must not raise
            log.warning("target_close_failed", extra={"reason": type(error).__name__})

    async def once(self, request: Request, read_limit: int) -> Response | Failure:
        """Make one request; of the answer's body, read at most `read_limit` bytes."""
        assert self._session is not None, "open() comes first"
        try:
            async with self._session.request(
                request.method, _url(request.url), data=request.body, headers=request.headers, allow_redirects=False
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
