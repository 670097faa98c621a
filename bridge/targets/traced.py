"""A request that is told to a tracer. Nothing here runs, and no request asks for it, while tracing is off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from bridge.model import Envelope, Outcome, Request
from bridge.targets.client import Answer
from bridge.targets.exchanges import Exchange, Sending, Shell, Slots


class Span(Protocol):
    """What is written down about one request."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What goes with the request."""

    @property
    def trace_id(self) -> str | None:
        """None where nothing is recorded of it."""

    def answered(self, answer: Answer) -> None:
        """Learn what came back."""

    def learned(self, outcomes: Sequence[Outcome | None]) -> None:
        """Learn what that means to the events."""

    def end(self) -> None:
        """Close it with what was learned, unless that was done."""


class Tracer(Protocol):
    """Writes down the requests of one target. Neither method of it waits or raises."""

    def begin(self, events: Sequence[Envelope], attempt: int, tries: int, request: Request) -> Span | None:
        """Begin with try `tries`, from 1, of a request. None where the publisher's own context is to be passed on."""


class TracedExchange(Exchange):
    """An Exchange with a span for each of its tries."""

    __slots__ = ("_span", "_tracer")

    def __init__(
        self, tracer: Tracer, sending: Sending, shell: Shell, slots: Slots, events: Sequence[Envelope], attempt: int
    ) -> None:
        super().__init__(sending, shell, slots, events, attempt)
        self._tracer = tracer
        self._span: Span | None = None

    def _start(self, more: Mapping[str, str]) -> None:
        span = self._span = self._tracer.begin(self._events, self._attempt, self._tries, self._request)
        if span is not None:
            self.trace_id = span.trace_id
            more = {**more, **span.headers}
        super()._start(more)

    def _answered(self, answer: Answer) -> None:
        span = self._span
        if span is not None:
            span.answered(answer)
        super()._answered(answer)
        if span is not None:
            span.end()  # of one that is tried again in a moment, or that a fault has hit

    def _learn(self, outcomes: Sequence[Outcome | None]) -> None:
        if self._span is not None:
            self._span.learned(outcomes)
        super()._learn(outcomes)

    def _leave(self) -> None:
        super()._leave()
        if self._span is not None:
            self._span.end()
