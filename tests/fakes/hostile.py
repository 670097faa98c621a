"""
An HTTP server on a raw socket that does what no server should: whatever a test tells it, byte by byte.

    async with HostileServer(drip()) as server:
        ...  server.url, server.requests
"""

from __future__ import annotations

import asyncio
import gzip
import ssl
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from socket import SO_LINGER, SOL_SOCKET
from types import TracebackType
from typing import Self

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter
Behaviour = Callable[["Received", Writer], Awaitable[None]]
Talk = Callable[[Reader, Writer], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@dataclass(slots=True, frozen=True)
class Received:
    """One request as it came over the wire. Header names are lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    rest: Reader = field(repr=False, compare=False)  # what comes on the connection after it


class HostileServer:
    """
    Reads whole requests, keeps them in `requests`, and answers each as `behaviour` does.

    With `talk` it reads nothing by itself: that is given each connection as it comes.
    """

    def __init__(
        self,
        behaviour: Behaviour,
        *,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        talk: Talk | None = None,
    ) -> None:
        self.behaviour = behaviour
        self.talk = talk
        self.requests: list[Received] = []
        self.connections = 0
        self.arrived = asyncio.Event()  # a request has come
        self.gone = asyncio.Event()  # a client has left
        self.under_way = 0  # connections that are open now
        self.most = 0  # of them, ever
        self._tls = tls
        self._address = host, port
        self._writers: set[Writer] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        return self._address[1]

    @property
    def url(self) -> str:
        host = self._address[0]
        return f"{'https' if self._tls else 'http'}://{f'[{host}]' if ':' in host else host}:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, *self._address, ssl=self._tls)
        self._address = self._address[0], self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.connections += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await (self.talk or self._converse)(reader, writer)
        finally:
            self.under_way -= 1
            self.gone.set()
            writer.close()
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _converse(self, reader: Reader, writer: Writer) -> None:
        while not writer.is_closing():
            received = await receive(reader)
            self.requests.append(received)
            self.arrived.set()
            await self.behaviour(received, writer)
            await writer.drain()


async def receive(reader: Reader) -> Received:
    """Read one request whose length is given. Raises IncompleteReadError where the client leaves before its end."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Received(method, target, headers, body, reader)


def plain(status: int = 200, body: bytes = b"ok", *headers: str) -> Behaviour:
    """Answer properly."""
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", *headers]
    return raw("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def raw(data: bytes, *, close: bool = False) -> Behaviour:
    """Write these bytes; then hang up, if told so."""

    async def act(_: Received, writer: Writer) -> None:
        writer.write(data)
        if close:
            await writer.drain()
            writer.close()

    return act


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """Behave differently at each request, the last way for ever."""
    left = list(behaviours)

    async def act(received: Received, writer: Writer) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(received, writer)

    return act


async def silence(received: Received, _: Writer) -> None:
    """Say nothing, for as long as the client stays."""
    await received.rest.read()


async def reset(_: object, writer: Writer) -> None:
    """Reset the connection (TCP RST)."""
    writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def endless(head: bytes, chunk: bytes, *, pause: float = 0.0) -> Behaviour:
    """Write the head and then the chunk for ever: a drip with a pause, a flood without."""

    async def act(_: Received, writer: Writer) -> None:
        writer.write(head)
        while True:
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(pause)

    return act


def bomb(megabytes: int) -> Behaviour:
    """Send few bytes of gzip that would unpack to very many."""
    packed = gzip.compress(bytes(megabytes << 20), compresslevel=1)
    return plain(500, packed, "content-encoding: gzip")


def echo_authorization(status: int) -> Behaviour:
    """Repeat the credentials and the path of the request in an error, as careless servers do."""

    async def act(received: Received, writer: Writer) -> None:
        body = f"no access for {received.headers.get('authorization')} at {received.target}".encode()
        await plain(status, body)(received, writer)

    return act
