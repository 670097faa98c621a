"""Makes connections: finds the addresses of a host, tries them side by side, goes through a proxy, speaks TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import chain, zip_longest
from typing import Any, Final, TypeVar

from bridge.apis import HttpOptions
from bridge.model import Misconfigured, Retryable
from bridge.targets.failures import Failure
from bridge.targets.tls import client_context
from bridge.targets.wire.heads import Place, place_of
from bridge.targets.wire.proxy import Proxies, Proxy

HEAD_START: Final = 0.25  # seconds that an address has before the next one is tried too (RFC 8305, section 5)
GOODBYE: Final = 1.0  # seconds that TLS may take to end
_HEAD_LIMIT: Final = 64 << 10
_OK = range(200, 300)
_REFUSED = frozenset({401, 403, 404, 405, 407, 410})
_PASSING = frozenset({502, 503, 504})

P = TypeVar("P", bound=asyncio.BaseProtocol)
Address = tuple[Any, ...]


class ProxyRefusedError(Exception):
    """The proxy does not let us through; `failure` says what that means."""

    def __init__(self, outcome: Retryable | Misconfigured, *, passing: bool = False) -> None:
        super().__init__(outcome.reason)
        self.failure = Failure(outcome, passing)


async def dial(make: Callable[[], P], place: Place, context: ssl.SSLContext | None, limit: float) -> P:
    """
    Connect, within `limit` seconds. `context` is needed for places with TLS.

    Raises OSError (of which TimeoutError and ssl.SSLError are kinds) and ProxyRefusedError.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(limit):
        via = place.proxy or place
        sock = await _first_of(via.host, via.port)
        try:
            if place.proxy is not None and place.tls:
                await _tunnel(sock, place, place.proxy)
            tls: dict[str, Any] = {}
            if place.tls:
                times = {"ssl_handshake_timeout": limit, "ssl_shutdown_timeout": GOODBYE}
                tls = {"ssl": context, "server_hostname": place.host, **times}
            _, protocol = await loop.create_connection(make, sock=sock, **tls)
        except BaseException:
            sock.close()
            raise
    return protocol


async def reach(origin: str, options: HttpOptions, where: str) -> None:
    """Connect to an origin, send nothing, and hang up. Raises what `dial` does, and ConfigError."""
    proxies = Proxies.of_environment(f"{where}.http.proxy") if options.proxy == "environment" else Proxies()
    place = place_of(origin, proxies)
    context = client_context(options, where) if place.tls else None
    protocol = await dial(_Farewell, place, context, options.connect_timeout)
    with suppress(TimeoutError):
        async with asyncio.timeout(options.connect_timeout):
            await protocol.hung_up.wait()


class _Farewell(asyncio.Protocol):
    """A connection that closes itself as soon as it stands."""

    def __init__(self) -> None:
        self.hung_up = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's
        self.hung_up.set()


async def _first_of(host: str, port: int) -> socket.socket:
    """Connect to the first address of a host that answers; each has a head start before the next one."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    left = deque(_by_turns([(family, address) for family, *_, address in found]))
    tries: set[asyncio.Task[socket.socket]] = set()
    error: BaseException = OSError("no address")
    try:
        while left or tries:
            if left:
                tries.add(asyncio.create_task(_connect(*left.popleft())))
            done, _ = await asyncio.wait(
                tries, timeout=HEAD_START if left else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                failed = task.exception()
                if failed is None:
                    tries.discard(task)
                    return task.result()
                tries.discard(task)
                error = failed
        raise error
    finally:
        await _abandon(tries)


async def _abandon(tries: set[asyncio.Task[socket.socket]]) -> None:
    for task in tries:
        task.cancel()
    for late in await asyncio.gather(*tries, return_exceptions=True):
        if isinstance(late, socket.socket):
            late.close()


async def _connect(family: int, address: Address) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


def _by_turns(found: list[tuple[int, Address]]) -> list[tuple[int, Address]]:
    """Put addresses of both families by turns, beginning with the family of the first (RFC 8305, section 4)."""
    first = [it for it in found if it[0] == found[0][0]]
    others = [it for it in found if it[0] != found[0][0]]
    return [it for it in chain.from_iterable(zip_longest(first, others)) if it is not None]


async def _tunnel(sock: socket.socket, place: Place, proxy: Proxy) -> None:
    """Ask the proxy for a way to the host (RFC 9110, section 9.3.6)."""
    loop = asyncio.get_running_loop()
    name = f"{f'[{place.host}]' if ':' in place.host else place.host}:{place.port}"
    auth = "" if proxy.authorization is None else f"proxy-authorization: {proxy.authorization}\r\n"
    await loop.sock_sendall(sock, f"CONNECT {name} HTTP/1.1\r\nhost: {name}\r\n{auth}\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        piece = await loop.sock_recv(sock, 4096)
        head += piece
        if not piece or len(head) > _HEAD_LIMIT:
            raise ProxyRefusedError(Retryable("connect: the proxy hung up, or gave no end of an answer"), passing=True)
    status = _status(head)
    if status in _REFUSED:
        raise ProxyRefusedError(Misconfigured(f"connect: the proxy answered {status}"))
    if status not in _OK or not head.endswith(b"\r\n\r\n"):
        words = f"the proxy answered {status}" if status else "the answer of the proxy is no HTTP"
        raise ProxyRefusedError(Retryable(f"connect: {words}"), passing=status in _PASSING)


def _status(head: bytes) -> int:
    words = head.split(b"\r\n", 1)[0].split(b" ")
    known = len(words) > 1 and words[0] in {b"HTTP/1.0", b"HTTP/1.1"} and words[1].isdigit()
    return int(words[1]) if known and len(words[1]) == 3 else 0  # noqa: PLR2004  digits of a status
