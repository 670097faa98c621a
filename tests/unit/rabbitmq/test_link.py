"""A link to a broker that is none: how it ends."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import SecretStr

from bridge.errors import ConfigError
from bridge.rabbitmq import connection
from bridge.rabbitmq.dialing import dial
from bridge.rabbitmq.options import ConnectionSettings
from tests.unit.amqp.broker import start


async def test_a_broker_that_takes_no_login_of_ours_is_left_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for a login, and answers no goodbye."""
    monkeypatch.setattr(connection, "CLOSE_LIMIT", 60.0)
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readexactly(8)
            writer.write(start(mechanisms=b"EXTERNAL"))
            assert await reader.read() == b"", "nothing more is said"
        except ConnectionResetError:
            pass
        finally:
            writer.close()
            gone.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"amqp://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    try:
        async with asyncio.timeout(30):
            with pytest.raises(ConfigError, match="EXTERNAL, not PLAIN"):
                await dial(ConnectionSettings(url=SecretStr(url)), lambda _: None, name="test", where="source")
            await gone.wait()
    finally:
        server.close()
        await server.wait_closed()
