"""
The circuit breaker of one target, as a table.

    closed     everything may be sent
    open       nothing is sent until `open_until`
    half open  one real event may be sent, to probe

A pause is something else: the target said when to come back (Retry-After), so nothing is sent until then, whatever
the state, and the state does not change.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """Where the breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Signal(Enum):
    """What the breaker learns."""

    TRIPPED = "tripped"  # too many failures, or one answer that says "misconfigured"
    WAITED = "waited"  # the open time is over
    PASSED = "passed"  # an event was accepted
    FAILED = "failed"  # a probe was not


NEXT: dict[tuple[State, Signal], State] = {
    (State.CLOSED, Signal.TRIPPED): State.OPEN,
    (State.OPEN, Signal.WAITED): State.HALF_OPEN,
    (State.OPEN, Signal.PASSED): State.OPEN,  # a straggler from before; only a probe closes
    (State.HALF_OPEN, Signal.PASSED): State.CLOSED,
    (State.HALF_OPEN, Signal.FAILED): State.OPEN,
    (State.HALF_OPEN, Signal.TRIPPED): State.OPEN,
}


class Permit(Enum):
    """How much may be sent now."""

    ALL = "all"
    ONE = "one"
    NONE = "none"


@dataclass(slots=True, frozen=True, kw_only=True)
class BreakerPolicy:
    """When to open and how long to stay open. Durations are seconds."""

    failure_rate: float = 0.5  # share of failures in the window that opens
    min_calls: int = 20  # below this many in the window, the rate says nothing
    window: float = 30.0
    consecutive: int = 10  # failures in a row that open, however few
    probe_base: float = 1.0  # first open time; doubles with each failed probe
    probe_cap: float = 60.0
    probe_timeout: float = 60.0  # a probe nobody reported on no longer blocks the next one


class Breaker:
    """One target's breaker. Pure: every method is told the monotonic time in seconds."""

    def __init__(self, policy: BreakerPolicy) -> None:
        self._policy = policy
        self._counts: deque[tuple[int, int, int]] = deque()  # (second, passed, failed), the window
        self._streak = 0
        self._openings = 0  # in a row, without a success in between
        self._open_until = 0.0
        self._paused_until = 0.0
        self._probing_until = 0.0
        self.state = State.CLOSED
        self.reason = ""  # why it opened last
        self.opened = 0  # times; a failed probe leaves it open

    def permit(self, now: float) -> Permit:
        """Say what may be sent now. ONE is a grant: the caller must report what became of its probe."""
        if self.wait(now) > 0:
            return Permit.NONE
        if self.state is State.OPEN:
            self._step(Signal.WAITED)
        if self.state is State.HALF_OPEN:
            self._probing_until = now + self._policy.probe_timeout
            return Permit.ONE
        return Permit.ALL

    def wait(self, now: float) -> float:
        """Seconds until `permit` may say something else than NONE; 0 when it already does."""
        until = self._paused_until
        if self.state is State.OPEN:
            until = max(until, self._open_until)
        elif self.state is State.HALF_OPEN:
            until = max(until, self._probing_until)
        return max(0.0, until - now)

    def shut(self, now: float) -> bool:
        """Whether events should not even be fetched: open, or paused. Half open is not: a probe needs an event."""
        return now < self._paused_until or (self.state is State.OPEN and now < self._open_until)

    def may_send(self, now: float) -> bool:
        """Whether a request that was admitted earlier may still go out."""
        return now >= self._paused_until and self.state is not State.OPEN

    def passed(self, now: float, count: int = 1) -> None:
        """`count` events were accepted, or refused for a fault of their own: the target works."""
        self._streak = 0
        self._count(now, count, 0)
        if self.state is State.CLOSED:
            return
        if self.state is State.HALF_OPEN:
            self._openings = 0
            self._counts.clear()  # the failures of the outage say nothing about the target as it is now
        self._step(Signal.PASSED)

    def failed(self, now: float, reason: str, rand: float, count: int = 1) -> None:
        """`count` sends failed. `rand` in [0, 1) spreads the probes of many bridges."""
        self._streak += count
        self._count(now, 0, count)
        if self.state is State.HALF_OPEN:
            self._open(Signal.FAILED, now, reason, rand)
        elif self.state is State.CLOSED and self._too_many():
            self._open(Signal.TRIPPED, now, reason, rand)

    def misconfigured(self, now: float, reason: str, rand: float) -> None:
        """One answer said that nothing can pass."""
        if self.state is not State.OPEN:
            self._open(Signal.TRIPPED, now, reason, rand)

    def pause(self, now: float, seconds: float) -> None:
        """Send nothing for that long. A probe that was answered like this has neither passed nor failed."""
        self._paused_until = max(self._paused_until, now + seconds)
        self._probing_until = 0.0

    def _open(self, signal: Signal, now: float, reason: str, rand: float) -> None:
        self.opened += self.state is State.CLOSED
        self._step(signal)
        wait = min(self._policy.probe_cap, self._policy.probe_base * 2.0 ** min(self._openings, 32))
        self._open_until = now + wait * (0.5 + rand / 2)  # half of it jitter: never a busy loop
        self._openings += 1
        self._streak = 0
        self.reason = reason

    def _too_many(self) -> bool:
        passed = sum(bucket[1] for bucket in self._counts)
        failed = sum(bucket[2] for bucket in self._counts)
        calls = passed + failed
        rate_reached = calls >= self._policy.min_calls and failed >= self._policy.failure_rate * calls
        return rate_reached or self._streak >= self._policy.consecutive

    def _count(self, now: float, passed: int, failed: int) -> None:
        second = int(now)
        while self._counts and self._counts[0][0] <= second - self._policy.window:
            self._counts.popleft()
        if self._counts and self._counts[-1][0] == second:
            _, before_passed, before_failed = self._counts.pop()
            passed, failed = passed + before_passed, failed + before_failed
        self._counts.append((second, passed, failed))

    def _step(self, signal: Signal) -> None:
        self.state = NEXT.get((self.state, signal), self.state)
