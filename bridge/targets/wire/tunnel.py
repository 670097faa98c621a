"""The way through a proxy: CONNECT, and what it answers (RFC 9110, section 9.3.6)."""

from __future__ import annotations

import asyncio
from typing import Final, cast

from bridge.model import Misconfigured, Retryable
from bridge.targets.failures import Failure
from bridge.targets.wire.proxy import Proxy

HEAD_LIMIT: Final = 64 << 10  # bytes
_END: Final = b"\r\n\r\n"
_OK: Final = range(200, 300)
_REFUSED: Final = frozenset({401, 403, 404, 405, 407, 410})
_PASSING: Final = frozenset({502, 503, 504})
_DIGITS: Final = 3


class ProxyRefusedError(Exception):
    """The proxy does not let us through; `failure` says what that means."""

    def __init__(self, outcome: Retryable | Misconfigured, *, passing: bool = False) -> None:
        super().__init__(outcome.reason)
        self.failure = Failure(outcome, passing)


class Tunnel(asyncio.Protocol):
    """A connection to a proxy, until it has let us through."""

    def __init__(self, place: str, proxy: Proxy) -> None:
        """`place` is where to: "api.example.com:443"."""
        auth = "" if proxy.authorization is None else f"proxy-authorization: {proxy.authorization}\r\n"
        self._asked = f"CONNECT {place} HTTP/1.1\r\nhost: {place}\r\n{auth}\r\n".encode()
        self._head = b""
        self._answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(self._asked)  # that of uvloop is one by its methods only

    def data_received(self, data: bytes) -> None:
        self._head += data
        if (_END in self._head or len(self._head) > HEAD_LIMIT) and not self._answer.done():
            self._answer.set_result(self._head)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's
        if not self._answer.done():
            self._answer.set_result(self._head)

    async def open(self) -> None:
        """Wait until the way is free. Raises ProxyRefusedError; also where more came than the answer."""
        head = await self._answer
        if _END not in head:
            raise ProxyRefusedError(Retryable("connect: the proxy hung up, or gave no end of an answer"), passing=True)
        status = status_of(head)
        if status in _REFUSED:
            raise ProxyRefusedError(Misconfigured(f"connect: the proxy answered {status}"))
        if status not in _OK or not head.endswith(_END) or head.count(_END) > 1:
            words = f"the proxy answered {status}" if status else "the answer of the proxy is no HTTP"
            raise ProxyRefusedError(Retryable(f"connect: {words}"), passing=status in _PASSING)


def status_of(head: bytes) -> int:
    """Read the status line; 0 where it is none."""
    words = head.split(b"\r\n", 1)[0].split(b" ")
    known = len(words) > 1 and words[0] in {b"HTTP/1.0", b"HTTP/1.1"} and words[1].isdigit()
    return int(words[1]) if known and len(words[1]) == _DIGITS else 0
