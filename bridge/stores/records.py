"""The records that are not done, in memory: who works on what, and what is scheduled or cancelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bridge.core import claims
from bridge.core.claims import Cancelled, Claimed, Record, Scheduled, Waiting
from bridge.model import Ask, Claim, Schedule
from bridge.stores.deadlines import Deadlines


class Records:
    """
    Open records by key, changed by the functions of `bridge.core.claims` only.

    Claims and waiting records stand in two dicts: the first stays as small as what is in flight, the second may hold
    millions. A key that is in both is claimed, and the claim knows what it was.
    """

    def __init__(self) -> None:
        self._claims: dict[bytes, Claimed] = {}
        self._waiting: dict[bytes, Waiting] = {}
        self._deadlines = Deadlines()

    @property
    def claims(self) -> int:
        return len(self._claims)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def get(self, key: bytes) -> Record | None:
        return self._claims.get(key) or self._waiting.get(key)

    def put(self, key: bytes, record: Record | None) -> None:
        """Make this the record of the key; None forgets it."""
        if isinstance(record, Claimed):
            self._claims[key] = record
            return
        self._claims.pop(key, None)
        if isinstance(record, Waiting):
            if self._waiting.get(key) != record:
                self._waiting[key] = record
                self._deadlines.add(key, record.until)
        else:
            self._waiting.pop(key, None)

    def claim(self, ask: Ask, bid: Claimed, now: int) -> Claim:
        key = ask.key
        before = self._claims.get(key) or self._waiting.get(key)
        if before is None:  # as nearly always; the protocol says the same, with more words
            self._claims[key] = bid
            return claims.GRANTED
        record, answer = claims.claim(before, ask, bid, now)
        if isinstance(record, Claimed):
            self._claims[key] = record  # ours, or unchanged
        return answer

    def renew(self, key: bytes, bid: Claimed, now: int) -> bool:
        record, renewed = claims.renew(self.get(key), bid, now)
        if renewed:
            self.put(key, record)
        return renewed

    def release(self, key: bytes, owner: str, now: int) -> None:
        self.put(key, claims.release(self.get(key), owner, now))

    def schedule(self, item: Schedule, owner: str, ttl: int, now: int) -> Scheduled | None:
        """What the owner's claim would become; None where it was lost. Nothing is changed yet."""
        return claims.schedule(self.get(item.key), item, owner, ttl, now)

    def is_owned(self, key: bytes, owner: str, now: int) -> bool:
        live = claims.current(self.get(key), now)
        return isinstance(live, Claimed) and live.owner == owner

    def left_over(self, keys: Sequence[bytes], now: int, ttl: int) -> dict[bytes, Cancelled | None]:
        """Of the keys that are scheduled or cancelled: what has to stay of them once they are done for `ttl`."""
        waiting = self._waiting
        return {key: claims.left_over(waiting[key], now, ttl) for key in keys if key in waiting} if waiting else {}

    def forget(self, keys: Sequence[bytes], left_over: Mapping[bytes, Cancelled | None]) -> None:
        """Drop the records of keys that are done: a plain loop, since every event passes here."""
        for open_records in (self._claims, self._waiting):
            if open_records:
                for key in keys:
                    open_records.pop(key, None)
        for key, record in left_over.items():
            self.put(key, record)

    def has_room(self, key: bytes, limit: int) -> bool:
        """Whether a waiting record of the key would be one of at most `limit`."""
        return len(self._waiting) < limit or key in self._waiting

    def sweep(self, now: int) -> list[bytes]:
        """Drop what has expired; return the keys whose waiting record is gone."""
        for key in [key for key, claim in self._claims.items() if claim.until <= now]:
            self.put(key, claims.current(self._claims[key], now))
        gone = []
        for key in self._deadlines.pop(now):
            record = self._waiting.get(key)
            if record is not None and record.until <= now:
                del self._waiting[key]
                gone.append(key)
        return gone
