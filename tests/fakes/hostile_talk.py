"""What a hostile server does to a whole connection or with single bytes: pieces for `HostileServer`."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.fakes.hostile import Behaviour, Reader, Received, Talk, Writer, reset

CALLERS = 8  # connections that surely fill a backlog of none


def crumbs(data: bytes, *, pause: float = 0.0) -> Behaviour:
    """Write these bytes one by one, so that the client may read each alone; with a pause, it is a drip."""

    async def act(_: Received, writer: Writer) -> None:
        for byte in data:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(pause)

    return act


async def reset_at_once(_: Reader, writer: Writer) -> None:
    """Reset the connection, nothing being read."""
    await reset(None, writer)


async def leave_at_once(_: Reader, writer: Writer) -> None:
    """Close the connection, nothing being read."""
    writer.close()


async def listen_only(reader: Reader, _: Writer) -> None:
    """Read whatever comes, and say nothing."""
    while await reader.read(1 << 16):
        pass


async def ignore(_: Reader, __: Writer) -> None:
    """Neither read nor say anything."""
    await asyncio.Event().wait()


def early(answer: bytes, *, read_on: bool) -> Talk:
    """Answer when the head of the request is there; the body is not waited for."""

    async def talk(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        await (listen_only if read_on else ignore)(reader, writer)

    return talk


class Flood:
    """Sends a long body, and counts how much of it the client let in before it left."""

    def __init__(self, head: bytes, chunk: bytes, times: int) -> None:
        self.sent = 0
        self._head, self._chunk, self._times = head, chunk, times

    async def __call__(self, received: Received, writer: Writer) -> None:
        writer.write(self._head)
        for _ in range(self._times):
            writer.write(self._chunk)
            await writer.drain()
            self.sent += len(self._chunk)
        await received.rest.read()


@contextmanager
def full_backlog(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Yield a port where the system takes no more connections, as where a server is stuck."""
    with socket.socket() as listener:
        callers = [socket.socket() for _ in range(CALLERS)]
        try:
            listener.bind((host, port))
            listener.listen(0)
            for caller in callers:
                caller.setblocking(False)
                with suppress(BlockingIOError):
                    caller.connect(listener.getsockname())
            yield listener.getsockname()[1]
        finally:
            for caller in callers:
                caller.close()
