"""One caller of the admin port: one request, one answer. Whoever dawdles is hung up on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, NamedTuple, cast

import httptools

log = logging.getLogger(__name__)

HEAD_LIMIT: Final = 32 << 10  # bytes of a request up to the end of its headers


class Asked(NamedTuple):
    """A request: it may be of any method, for anything; `accept` is "" where it is not said."""

    method: str
    path: str
    accept: str


class Answer(NamedTuple):
    """What is answered."""

    status: int
    content_type: str
    body: bytes


def plain(status: HTTPStatus) -> Answer:
    """The status as its words."""
    return Answer(status, "text/plain; charset=utf-8", f"{status.value}: {status.phrase}\n".encode())


class Caller(asyncio.Protocol):
    """
    A connection, among the `others` from its first moment to its last.

    `within` is how many seconds the request may take to arrive, and `life` all of it: a reader that stalls is cut.
    """

    def __init__(self, ask: Callable[[Asked], Answer], others: set[Caller], *, within: float, life: float) -> None:
        self._ask = ask
        self._others = others
        self._within = within
        self._life = life
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._length = 0
        self._url = b""
        self._accept = b""
        self._answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # those of uvloop are not derived from it
        self._others.add(self)
        loop = asyncio.get_running_loop()
        self._timers = [loop.call_later(self._within, self._give_up), loop.call_later(self._life, self.cut)]

    def connection_lost(self, _: Exception | None) -> None:
        self._others.discard(self)
        for timer in self._timers:
            timer.cancel()

    def data_received(self, data: bytes) -> None:
        if self._answered:
            return
        self._length += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return  # it was answered like any other
        except httptools.HttpParserError:
            self._say(plain(HTTPStatus.BAD_REQUEST))
        if self._length > HEAD_LIMIT:
            self._say(plain(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE))

    def cut(self) -> None:
        """Hang up at once, whatever has not arrived yet; a close would wait for the reader."""
        if self._transport is not None:
            self._transport.abort()

    def on_url(self, url: bytes) -> None:
        """The parser's callback, as are the next two."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"accept":
            self._accept = value

    def on_headers_complete(self) -> None:
        if self._answered:
            return
        method = self._parser.get_method().decode("latin-1")
        path = self._url.partition(b"?")[0].decode("latin-1")
        try:
            answer = self._ask(Asked(method, path, self._accept.decode("latin-1")))
        except Exception:
            log.exception("probe_failed", extra={"probe": path})
            answer = plain(HTTPStatus.INTERNAL_SERVER_ERROR)
        self._say(answer, head=method == "HEAD")

    def _say(self, answer: Answer, *, head: bool = False) -> None:
        """Answer and hang up: scrapes are rare, and idle connections would use up the few."""
        if self._answered or self._transport is None:
            return
        self._answered = True
        lines = [
            f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}",
            f"Content-Type: {answer.content_type}",
            f"Content-Length: {len(answer.body)}",
            "Cache-Control: no-store",
            "X-Content-Type-Options: nosniff",
            "Connection: close",
        ]
        if answer.status == HTTPStatus.METHOD_NOT_ALLOWED:
            lines.append("Allow: GET, HEAD")
        self._transport.write("\r\n".join([*lines, "", ""]).encode("latin-1") + (b"" if head else answer.body))
        self._transport.close()

    def _give_up(self) -> None:
        if not self._answered:
            self.cut()
