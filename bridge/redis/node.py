"""One server: a few connections, each of which is thrown away as soon as an answer on it is left unread."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from redis.asyncio.connection import Connection, SSLConnection
from redis.exceptions import RedisError, ResponseError

from bridge.redis.options import Address, Login, RedisConnectionSettings

Command: TypeAlias = Sequence[bytes | str | int]
Reply: TypeAlias = Any
"""What a server says to one command; a ResponseError stands for itself."""

_PROTOCOL: Final = 2
_CONNECT: Final = 3  # times the limit of an answer: the connection, TLS, the login


class Node:
    """
    One server. Every call takes a connection of its own for as long as it lasts, or waits for one.

    A connection returns to the others only when it has nothing more to say. So whatever cuts a call short (an error, a
    time limit, a cancelled task), no later call can read an answer that was meant for an earlier one.
    """

    def __init__(self, settings: RedisConnectionSettings, address: Address, login: Login) -> None:
        self._limit = settings.timeout
        self._free: list[Connection] = []
        self._turns = asyncio.Semaphore(settings.pool)
        self._make = _maker(settings, address, login)
        self._closed = False
        self.address = address

    async def ask(self, commands: Sequence[Command]) -> list[Reply]:
        """
        Send all at once and return an answer for each.

        Raises an error of the client, an OSError or a TimeoutError; then it is unknown which commands were carried out.
        """
        async with self._turns:
            connection = self._free.pop() if self._free else self._make()
            try:
                if not connection.is_connected:
                    await self._connect(connection)
                async with asyncio.timeout(self._limit):
                    await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
                    replies = [await _reply(connection) for _ in commands]
            except BaseException:
                await _drop(connection)
                await self._drop_free()  # if one is broken the others are, mostly
                raise
            if self._closed:
                await _drop(connection)
            else:
                self._free.append(connection)
            return replies

    async def _connect(self, connection: Connection) -> None:
        try:
            async with asyncio.timeout(_CONNECT * self._limit):
                await connection.connect_check_health(check_health=False)
        except TimeoutError as error:
            raise TimeoutError("no answer while connecting") from error

    async def close(self) -> None:
        """Let go of all connections; those in use go with their calls. Never raises."""
        self._closed = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limit):
                for connection in self._free:
                    with contextlib.suppress(RedisError, OSError):
                        await connection.disconnect()
        await self._drop_free()

    async def _drop_free(self) -> None:
        while self._free:
            await _drop(self._free.pop())


def _maker(settings: RedisConnectionSettings, address: Address, login: Login) -> Any:
    options: dict[str, Any] = {
        "host": address.host,
        "port": address.port,
        "db": login.database,
        "username": login.username,
        "password": login.password.get_secret_value() if login.password else None,
        "protocol": _PROTOCOL,
        "socket_timeout": None,  # a call as a whole has a limit
        "driver_info": None,  # needs a right of its own, and says nothing that we need
    }
    if not settings.secure:
        return lambda: Connection(**options)
    if tls := settings.tls:
        options |= {
            "ssl_ca_certs": tls.ca_file,
            "ssl_certfile": tls.cert_file,
            "ssl_keyfile": tls.key_file or tls.cert_file,
            "ssl_check_hostname": tls.verify == "full",
        }
    options["ssl_min_version"] = ssl.TLSVersion.TLSv1_2
    return lambda: SSLConnection(**options)


async def _reply(connection: Connection) -> Reply:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


async def _drop(connection: Connection) -> None:
    """Cut it off: a farewell over TLS waits for half a minute where the server has fallen silent."""
    with contextlib.suppress(Exception):
        if connection._writer:  # noqa: SLF001  nothing public cuts a connection off
            connection._writer.transport.abort()  # noqa: SLF001  same
        await connection.disconnect(nowait=True)
