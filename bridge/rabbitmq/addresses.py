"""The addresses of a broker's host: one that says nothing leaves time for the others."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def first_of(host: str, port: int, limit: float, connect: Callable[[str], Awaitable[T]]) -> T:
    """
    Connect to the first address of a host that can be reached, in `limit` seconds for all of them. Raises OSError.

    The event loop makes the sockets, of an address that is a text: uvloop (0.23.0) closes the descriptor of a Python
    socket that it was handed behind the back of the object that still counts on it, when the peer resets the connection
    in the wrong moment.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    failures: list[str] = []
    for *_, address in found:
        try:
            async with asyncio.timeout(limit / len(found)):
                return await connect(str(address[0]))
        except ssl.SSLError:
            raise  # it was reached, and what it says of itself concerns a person
        except OSError as error:  # a TimeoutError is one too
            failures.append(f"{address[0]}: {str(error) or 'no answer'}")
    raise OSError("; ".join(failures))
