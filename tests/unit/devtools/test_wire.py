"""A wire passes everything, nothing while it is frozen, and ends when it is cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from devtools.scratch import free_port
from devtools.wire import Wire


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    """The port of a server that sends back what it gets."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(1024):
            writer.write(chunk)
        writer.close()

    port = free_port()
    async with await asyncio.start_server(serve, "127.0.0.1", port):
        yield port


@pytest.fixture
async def wire(echo: int) -> AsyncIterator[Wire]:
    async with Wire(free_port(), echo) as wire:
        yield wire


@asynccontextmanager
async def dialled(wire: Wire) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def test_bytes_pass_both_ways_but_not_while_it_is_frozen(wire: Wire) -> None:
    async with dialled(wire) as (reader, writer):
        writer.write(b"one")
        assert await asyncio.wait_for(reader.readexactly(3), 10) == b"one"
        wire.freeze()
        writer.write(b"two")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readexactly(3), 0.2)
        wire.thaw()
        assert await asyncio.wait_for(reader.readexactly(3), 10) == b"two"
        assert wire.accepted == 1


async def test_the_end_of_one_side_is_the_end_of_the_other(wire: Wire) -> None:
    async with dialled(wire) as (reader, writer):
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 10) == b""


@pytest.mark.parametrize("frozen", [False, True])
async def test_a_cut_is_felt_at_once_and_the_next_connection_is_taken(wire: Wire, frozen: bool) -> None:
    for count in (1, 2):
        async with dialled(wire) as (reader, writer):
            writer.write(b"x")
            await asyncio.wait_for(reader.readexactly(1), 10)
            assert wire.accepted == count
            if frozen:
                wire.freeze()
            wire.cut()
            with pytest.raises(ConnectionResetError):
                await asyncio.wait_for(reader.read(), 10)
            wire.thaw()


async def test_a_closed_wire_refuses_until_it_is_opened_again(wire: Wire) -> None:
    await wire.close()
    with pytest.raises(ConnectionRefusedError):
        async with dialled(wire):
            pass
    await wire.open()
    async with dialled(wire) as (reader, writer):
        writer.write(b"x")
        assert await asyncio.wait_for(reader.readexactly(1), 10) == b"x"


async def test_where_nobody_is_at_the_other_end_the_connection_ends() -> None:
    async with Wire(free_port(), free_port()) as dead, dialled(dead) as (reader, _):
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), 10)
