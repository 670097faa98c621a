"""A wire between clients and a broker that can be frozen and cut, while the broker itself stays well."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from types import TracebackType
from typing import Self

CHUNK_BYTES = 65_536


RESET = struct.pack("ii", 1, 0)
"""For SO_LINGER: a close throws away what was not sent and is an RST (socket(7))."""


def _reset(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):  # closed already
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()


class Wire:
    """
    Passes bytes both ways between its own port and another, both of 127.0.0.1, within `async with`.

    All methods but `open` and `close` are for the thread of its event loop, and take effect at once.
    """

    def __init__(self, port: int, there: int) -> None:
        self.port = port
        self.accepted = 0
        """How many connections there have been."""
        self._there = there
        self._server: asyncio.Server | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """Where clients begin that are to come by this wire: "127.0.0.1:port"."""
        return f"127.0.0.1:{self.port}"

    async def open(self) -> None:
        """Take connections, at first and after a `close`."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def close(self) -> None:
        """Cut all connections and refuse new ones, as where no program listens."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        self.cut()
        await asyncio.gather(*tasks, return_exceptions=True)

    def freeze(self) -> None:
        """Let nothing pass any more, in either direction; connections stay, and new ones are taken."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Let everything pass again, beginning with what was held back."""
        self._flowing.set()

    def cut(self) -> None:
        """End every connection without a farewell (RST); what was held back is lost."""
        for writer in self._writers:
            _reset(writer)
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._writers.add(writer)
        if self._server is None:  # closed since it was accepted
            _reset(writer)
            return
        self._note(asyncio.current_task())
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._there)
        except OSError:
            _reset(writer)
            return
        self._writers.add(there_writer)
        for source, sink in ((reader, there_writer), (there_reader, writer)):
            self._note(asyncio.create_task(self._pass(source, sink)))

    def _note(self, task: asyncio.Task[None] | None) -> None:
        """End this task with the wire."""
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                while chunk := await source.read(CHUNK_BYTES):
                    await self._flowing.wait()
                    sink.write(chunk)
                    await sink.drain()
        finally:
            sink.close()  # once its peer has taken all; until then it can still be cut

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
