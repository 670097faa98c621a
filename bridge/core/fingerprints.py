"""Notices when two events with one id are not the same event."""

from __future__ import annotations


class Fingerprints:
    """
    The payload checksums of the last `limit` keys, and of as many more at most.

    Best effort on purpose: it watches publishers, it decides nothing about delivery, and it forgets at a restart.
    """

    def __init__(self, limit: int = 50_000) -> None:
        self._limit = limit
        # Two plain dicts, the older of which is dropped as a whole: an ordered one that forgets key by key takes twice
        # the memory, and touches the place of its oldest key, which no cache holds any more, with every event.
        self._recent: dict[bytes, int] = {}
        self._older: dict[bytes, int] = {}

    def differs(self, key: bytes, fingerprint: int) -> bool:
        """Whether the key was seen with another payload. The first payload seen stays the reference."""
        known = self._older.get(key)
        if known is None:
            known = self._recent.setdefault(key, fingerprint)
            if len(self._recent) >= self._limit:
                self._older, self._recent = self._recent, {}
        return known != fingerprint
