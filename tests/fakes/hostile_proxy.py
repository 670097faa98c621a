"""A proxy on a raw socket: honest as far as a test lets it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from tests.fakes.hostile import HostileServer, Reader, Received, Writer, plain


class HostileProxy(HostileServer):
    """
    Answers what it is asked in the clear by itself, and opens tunnels, until told otherwise.

    `connects` holds the heads of the requests for tunnels. With `refusal`, each is answered by these bytes instead, and
    the connection is closed; `greeting` follows the consent to a tunnel at once.
    """

    def __init__(self) -> None:
        super().__init__(plain(200, b"by proxy"), talk=self._serve)
        self.connects: list[str] = []
        self.refusal: bytes | None = None
        self.greeting = b""

    async def _serve(self, reader: Reader, writer: Writer) -> None:
        while not writer.is_closing():
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            if head.startswith("CONNECT "):
                self.connects.append(head)
                await self._open(head.split(" ")[1], reader, writer)
                return
            await self._answer(head, reader, writer)

    async def _answer(self, head: str, reader: Reader, writer: Writer) -> None:
        first, *lines = head.rstrip("\r\n").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        received = Received(first.split(" ")[0], first.split(" ")[1], headers, body, reader)
        self.requests.append(received)
        await self.behaviour(received, writer)
        await writer.drain()

    async def _open(self, place: str, reader: Reader, writer: Writer) -> None:
        if self.refusal is not None:
            writer.write(self.refusal)
            await writer.drain()
            return
        host, _, port = place.rpartition(":")
        beyond_reader, beyond = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n" + self.greeting)
        try:
            await asyncio.wait(
                [asyncio.create_task(_pump(reader, beyond)), asyncio.create_task(_pump(beyond_reader, writer))]
            )
        finally:
            beyond.close()
            with suppress(ConnectionError):
                await beyond.wait_closed()


async def _pump(reader: Reader, writer: Writer) -> None:
    """Carry bytes until either side ends; then end the other, too."""
    with suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()
