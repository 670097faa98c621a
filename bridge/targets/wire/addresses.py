"""
Finds the addresses of a host, and connects to the first that answers.

The event loop makes every socket itself: uvloop closes the descriptor of a Python socket that it was given, behind the
back of the object that still counts on it, when the peer resets the connection in the wrong moment.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain, zip_longest
from typing import Final, TypeVar, cast

HEAD_START: Final = 0.25  # seconds that an address has before the next one is tried too (RFC 8305, section 5)

P = TypeVar("P", bound=asyncio.BaseProtocol)
Made = tuple[asyncio.BaseTransport, P]


async def first_of(host: str, port: int, connect: Callable[[str, int], Awaitable[Made[P]]]) -> Made[P]:
    """
    Connect to the first address of the host that answers; each has a head start before the next one.

    Raises the OSError of an address where none does: of TLS, if one of them came that far.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    left = deque(by_turns([(family, str(address[0])) for family, *_, address in found]))
    tries: set[asyncio.Future[Made[P]]] = set()
    error: BaseException = OSError("no address")
    try:
        while left or tries:
            if left:
                tries.add(asyncio.ensure_future(connect(left.popleft(), port)))
            pause = HEAD_START if left else None
            for done in (await asyncio.wait(tries, timeout=pause, return_when=asyncio.FIRST_COMPLETED))[0]:
                tries.discard(done)
                failed = done.exception()
                if failed is None:
                    return done.result()
                error = error if isinstance(error, ssl.SSLError) else failed
        raise error
    finally:
        await _abandon(tries)


async def _abandon(tries: set[asyncio.Future[Made[P]]]) -> None:
    for late in tries:
        late.cancel()
    for made in await asyncio.gather(*tries, return_exceptions=True):
        if not isinstance(made, BaseException):
            cast("asyncio.Transport", made[0]).abort()  # that of uvloop is one by its methods only


def by_turns(found: Sequence[tuple[int, str]]) -> list[str]:
    """Put addresses of both families by turns, beginning with the family of the first (RFC 8305, section 4)."""
    first = [address for family, address in found if family == found[0][0]]
    others = [address for family, address in found if family != found[0][0]]
    return [address for address in chain.from_iterable(zip_longest(first, others)) if address is not None]
