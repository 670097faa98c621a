"""
How many requests a target takes at once: arithmetic on what they took, after TCP's additive increase.

Latency by itself says nothing: an API that takes two seconds for everything takes a thousand at once as well. What says
that it is full is latency that rises with the number of requests, and falls with it.
"""

from __future__ import annotations

from typing import Final

FLOOR: Final = 4  # requests; fewer say too little about latency to ever find up again
OPENING: Final = 8  # requests under way at the start
RISE: Final = 1.6  # how many times the least latency is too much
SLACK: Final = 0.05  # seconds on top: below that it is our own scheduling that is measured
CUT: Final = 0.75  # what is left of the limit after latency rose
HALF: Final = 0.5  # what is left after refusals and timeouts
HELPED: Final = 0.9  # what is left of the latency at most where a cut has helped
BAD: Final = 0.1  # the share of refusals and timeouts in a window that stands for overload


class Aimd:
    """
    A limit between `floor` and `ceiling`, moved once a window: as many answers as the limit allows requests.

    It doubles until the first sign of overload, then grows by one a window, both only while it is what holds requests
    back. Where latency rises, it is cut; where the cut does not bring it down, the rise was none of ours: the limit is
    given back, and the new latency is the normal one. Deterministic; times come as arguments, in seconds.
    """

    def __init__(self, ceiling: int) -> None:
        self.ceiling = ceiling
        self.floor = min(FLOOR, ceiling)
        self.limit = min(OPENING, ceiling)
        self.baseline: float | None = None  # the least latency of a window
        self._opening = True
        self._seconds: list[float] = []
        self._bad = 0
        self._full = False
        self._stale = 0  # answers to come to requests from before the last change
        self._seen = False  # latency has risen; a whole window of it is awaited, to compare with
        self._trial: tuple[int, float] | None = None  # limit and latency before the last cut for latency

    def answered(self, seconds: float, *, bad: bool, full: bool) -> bool:
        """
        Take note of one answer; say whether the limit may have changed.

        `bad` is a 429, a 503 or none in time. `full` says that more would have been sent but for the limit.
        """
        if self._stale:
            self._stale -= 1
            return False
        self._seconds.append(seconds)
        self._bad += bad
        self._full = self._full or full
        if len(self._seconds) < max(self.limit, self.floor):
            return False
        self._window_over(_typical(self._seconds), self._bad > BAD * len(self._seconds), self._full)
        self._seconds.clear()
        self._bad, self._full = 0, False
        return True

    def _window_over(self, latency: float, overloaded: bool, full: bool) -> None:  # noqa: FBT001  private
        trial, self._trial = self._trial, None
        seen, self._seen = self._seen, False
        if overloaded:
            self._cut(HALF)
        elif trial is not None and latency > HELPED * trial[1]:
            self.baseline = latency
            self._move(trial[0])
        elif self._has_risen(latency) and not seen:
            self._seen = True
            self._stale = self.limit
        elif self._has_risen(latency):
            before = self.limit
            self._cut(CUT)
            self._trial = (before, latency) if self.limit < before else None
        else:
            self.baseline = latency if self.baseline is None else min(self.baseline, latency)
            if full:
                self._move(min(self.limit * 2 if self._opening else self.limit + 1, self.ceiling))

    def _has_risen(self, latency: float) -> bool:
        return self.baseline is not None and latency > RISE * self.baseline + SLACK

    def _cut(self, share: float) -> None:
        self._opening = False
        self._move(max(self.floor, int(self.limit * share)))

    def _move(self, limit: int) -> None:
        if abs(limit - self.limit) > 1:
            self._stale = self.limit  # those are under way, or were not even sent
        self.limit = limit


def _typical(seconds: list[float]) -> float:
    """The mean but for the slowest tenth. A median would jump where a server works in lockstep."""
    most = sorted(seconds)[: len(seconds) - len(seconds) // 10]
    return sum(most) / len(most)
