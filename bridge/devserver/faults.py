"""Faults on demand: what to break, for whom, how often. Pure; the shell in `app` acts on what is picked here."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from random import Random
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from bridge.devserver.wire import BadJson, Call, parse
from bridge.units import Duration

_FROZEN = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
_EACH_KEPT = 100_000

Named = tuple[str, str | None]
"""Name and id of one event in a request; the id is None where the publisher gave none."""


class Match(BaseModel):
    """Whom a fault hits. Everything given must match; `*` and `?` are wildcards. Nothing given: every request."""

    model_config = _FROZEN

    api: str | None = Field(default=None, description="trigger-v1, trigger-v2, tasks, inngest, zopio, webhook, ...")
    name: str | None = Field(default=None, description="An event name; a request matches when one of its events does.")
    id: str | None = Field(default=None, description="An event id, likewise.")
    path: str | None = Field(default=None, description="The path of the request.")
    method: str | None = Field(default=None, description="The HTTP method.")


class Fault(BaseModel):
    """One fault. `stored` says whether the event is taken in nevertheless, which makes a failure ambiguous."""

    model_config = _FROZEN

    match: Match = Field(default_factory=Match, description="Whom it hits.")
    status: Annotated[int, Field(ge=200, le=599)] | None = Field(default=None, description="Answer with this status.")
    body: JsonValue = Field(default=None, description="Body of that answer; default: what this API says then.")
    headers: dict[str, str] = Field(default_factory=dict, description="More headers of the answer.")
    retry_after: Duration | None = Field(default=None, ge=0, description="Send Retry-After with these seconds.")
    retry_after_date: bool = Field(default=False, description="Write Retry-After as an HTTP date.")
    ratelimit_reset: Duration | None = Field(
        default=None, ge=0, description="Send x-ratelimit-limit, -remaining and -reset (epoch ms), so far ahead."
    )
    latency_ms: float = Field(default=0, ge=0, le=3_600_000, description="Wait so long before the answer.")
    jitter_ms: float = Field(default=0, ge=0, le=3_600_000, description="Wait up to so much longer, at random.")
    reset: bool = Field(default=False, description="Reset the connection (TCP RST) in place of an answer.")
    hang: bool = Field(default=False, description="Never answer; the connection stays open.")
    drip_ms: float = Field(default=0, ge=0, le=60_000, description="Send the body a byte at a time, so far apart.")
    cut: int | None = Field(default=None, ge=0, description="Reset the connection after so many bytes of the body.")
    poison: str | None = Field(
        default=None, description="Refuse just the matching events, for this reason, the way the API refuses one."
    )
    stored: bool | None = Field(
        default=None, description="Take the events in; default: yes if the API's own answer is given, else no."
    )
    times: int | None = Field(default=None, ge=1, description="Hit so many requests, then no more.")
    each: int | None = Field(default=None, ge=1, description="Hit each event id so many times, then let it pass.")
    rate: float = Field(default=1.0, gt=0, le=1, description="Hit this share of the matching requests, at random.")
    after: int = Field(default=0, ge=0, description="Let so many matching requests pass first.")
    above: int | None = Field(
        default=None, ge=0, description="Hit only while more than so many requests are under way, this one included."
    )
    lasts: Duration | None = Field(default=None, gt=0, description="End so many seconds after it was added.")

    @model_validator(mode="after")
    def _breaks_something(self) -> Self:
        answers = self.status is not None or self.reset or self.hang or self.poison is not None
        slows = self.latency_ms or self.jitter_ms or self.drip_ms or self.cut is not None
        if not answers and not slows:
            raise ValueError("this fault does nothing: give status, reset, hang, poison, latency_ms, drip_ms or cut")
        if self.body is not None and self.status is None:
            raise ValueError("a body belongs to an answer of its own: give its status")
        return self

    @property
    def takes_in(self) -> bool:
        """Whether the API's dialect sees the request at all."""
        return self.stored if self.stored is not None else self.status is None and not self.reset and not self.hang


@dataclass(slots=True)
class ActiveFault:
    """A fault at work, with its counters. `added` is epoch ms."""

    id: str
    fault: Fault
    added: float
    seen: int = 0
    hits: int = 0
    each: OrderedDict[str, int] = field(default_factory=OrderedDict)

    def state(self, now: float) -> Literal["active", "spent", "over"]:
        """Say whether it can still hit something."""
        if self.fault.lasts is not None and now >= self.added + self.fault.lasts * 1000:
            return "over"
        return "spent" if self.fault.times is not None and self.hits >= self.fault.times else "active"

    def strikes(self, ids: Sequence[str], now: float, random: Random) -> bool:
        """Count one matching request and decide. `ids` are those of its events that match."""
        if self.state(now) != "active":
            return False
        self.seen += 1
        if self.seen <= self.fault.after or (self.fault.rate < 1 and random.random() >= self.fault.rate):
            return False
        if self.fault.each is not None and not self._strikes_each(ids, self.fault.each):
            return False
        self.hits += 1
        return True

    def _strikes_each(self, ids: Sequence[str], limit: int) -> bool:
        fresh = [name for name in ids if self.each.get(name, 0) < limit]
        for name in fresh:
            self.each[name] = self.each.get(name, 0) + 1
        while len(self.each) > _EACH_KEPT:
            self.each.popitem(last=False)
        return bool(fresh)


class Faults:
    """All faults at work, in the order they were added; the first that strikes wins."""

    def __init__(self, seed: int | None = None) -> None:
        self.random = Random(seed)  # noqa: S311  a die for test faults, no secret
        self._active: dict[str, ActiveFault] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._active)

    def add(self, fault: Fault, now: float) -> ActiveFault:
        """Put a fault to work from now on."""
        self._next += 1
        active = ActiveFault(id=f"f{self._next}", fault=fault, added=now)
        self._active[active.id] = active
        return active

    def remove(self, fault_id: str) -> bool:
        """Take one away; False when there is none of this id."""
        return self._active.pop(fault_id, None) is not None

    def clear(self) -> None:
        self._active.clear()

    def all(self) -> list[ActiveFault]:
        return list(self._active.values())

    def pick(self, call: Call, names: Sequence[Named]) -> ActiveFault | None:
        """Return the first fault that strikes this request as a whole."""
        for active in self._active.values():
            if active.fault.poison is None and _concerns(active.fault, call):
                ids = _ids(active.fault.match, names)
                if ids is not None and active.strikes(ids, call.now, self.random):
                    return active
        return None

    def poison(self, call: Call, name: str, event_id: str | None) -> str | None:
        """Return why this one event is refused, or None."""
        for active in self._active.values():
            if active.fault.poison is not None and _concerns(active.fault, call):
                ids = _ids(active.fault.match, [(name, event_id)])
                if ids is not None and active.strikes(ids, call.now, self.random):
                    return active.fault.poison
        return None


def parse_fault(text: str) -> Fault:
    """
    Read `status=503,rate=0.2,name=user.*`: fields of a fault and of its match, values as JSON or as text.

    A text that starts with a brace is the JSON of a whole fault. Raises ValueError.
    """
    if text.lstrip().startswith("{"):
        return Fault.model_validate_json(text)
    fields: dict[str, object] = {}
    match: dict[str, object] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = part.partition("=")
        if name in Match.model_fields:
            match[name] = value
        else:
            fields[name] = _value(value) if equals else True
    return Fault.model_validate({**fields, "match": match})


def _value(text: str) -> object:
    try:
        return parse(text.encode())
    except BadJson:
        return text


def _concerns(fault: Fault, call: Call) -> bool:
    match = fault.match
    return (
        (match.api is None or fnmatchcase(call.api, match.api))
        and (match.path is None or fnmatchcase(call.path, match.path))
        and (match.method is None or match.method.upper() == call.method)
        and (fault.above is None or call.under_way > fault.above)
    )


def _ids(match: Match, names: Sequence[Named]) -> list[str] | None:
    hit = [
        event_id or name
        for name, event_id in names
        if (match.name is None or fnmatchcase(name, match.name))
        and (match.id is None or fnmatchcase(event_id or "", match.id))
    ]
    wanted = match.name is not None or match.id is not None
    return hit if hit or not wanted else None
