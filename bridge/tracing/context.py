"""The trace contexts of events, taken apart, and whether what follows from them is recorded. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from bridge.model import Envelope

SAMPLED: Final = 1
_KEPT_FLAGS: Final = 3  # sampled, and random-trace-id of level 2: a child says the same about an id it did not make
_HALF: Final = 1 << 64


class Context(NamedTuple):
    """A span somewhere: ids as hex digits."""

    trace_id: str
    span_id: str
    flags: int = SAMPLED
    state: str | None = None  # `tracestate`, as it is passed on

    @property
    def sampled(self) -> bool:
        return bool(self.flags & SAMPLED)

    def headers(self) -> Mapping[str, str]:
        """Give the headers of a request that is made in this span."""
        parent = f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"
        return {"traceparent": parent} if self.state is None else {"traceparent": parent, "tracestate": self.state}


def context_of(trace: Mapping[str, str]) -> Context | None:
    """Take apart what `bridge.formats.trace` has let through."""
    parent = trace.get("traceparent")
    if parent is None:
        return None
    return Context(parent[3:35], parent[36:52], int(parent[53:55], 16) & _KEPT_FLAGS, trace.get("tracestate"))


def contexts_of(events: Iterable[Envelope]) -> list[Context]:
    """Give each context once, in order, those that are recorded elsewhere first."""
    distinct = {trace["traceparent"]: trace for event in events if (trace := event.trace)}
    found = [context for trace in distinct.values() if (context := context_of(trace)) is not None]
    return sorted(found, key=lambda context: not context.sampled)


@dataclass(slots=True, frozen=True)
class Sampler:
    """
    Decides as the samplers of OpenTelemetry do: `ratio` of the traces by the lower half of their id.

    One that `follows` does as the publisher did, where that is known; of a batch, as any of them did.
    """

    ratio: float = 1.0
    follows: bool = True

    def takes(self, trace_id: str, known: Sequence[Context] = ()) -> bool:
        """Whether a span of this trace is recorded, `known` being its parent or what it links to."""
        if self.follows and known:
            return any(context.sampled for context in known)
        return int(trace_id[16:], 16) < round(self.ratio * _HALF)
