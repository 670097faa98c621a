"""Notices when two events with one id are not the same event."""

from __future__ import annotations

from collections import OrderedDict


class Fingerprints:
    """
    The payload checksums of the last `limit` keys.

    Best effort on purpose: it watches publishers, it decides nothing about delivery, and it forgets at a restart.
    """

    def __init__(self, limit: int = 100_000) -> None:
        self._limit = limit
        self._known: OrderedDict[bytes, int] = OrderedDict()

    def differs(self, key: bytes, fingerprint: int) -> bool:
        """Whether the key was seen with another payload. The first payload seen stays the reference."""
        known = self._known.setdefault(key, fingerprint)
        if len(self._known) > self._limit:
            self._known.popitem(last=False)
        return known != fingerprint
