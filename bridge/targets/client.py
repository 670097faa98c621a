"""What makes one request at a time to an event API, within limits that no server can stretch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

from bridge.apis import HttpOptions
from bridge.model import Request, Response
from bridge.targets.failures import Failure

Answer = Response | Failure
Done = Callable[[Answer], None]

NOTHING_MORE: Mapping[str, str] = MappingProxyType({})


class Handle(Protocol):
    """A request under way."""

    def cancel(self) -> bool | None:
        """Give it up: its connection is closed and nobody is told. Too late is no error."""


class Client(Protocol):
    """
    A pool of connections.

    Redirects are not followed (the body and its secrets would go elsewhere), answers are not unpacked (a bomb stays
    small), cookies are not kept, and the environment's proxies are used only where `http.proxy` says so.
    """

    async def open(self) -> None:
        """Raise ConfigError for files and proxies that cannot be used. No connection is made yet."""

    async def close(self) -> None:
        """Close every connection within a few seconds, without raising; requests under way fail."""

    def start(self, request: Request, more: Mapping[str, str], read_limit: int, done: Done) -> Handle:
        """
        Make one request, `more` headers added to its own; call `done` once, later, with what came of it.

        Of the answer's body at most `read_limit` bytes are read. Raises ValueError for an address or a header that no
        request can carry. What has been sent is never sent again by the client itself.
        """

    async def once(self, request: Request, read_limit: int) -> Answer:
        """Like `start`, for those who wait."""


def make_client(options: HttpOptions, *, where: str) -> Client:
    """Make the client that the options name, not yet opened. `where` is the path of the target in the settings."""
    if options.client == "aiohttp":
        from bridge.targets.aiohttp_client import AiohttpClient

        return AiohttpClient(options, where=where)
    from bridge.targets.wire import WireClient

    return WireClient(options, where=where)
