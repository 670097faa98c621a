"""What the devserver's dialects are given besides the call, and what its other parts see of the server."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from bridge.devserver.book import Book
from bridge.devserver.faults import ActiveFault, Fault, Faults
from bridge.devserver.wire import Call


@dataclass(slots=True, frozen=True, kw_only=True)
class World:
    """The book, the faults, and who may come in. No keys: everyone may."""

    book: Book
    faults: Faults
    keys: frozenset[str] = frozenset()
    webhook_secrets: tuple[bytes, ...] = ()

    def bearer(self, call: Call) -> str | None:
        """
        Return the bearer token where it is good.

        Trigger.dev matches `^Bearer .+$` with case (observed): "bearer x" is no token.
        """
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not token or (self.keys and token not in self.keys):
            return None
        return token


class House(Protocol):
    """The running server, as `inspection`, `show` and `breakage` see it. Times are epoch ms."""

    book: Book
    faults: Faults
    in_flight: int
    started_at: float
    stopping: asyncio.Event
    watchers: set[asyncio.Event]

    def now(self) -> float:
        """Return the wall clock."""

    def add_fault(self, fault: Fault) -> ActiveFault:
        """Put a fault to work."""

    def changed(self) -> None:
        """Tell everyone who watches."""
