"""What every dialect of the devserver is given besides the call itself."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.devserver.book import Book
from bridge.devserver.faults import Faults
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
