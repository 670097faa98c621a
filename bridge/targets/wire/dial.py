"""Makes connections: straight or through a proxy, in the clear or by TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar, cast

from bridge.apis import HttpOptions
from bridge.targets.tls import client_context
from bridge.targets.wire.addresses import first_of
from bridge.targets.wire.heads import Place, place_of
from bridge.targets.wire.proxy import Proxies, Proxy
from bridge.targets.wire.tunnel import Tunnel

GOODBYE: Final = 1.0  # seconds that TLS may take to end

P = TypeVar("P", bound=asyncio.BaseProtocol)


async def dial(make: Callable[[], P], place: Place, context: ssl.SSLContext | None, limit: float) -> P:
    """
    Connect, within `limit` seconds. `context` is needed for places with TLS.

    Raises OSError (of which TimeoutError and ssl.SSLError are kinds) and ProxyRefusedError.
    """
    loop = asyncio.get_running_loop()
    tls: dict[str, Any] = {}
    if place.tls:
        tls = {"server_hostname": place.host, "ssl_handshake_timeout": limit, "ssl_shutdown_timeout": GOODBYE}
    async with asyncio.timeout(limit):
        if place.proxy is not None and place.tls:
            assert context is not None, "places with TLS need one"
            return await _through(place.proxy, make, place, context, tls)
        if place.tls:
            tls["ssl"] = context
        via = place.proxy or place
        _, protocol = await first_of(
            via.host, via.port, lambda address, port: loop.create_connection(make, address, port, **tls)
        )
    return protocol


async def _through(
    proxy: Proxy, make: Callable[[], P], place: Place, context: ssl.SSLContext, tls: dict[str, Any]
) -> P:
    loop = asyncio.get_running_loop()
    made, tunnel = await first_of(
        proxy.host,
        proxy.port,
        lambda address, port: loop.create_connection(lambda: Tunnel(place.netloc, proxy), address, port),
    )
    transport = cast("asyncio.Transport", made)  # that of uvloop is one by its methods only
    try:
        await tunnel.open()
        protocol = make()
        inner = await loop.start_tls(transport, protocol, context, **tls)
        if inner is None:
            raise ConnectionResetError  # noqa: TRY301  it was lost meanwhile
    except BaseException:
        transport.abort()
        raise
    protocol.connection_made(inner)
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
