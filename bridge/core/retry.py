"""How long to wait before the next attempt, and when to stop making them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class GiveUp(Enum):
    """Why no further attempt is made; the value is the kind of the burial."""

    EXHAUSTED = "exhausted"
    EXPIRED = "expired"


@dataclass(slots=True, frozen=True, kw_only=True)
class RetryPolicy:
    """
    Exponential backoff with full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015).

    All durations are seconds. `after_cap` bounds what a target may ask for with Retry-After.
    """

    base: float = 5.0
    cap: float = 3_600.0
    max_attempts: int = 12
    max_age: float = 86_400.0
    after_cap: float = 3_600.0

    def delay(self, attempt: int, *, rand: float, after: float | None = None) -> float:
        """
        Seconds to wait after `attempt` (from 1) has failed.

        `after`, what the target asked for, wins over the backoff. `rand` is a fresh number in [0, 1).
        """
        if after is not None:
            return min(max(after, 0.0), self.after_cap)
        # 2.0 ** 1024 overflows; no cap is that far away.
        return rand * min(self.cap, self.base * 2.0 ** min(attempt - 1, 64))

    def give_up(self, attempt: int, *, age: float) -> GiveUp | None:
        """Whether a failure of `attempt` (from 1), `age` seconds after first sight, was the last one."""
        if attempt >= self.max_attempts:
            return GiveUp.EXHAUSTED
        if age >= self.max_age:
            return GiveUp.EXPIRED
        return None
