"""What the devserver remembers: events, requests, counters. Plain values."""

from __future__ import annotations

from dataclasses import dataclass, field

TEXT_KEPT = 500  # characters of a name, id or header in the request log


@dataclass(slots=True, frozen=True)
class Arrival:
    """
    One event as it came in.

    `due` is epoch ms. With `run_key`, only the first of that key in 24 hours runs, whatever the record. `scope` is
    what the API calls an environment or a source. `ref` is the API's own id for this arrival.
    """

    api: str
    id: str
    name: str
    payload: object
    due: float | None = None
    scope: str = ""
    run_key: str | None = None
    ref: str | None = None
    details: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class EventRecord:
    """One event: all sends of one id to one API. Times are epoch ms with fractions."""

    key: str
    api: str
    id: str
    name: str
    payload: bytes  # JSON
    first_seen: float
    last_seen: float
    due: float
    deliveries: int = 1  # how often it was accepted
    duplicates: int = 0  # of these, how often the id was known already
    conflicts: int = 0  # of these, how often with another name or payload
    runs: int = 0  # what the real server would have started by now
    will_run: bool = True
    cancelled_at: float | None = None
    delivered_at: float | None = None
    refs: list[str] = field(default_factory=list)  # the API's own ids for it
    arrivals: list[float] = field(default_factory=list)
    details: dict[str, object] = field(default_factory=dict)
    weight: int = 0  # bytes it takes of the book's memory, roughly
    rev: int = 0

    @property
    def state(self) -> str:
        """One of scheduled, delivered, cancelled."""
        if self.delivered_at is not None:
            return "delivered"
        return "scheduled" if self.cancelled_at is None else "cancelled"


@dataclass(slots=True, kw_only=True)
class RequestRecord:
    """One request and its answer. `status` 0 means that no answer was given; `error` says why."""

    seq: int = 0
    at: float  # epoch ms
    monotonic: float  # seconds
    method: str
    path: str
    api: str = "unknown"
    status: int = 0
    duration_ms: float = 0.0
    size: int = 0
    attempt: str | None = None
    ids: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    events: int = 0
    fault: str | None = None
    stored: bool = False  # whether an event was taken in, whatever the client was told
    error: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    answer: str = ""
    rev: int = 0

    @property
    def ok(self) -> bool:
        """Whether the client was told that it succeeded."""
        return 200 <= self.status < 300  # noqa: PLR2004  the range is the name


@dataclass(slots=True)
class Tally:
    """Counters since the start or the last reset; nothing that falls out of the rings is subtracted."""

    requests: int = 0
    succeeded: int = 0
    failed: int = 0
    faulted: int = 0
    events: int = 0
    deliveries: int = 0
    duplicates: int = 0
    conflicts: int = 0
