"""The requests of one call of `send`: under way side by side, split where need be, handed out as they finish."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Final, Protocol, TypeAlias

from bridge.core.aimd import Aimd
from bridge.core.tally import outcome_of
from bridge.model import Accepted, Envelope, Misconfigured, Outcome, Rejected, Request, Response, Retryable, Unsent
from bridge.ports import Api
from bridge.targets.client import Answer, Client, Handle
from bridge.targets.failures import NO_ANSWER, Failure
from bridge.targets.room import Room

log = logging.getLogger(__name__)

QUICK_WINDOW: Final = 2.0  # seconds after the first try within which another may begin
QUICK_PAUSES: Final = (0.1, 0.5)  # seconds before the second and the third try, times 0.5 to 1.5
_PASSING = frozenset({502, 503, 504})
_OVERLOADED = frozenset({429, 503})
_BASE_READ = 64 << 10  # bytes of an answer that are read at least
_ECHO = 4  # times the request, on top: v2 echoes every event with more around it, Inngest an id for each

_UNSAID = Retryable("the answer says nothing about this event")

Slots = Sequence[int]
Pairs = Iterable[tuple[int, Outcome]]
Making: TypeAlias = "Callable[[Sending, Shell, Slots, Sequence[Envelope], int], Exchange]"


class Shell(Protocol):
    """The target, as its requests see it."""

    room: Room
    may_send: Callable[[], bool]
    quick_tries: Callable[[], bool]
    observe: Callable[[str, float, str | None], None]
    heard: Callable[[Outcome], None]

    @property
    def pace(self) -> Aimd | None:
        """What moves the limit of the room, where that is wanted."""

    @property
    def client(self) -> Client:
        """What makes the requests."""

    @property
    def exchange(self) -> Making:
        """What makes an `Exchange`, or a kind of it that is watched."""

    def encode(self, events: Sequence[Envelope]) -> Request | Rejected | None:
        """Make the request, or say that it cannot be: None for several events, of which some may well go."""

    def decode(self, response: Response, events: Sequence[Envelope]) -> Sequence[Outcome | None]:
        """One outcome an event. None: send this one again, in a smaller request."""

    def added(self, events: Sequence[Envelope], attempt: int) -> Mapping[str, str]:
        """Headers that are not the dialect's matter."""


def refusals(api: Api, events: Sequence[Envelope]) -> dict[int, Outcome]:
    """Ask the API which of the events it can never take."""
    refuse = api.refuse
    return {slot: Rejected(reason) for slot, event in enumerate(events) if (reason := refuse(event)) is not None}


def slices(api: Api, events: Sequence[Envelope], slots: Slots) -> list[Slots]:
    """Cut the slots into requests: each of one group, none over the API's limit, in order within a group."""
    limit = api.batch_limit
    if limit == 1:
        return [(slot,) for slot in slots]
    groups: dict[Hashable, list[int]] = {}
    for slot in slots:
        groups.setdefault(api.group(events[slot]), []).append(slot)
    return [group[start : start + limit] for group in groups.values() for start in range(0, len(group), limit)]


def halves(slots: Slots) -> list[Slots]:
    """Cut in two, so that in the end each stands alone."""
    middle = (len(slots) + 1) // 2
    return [half for half in (slots[:middle], slots[middle:]) if half]


class Sending:
    """One call of `send`: it starts exchanges, and collects what has finished since the last look."""

    def __init__(self, shell: Shell, events: Sequence[Envelope], attempts: Sequence[int]) -> None:
        self.left = len(events)  # without an outcome that was handed out
        self._shell = shell
        self._events = events
        self._attempts = attempts
        self._started: list[Exchange] = []
        self._finished: list[tuple[int, Outcome]] = []
        self._waiter: asyncio.Future[None] | None = None

    def start(self, slots: Slots) -> None:
        """Send these in one request, when there is room for it."""
        events = self._events
        chosen = (events[slots[0]],) if len(slots) == 1 else [events[slot] for slot in slots]
        exchange = self._shell.exchange(self, self._shell, slots, chosen, self._attempts[slots[0]])
        self._started.append(exchange)
        self._shell.room.enter(exchange)

    def finish(self, pairs: Pairs) -> None:
        self._finished.extend(pairs)
        self._wake()

    def finish_one(self, slot: int, outcome: Outcome) -> None:
        self._finished.append((slot, outcome))
        self._wake()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and self._finished:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    async def group(self) -> Sequence[tuple[int, Outcome]]:
        """Wait until something has finished, and take all that has."""
        if not self._finished:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        group, self._finished = self._finished, []
        self.left -= len(group)
        return group

    def cancel(self) -> None:
        """Give up what is under way. What still waits comes first, or it would be sent in the place of another."""
        started, self._started = self._started, []
        for exchange in started:
            exchange.forgo()
        for exchange in started:
            exchange.cancel()


class Exchange:
    """One request for some events, tried up to three times. It is moved on by callbacks; none of them raises."""

    __slots__ = (
        "_answer", "_attempt", "_began", "_events", "_first", "_handle", "_inside", "_request", "_sending", "_shell",
        "_slots", "_tries", "over", "trace_id",
    )  # fmt: skip

    def __init__(self, sending: Sending, shell: Shell, slots: Slots, events: Sequence[Envelope], attempt: int) -> None:
        self.over = False
        self.trace_id: str | None = None  # of the span that is recorded about the try under way
        self._inside = False  # has a place in the room
        self._sending = sending
        self._shell = shell
        self._slots = slots
        self._events = events
        self._attempt = attempt
        self._tries = 0
        self._handle: Handle | None = None  # of the try under way, or of the timer before the next

    def begin(self) -> None:
        self._inside = True
        shell = self._shell
        try:
            if not shell.may_send():
                self._conclude([Unsent()] * len(self._slots))
                return
            request = shell.encode(self._events)
            if isinstance(request, Request):
                self._request = request
                self._first = time.monotonic()
                self._try(self._first)
            else:
                self._conclude([request] * len(self._slots))
        except Exception as error:  # noqa: BLE001  a fault in one request must not stop the others
            self._fault(error)

    def _try(self, now: float) -> None:
        self._began = now
        self._tries += 1
        self._start(self._shell.added(self._events, self._attempt))

    def _start(self, more: Mapping[str, str]) -> None:
        request = self._request
        read_limit = _BASE_READ + _ECHO * len(request.body)
        self._handle = self._shell.client.start(request, more, read_limit, self._answered)

    def _answered(self, answer: Answer) -> None:
        self._handle = None
        try:
            now = time.monotonic()
            shell = self._shell
            if shell.pace is not None:
                self._tell(shell.pace, answer, now - self._began)
            passing = _is_passing(answer)
            if passing:
                shell.observe("retryable", now - self._began, self.trace_id)
                if self._plan(answer, now):
                    return
            if isinstance(answer, Response):
                outcomes = shell.decode(answer, self._events)
            else:
                outcomes = [answer.outcome] * len(self._slots)
            if not passing:
                shell.observe(outcome_of(outcomes), now - self._began, self.trace_id)
            self._learn(outcomes)
        except Exception as error:  # noqa: BLE001  as above
            self._fault(error)

    def _tell(self, pace: Aimd, answer: Answer, seconds: float) -> None:
        """Let the limit follow. Broken connections say nothing about it."""
        room = self._shell.room
        bad = answer is NO_ANSWER if isinstance(answer, Failure) else answer.status in _OVERLOADED
        if (bad or isinstance(answer, Response)) and pace.answered(seconds, bad=bad, full=room.crowded):
            room.limit = pace.limit

    def _plan(self, answer: Answer, now: float) -> bool:
        """Try once more in a moment, where that may help and is allowed."""
        if self._tries > len(QUICK_PAUSES):
            return False
        wait = QUICK_PAUSES[self._tries - 1] * random.uniform(0.5, 1.5)  # noqa: S311  jitter, protects nothing
        if now - self._first + wait > QUICK_WINDOW or not self._shell.quick_tries():
            return False
        self._answer = answer
        self._handle = asyncio.get_running_loop().call_later(wait, self._again)
        return True

    def _again(self) -> None:
        self._handle = None
        shell = self._shell
        try:
            if shell.may_send() and shell.quick_tries():
                self._try(time.monotonic())
            elif isinstance(self._answer, Failure):
                self._learn([self._answer.outcome] * len(self._slots))
            else:
                self._learn(shell.decode(self._answer, self._events))
        except Exception as error:  # noqa: BLE001  as above
            self._fault(error)

    def _learn(self, outcomes: Sequence[Outcome | None]) -> None:
        """Tell of what concerns the whole target at once, then end."""
        if len(outcomes) > 1 or type(outcomes[0]) is not Accepted:
            for outcome in {outcome for outcome in outcomes if speaks_for_all(outcome)}:
                assert outcome is not None, "which speaks for nobody"
                self._shell.heard(outcome)
        self._conclude(outcomes)

    def _conclude(self, outcomes: Sequence[Outcome | None]) -> None:
        slots = self._slots
        if len(slots) == 1:
            (outcome,) = outcomes
            self._leave()
            self._sending.finish_one(slots[0], _UNSAID if outcome is None else outcome)
            return
        pairs = list(zip(slots, outcomes, strict=True))
        self._leave()
        self._sending.finish([(slot, outcome) for slot, outcome in pairs if outcome is not None])
        for half in halves([slot for slot, outcome in pairs if outcome is None]):
            self._sending.start(half)

    def _leave(self) -> None:
        self.over = True
        if self._inside:
            self._inside = False
            self._shell.room.leave()

    def _fault(self, error: Exception) -> None:
        """Give an outcome to events that a fault of ours has hit: they are tried again, never lost."""
        if self.over:
            raise error
        log.error("request_faulty", exc_info=error, extra={"events": len(self._slots)})
        outcome = Retryable(f"a fault in the bridge: {type(error).__name__}")
        self._leave()
        self._sending.finish([(slot, outcome) for slot in self._slots])

    def forgo(self) -> None:
        """Where its turn has not come yet, do without it."""
        if not self._inside:
            self.over = True

    def cancel(self) -> None:
        """Give it up; nobody is told."""
        if not self.over:
            if self._handle is not None:
                self._handle.cancel()
            self._leave()


def _is_passing(answer: Answer) -> bool:
    """Whether another try at once may well succeed."""
    if isinstance(answer, Response):
        return answer.status in _PASSING and "retry-after" not in answer.headers
    return answer.passing


def speaks_for_all(outcome: Outcome | None) -> bool:
    return isinstance(outcome, Misconfigured) or (isinstance(outcome, Retryable) and outcome.pause)
