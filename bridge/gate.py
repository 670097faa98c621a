"""The breaker's door: what wants to reach the target waits here until it may."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from enum import Enum

from bridge.core.breaker import Breaker, BreakerPolicy, Permit, State
from bridge.model import Misconfigured, Outcome, Retryable

log = logging.getLogger(__name__)

UNSAID_PAUSE = 1.0  # seconds, where a target asks for a pause without saying how long


class Admission(Enum):
    """What `Gate.admit` says."""

    ALL = "all"
    ONE = "one"  # a probe: send one event and report it
    LATE = "late"  # the deadline passed
    STOPPED = "stopped"  # shutting down while closed


class Gate:
    """
    Waits for one target's breaker, tells others when it changes, and re-reads secrets before each probe.

    A target that asks for a pause gets at most `longest_pause` seconds.
    """

    def __init__(self, policy: BreakerPolicy, *, refresh: Callable[[], None], longest_pause: float = 3_600.0) -> None:
        self._longest_pause = longest_pause
        self._breaker = Breaker(policy)
        self._refresh = refresh
        self._changed = asyncio.Event()  # replaced at every change; waiters hold the old one
        self._timer: asyncio.TimerHandle | None = None
        self._shut = False
        self._stopping = False
        self.on_shut: Callable[[bool], None] = lambda _: None

    @property
    def state(self) -> State:
        return self._breaker.state

    @property
    def reason(self) -> str:
        """Why the breaker opened last."""
        return self._breaker.reason

    @property
    def opened(self) -> int:
        """How often the breaker has opened."""
        return self._breaker.opened

    @property
    def healthy(self) -> bool:
        """Whether failures count against the events: the breaker is closed and no pause is on."""
        return self._breaker.state is State.CLOSED and not self._shut

    def may_send(self) -> bool:
        """Asked right before each request, so that nothing queued slips out after the door has closed."""
        return self._breaker.may_send(_now())

    async def admit(self, deadline: float) -> Admission:
        """Wait until something may be sent; `deadline` is a loop time in seconds."""
        while True:
            now = _now()
            permit = self._breaker.permit(now)
            if permit is Permit.ALL:
                return Admission.ALL
            if permit is Permit.ONE:
                self._refresh()
                return Admission.ONE
            if self._stopping:
                return Admission.STOPPED
            if now >= deadline:
                return Admission.LATE
            await self._change(min(deadline - now, self._breaker.wait(now)))

    def passed(self, count: int) -> None:
        steady = self.healthy  # then nobody waits here, and a success changes nothing
        self._breaker.passed(_now(), count)
        if not steady:
            self._update()

    def failed(self, reason: str, count: int) -> None:
        self._breaker.failed(_now(), reason, _rand(), count)
        self._update()

    def misconfigured(self, reason: str) -> None:
        self._breaker.misconfigured(_now(), reason, _rand())
        self._update()

    def hear(self, outcome: Outcome) -> None:
        """Shut at once on an answer that speaks for the whole target, before the requests queued behind it go out."""
        match outcome:
            case Misconfigured(reason):
                self.misconfigured(reason)
            case Retryable(_, after, True):
                self.pause(UNSAID_PAUSE if after is None else min(after, self._longest_pause))

    def pause(self, seconds: float) -> None:
        """Send nothing for so many seconds: the target asked for it."""
        self._breaker.pause(_now(), seconds)
        self._update()

    def stop(self) -> None:
        """Shutting down: nobody waits for a closed door any longer."""
        self._stopping = True
        if self._timer is not None:
            self._timer.cancel()
        self._wake()

    def _update(self) -> None:
        now = _now()
        wait = self._breaker.wait(now)
        shut = self._breaker.shut(now)
        if wait > 0 and not self._stopping:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_later(wait, self._ring)
        if shut != self._shut:
            self._shut = shut
            details = {"breaker": self._breaker.state.value, "reason": self._breaker.reason, "seconds": round(wait, 3)}
            log.warning("target_held_off" if shut else "target_open", extra=details)
            self.on_shut(shut)
        self._wake()

    def _ring(self) -> None:
        """Let the sources deliver again once the wait is over, so that there is an event to probe with."""
        self._timer = None
        self._update()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _change(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._changed.wait(), max(seconds, 0.001))
        except TimeoutError:
            return


def _now() -> float:
    return asyncio.get_running_loop().time()


def _rand() -> float:
    return random.random()  # noqa: S311  jitter, protects nothing
