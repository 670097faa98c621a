"""
The spans of one target: a CLIENT span for each request.

Names are those of OpenTelemetry's semantic conventions 1.44: "Send span (client)" of the messaging conventions, with
what the HTTP conventions add about a client's request. `url.full` is left out: paths may hold keys.

A span about one event is a child of the publisher's; without such, all attempts of an event share a trace whose id
follows from that of the event. A span about several events begins a trace of its own, with links to theirs.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final
from urllib.parse import urlsplit

from bridge.model import Envelope, Misconfigured, Outcome, Request, Response
from bridge.targets.client import Answer
from bridge.targets.failures import BROKEN_OFF, CLOSED, HUNG_UP, NO_ANSWER, NO_HTTP, Failure
from bridge.tracing.context import SAMPLED, Context, Sampler, context_of, contexts_of

MOST_LINKS: Final = 128  # the limit that the specification of OpenTelemetry sets by default
ERROR: Final = 400  # the least status that is an error to a client
_WITHOUT_ANSWER: Final = {
    NO_ANSWER: "timeout",
    NO_HTTP: "no_http",
    BROKEN_OFF: "broken_off",
    HUNG_UP: "hung_up",
    CLOSED: "closed",
}

Value = str | int


@dataclass(slots=True, frozen=True, kw_only=True)
class Record:
    """A span that has ended. Times are epoch nanoseconds."""

    name: str
    context: Context
    parent: Context | None
    links: Sequence[Context]
    began: int
    ended: int
    attributes: Mapping[str, Value]
    failed: bool


@dataclass(slots=True, eq=False)
class RequestSpan:
    """A span that is recorded; `put` takes the record at its end."""

    name: str
    context: Context
    parent: Context | None
    links: Sequence[Context]
    attributes: dict[str, Value]
    put: Callable[[Record], None]
    headers: Mapping[str, str]
    began: int = field(default_factory=time.time_ns)
    error: str | None = "cancelled"  # until it is known better
    over: bool = False

    @property
    def trace_id(self) -> str | None:
        return self.context.trace_id

    def answered(self, answer: Answer) -> None:
        if isinstance(answer, Response):
            self.attributes["http.response.status_code"] = answer.status
            self.error = str(answer.status) if answer.status >= ERROR else None
        else:
            self.error = _word_of(answer)

    def learned(self, outcomes: Sequence[Outcome | None]) -> None:
        if self.over:
            return
        kinds = {"split" if outcome is None else type(outcome).__name__.lower() for outcome in outcomes}
        what = kinds.pop() if len(kinds) == 1 else "mixed"
        self.attributes["bridge.outcome"] = what
        if what != "accepted" and self.error is None:
            self.error = what

    def end(self) -> None:
        if self.over:
            return
        self.over = True
        if self.error is not None:
            self.attributes["error.type"] = self.error
        self.put(
            Record(
                name=self.name,
                context=self.context,
                parent=self.parent,
                links=self.links,
                began=self.began,
                ended=time.time_ns(),
                attributes=self.attributes,
                failed=self.error is not None,
            )
        )


@dataclass(slots=True)
class Unrecorded:
    """A span that nobody will see; those behind the target are told so."""

    headers: Mapping[str, str]
    trace_id: str | None = None

    def answered(self, answer: Answer) -> None:
        """Nobody wants to know; nor of the rest."""

    def learned(self, outcomes: Sequence[Outcome | None]) -> None:
        """As above."""

    def end(self) -> None:
        """As above."""


class RequestTracer:
    """A `bridge.targets.traced.Tracer`. `api` is what the target speaks, `origin` where it is."""

    def __init__(
        self,
        put: Callable[[Record], None],
        sampler: Sampler,
        *,
        route: str,
        api: str,
        origin: str,
        propagate: bool,
    ) -> None:
        self._put = put
        self._sampler = sampler
        self._route = route.encode()
        self._propagate = propagate
        parts = urlsplit(origin)
        self._name = f"send {parts.netloc}"
        self._common: dict[str, Value] = {
            "messaging.system": api,
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": parts.netloc,
            "server.address": parts.hostname or "",
            "server.port": parts.port or 0,
            "url.scheme": parts.scheme,
            "bridge.route": route,
        }

    def begin(
        self, events: Sequence[Envelope], attempt: int, tries: int, request: Request
    ) -> RequestSpan | Unrecorded | None:
        if len(events) > 1:
            return self._of_many(events, tries, request)
        (event,) = events
        parent = context_of(event.trace)
        trace_id = self._trace_id(event) if parent is None else parent.trace_id
        if not self._sampler.takes(trace_id, () if parent is None else (parent,)):
            return self._unrecorded(trace_id) if parent is None or parent.sampled else None
        context = _child(trace_id, parent)
        more: dict[str, Value] = {"messaging.message.id": event.id, "bridge.event": event.name}
        return self._span(context, parent, (), tries, request, {**more, "bridge.attempt": attempt})

    def _of_many(self, events: Sequence[Envelope], tries: int, request: Request) -> RequestSpan | Unrecorded:
        known = contexts_of(events)
        context = _child(f"{random.getrandbits(128) or 1:032x}", None)
        if not self._sampler.takes(context.trace_id, known):
            return self._unrecorded(context.trace_id)
        more: dict[str, Value] = {"messaging.batch.message_count": len(events)}
        if len(known) > MOST_LINKS:
            more["bridge.links_left_out"] = len(known) - MOST_LINKS
        return self._span(context, None, known[:MOST_LINKS], tries, request, more)

    def _span(
        self,
        context: Context,
        parent: Context | None,
        links: Sequence[Context],
        tries: int,
        request: Request,
        more: Mapping[str, Value],
    ) -> RequestSpan:
        attributes = {
            **self._common,
            "http.request.method": request.method,
            "http.request.body.size": len(request.body),
            **more,
        }
        if tries > 1:
            attributes["http.request.resend_count"] = tries - 1
        headers = context.headers() if self._propagate else {}
        return RequestSpan(self._name, context, parent, links, attributes, self._put, headers)

    def _unrecorded(self, trace_id: str) -> Unrecorded:
        return Unrecorded(Context(trace_id, _span_id(), 0).headers() if self._propagate else {})

    def _trace_id(self, event: Envelope) -> str:
        """Make the id of a trace for an event whose publisher began none: the same for each of its attempts."""
        digest = blake2b(self._route, digest_size=16)
        digest.update(f"\0{event.source or ''}\0{event.id}".encode("utf-8", "replace"))
        return digest.hexdigest()


def _child(trace_id: str, parent: Context | None) -> Context:
    """Begin a recorded span; what the parent says about its trace holds for it too."""
    if parent is None:
        return Context(trace_id, _span_id())
    return Context(trace_id, _span_id(), parent.flags | SAMPLED, parent.state)


def _span_id() -> str:
    return f"{random.getrandbits(64) or 1:016x}"


def _word_of(failure: Failure) -> str:
    """Name what kept an answer away, in words of a closed set."""
    if (word := _WITHOUT_ANSWER.get(failure)) is not None:
        return word
    return "untrusted" if isinstance(failure.outcome, Misconfigured) else "not_connected"
