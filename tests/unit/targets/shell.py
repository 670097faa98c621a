"""A target in memory, as its exchanges see it: requests carry ids, and a function says what becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from bridge.core.aimd import Aimd
from bridge.model import Envelope, Outcome, Rejected, Request, Response
from bridge.targets import exchanges
from bridge.targets.client import NOTHING_MORE, Answer, Done
from bridge.targets.exchanges import Sending, Slots
from bridge.targets.room import Room
from tests.unit.apis.samples import event

Exchange = Callable[[Slots], Sequence[Outcome | None]]


class Line:
    """A Client that answers in the next tick, or when told to."""

    def __init__(self) -> None:
        self.started: list[list[int]] = []
        self.cancelled: list[list[int]] = []
        self.answer: Callable[[], Answer] = lambda: Response(200, {}, b"")
        self.silent_about: set[int] = set()  # requests with these are answered by `speak` only
        self._mute: list[Done] = []

    async def open(self) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        """Nothing to let go of."""

    def start(self, request: Request, more: Mapping[str, str], read_limit: int, done: Done) -> _Handle:  # noqa: ARG002  the port's
        slots = [int(slot) for slot in request.body.split()]
        self.started.append(slots)
        handle = _Handle(self, slots)
        if self.silent_about & set(slots):
            self._mute.append(done)
        else:
            handle.timer = asyncio.get_running_loop().call_soon(lambda: done(self.answer()))
        return handle

    def speak(self) -> None:
        for done in self._mute:
            done(self.answer())

    async def once(self, request: Request, read_limit: int) -> Answer:  # noqa: ARG002  the port's
        return self.answer()


class _Handle:
    def __init__(self, line: Line, slots: list[int]) -> None:
        self.timer: asyncio.Handle | None = None
        self._line = line
        self._slots = slots

    def cancel(self) -> None:
        self._line.cancelled.append(self._slots)
        if self.timer is not None:
            self.timer.cancel()


class MemoryShell:
    """A Shell whose requests end as `exchange` says."""

    def __init__(self, exchange: Exchange, *, places: int = 1000) -> None:
        self.client = Line()
        self.room = Room(places)
        self.pace: Aimd | None = None
        self.may_send: Callable[[], bool] = lambda: True
        self.quick_tries: Callable[[], bool] = lambda: False
        self.observe: Callable[[str, float, str | None], None] = lambda *_: None
        self.heard: Callable[[Outcome], None] = lambda _: None
        self.exchange: exchanges.Making = exchanges.Exchange
        self._exchange = exchange

    def encode(self, events: Sequence[Envelope]) -> Request | Rejected | None:
        return Request("POST", "http://127.0.0.1/", NOTHING_MORE, b" ".join(event.id.encode() for event in events))

    def decode(self, response: Response, events: Sequence[Envelope]) -> Sequence[Outcome | None]:  # noqa: ARG002  the port's
        return self._exchange([int(event.id) for event in events])

    def added(self, events: Sequence[Envelope], attempt: int) -> Mapping[str, str]:  # noqa: ARG002  the port's
        return NOTHING_MORE


def sending_of(shell: MemoryShell, count: int) -> Sending:
    return Sending(shell, [event(str(slot)) for slot in range(count)], [1] * count)


async def outcomes_of(shell: MemoryShell, parts: Sequence[Slots]) -> dict[int, Outcome]:
    """Send all; fails where an outcome comes twice."""
    sending = sending_of(shell, sum(map(len, parts)))
    for part in parts:
        sending.start(part)
    found: dict[int, Outcome] = {}
    while sending.left:
        for slot, outcome in await sending.group():
            assert slot not in found
            found[slot] = outcome
    return found
