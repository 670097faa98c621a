"""How many unsettled deliveries to ask the broker for, as pure arithmetic."""

from __future__ import annotations

from typing import Final

BYTES: Final = 64 << 20
WEIGHT: Final = 0.1  # of the newest size in the running mean
EMPTY: Final = 0.5  # of the byte bound: where to begin again after it was reached


class Appetite:
    """
    The prefetch in deliveries, kept under a bound in bytes, which RabbitMQ does not offer.

    A consumer that is full is cancelled; the next one asks for so many deliveries of the mean size as fit. A burst of
    deliveries that are larger than those before can exceed the bound once, by what the broker had sent already. While
    `cautious`, it is one delivery at a time.
    """

    def __init__(self, prefetch: int, max_bytes: int = BYTES, *, cautious: bool = False) -> None:
        self._prefetch = prefetch
        self._max_bytes = max_bytes
        self._mean = 0.0
        self._full = False
        self.cautious = cautious
        self.bytes = 0  # received and not settled

    def take(self, size: int, count: int = 1) -> None:
        """Deliveries of `size` bytes together came in."""
        self.bytes += size
        mean = size / count
        self._mean = mean + (1 - WEIGHT) ** count * (self._mean - mean) if self._mean else mean
        self._full = self._full or self.bytes >= self._max_bytes

    def give(self, size: int) -> None:
        """Deliveries of `size` bytes together were settled or given back."""
        self.bytes -= size
        self._full = self._full and self.bytes > EMPTY * self._max_bytes

    def prefetch(self, present: int) -> int:
        """How many deliveries may be unsettled, where `present` may be now; 0 while full."""
        if self._full:
            return 0
        if self.cautious:
            return 1
        fits = max(1, min(self._prefetch, int(self._max_bytes / max(self._mean, 1))))
        # A change means another consumer, which a somewhat different mean size is not worth.
        return present if present // 2 < fits < present * 2 else fits
