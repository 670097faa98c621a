"""The devserver's memory: every request and every event it saw, bounded, and what each event went through."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from itertools import islice
from typing import Protocol, TypeVar

from bridge.devserver.records import Arrival, EventRecord, RequestRecord, Tally
from bridge.devserver.wire import dump

DAY_MS = 86_400_000
_ARRIVALS_KEPT = 50
_RATE_SECONDS = 900


class _Revised(Protocol):
    rev: int


_R = TypeVar("_R", bound=_Revised)


class Book:
    """
    Pure bookkeeping; the clock is an argument.

    At most `max_events` records and `max_requests` requests are kept, and what events hold may take `max_bytes` in
    all; the ones untouched for longest go first, and with them the server's knowledge of their id.
    """

    def __init__(self, *, max_events: int = 10_000, max_requests: int = 10_000, max_bytes: int = 256 << 20) -> None:
        self._max_events, self._max_bytes = max_events, max_bytes
        self._max_requests = max_requests
        self.on_change: Callable[[], None] = lambda: None
        self.rev = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything, ids and counters included."""
        self.events: OrderedDict[str, EventRecord] = OrderedDict()
        self.requests: deque[RequestRecord] = deque(maxlen=self._max_requests)
        self.tallies: dict[str, Tally] = {}
        self.rate: OrderedDict[int, list[int]] = OrderedDict()
        self.waiting: set[str] = set()
        self.evicted = 0
        self.epoch = self._touch()  # a stream that began in an older epoch starts over
        self._runs: OrderedDict[str, float] = OrderedDict()
        self._due: list[tuple[float, str]] = []
        self._bytes = 0
        self._seq = 0
        self.on_change()

    def find(self, api: str, event_id: str, scope: str = "") -> EventRecord | None:
        return self.events.get(key_of(api, event_id, scope))

    def accept(self, arrival: Arrival, now: float) -> tuple[EventRecord, bool]:
        """Take one event in; the flag says that its id was known."""
        key, raw = key_of(arrival.api, arrival.id, arrival.scope), dump(arrival.payload)
        record = self.events.get(key)
        known = record is not None
        if record is None:
            record = self._insert(arrival, key, raw, now)
        else:
            self._repeat(record, arrival.name, raw, now)
        record.arrivals = [*record.arrivals[1 - _ARRIVALS_KEPT :], now]
        if arrival.ref is not None:
            record.refs = [*record.refs[1 - _ARRIVALS_KEPT :], arrival.ref]
        tally = self.tally(arrival.api)
        tally.deliveries += 1
        tally.events += not known
        tally.duplicates += known
        return record, known

    def reschedule(self, record: EventRecord, payload: object, due: float, now: float) -> None:
        """Replace what waits: Trigger.dev v2 does this with an id that is not yet due. No payload keeps the old one."""
        raw = record.payload if payload is None else dump(payload)
        self._bytes += len(raw) - len(record.payload)
        record.weight += len(raw) - len(record.payload)
        record.payload, record.due = raw, max(due, now)
        self._settle_due(record, now)
        self._changed(record)

    def run_again(self, record: EventRecord, details: dict[str, object], due: float, now: float) -> None:
        """Treat a known id as new: what made it a duplicate has expired."""
        record.duplicates -= 1
        self.tally(record.api).duplicates -= 1
        record.details, record.due = details, max(due, now)
        record.delivered_at = record.cancelled_at = None
        self._settle_due(record, now)
        self._changed(record)

    def cancel(self, record: EventRecord, now: float) -> None:
        """Cancel what waits; what was delivered stays delivered, though it is marked too."""
        if record.cancelled_at is None:
            record.cancelled_at = now
            self.waiting.discard(record.key)
            self._changed(record)

    def next_due(self) -> float | None:
        """When `ring` has something to do, in epoch ms."""
        return self._due[0][0] if self._due else None

    def ring(self, now: float) -> None:
        """Deliver everything that is due."""
        while self._due and self._due[0][0] <= now:
            due, key = heappop(self._due)
            record = self.events.get(key)
            if record is not None and record.state == "scheduled" and record.due == due:
                self._deliver(record, due)
                self._changed(record)

    def log(self, request: RequestRecord) -> None:
        """Write one request down."""
        self._seq += 1
        request.seq = self._seq
        tally = self.tally(request.api)
        tally.requests += 1
        tally.succeeded += request.ok
        tally.failed += not request.ok
        tally.faulted += request.fault is not None
        second = self.rate.setdefault(int((request.at + request.duration_ms) / 1000), [0, 0])
        second[not request.ok] += 1
        while len(self.rate) > _RATE_SECONDS:
            self.rate.popitem(last=False)
        request.rev = self._touch()
        self.requests.append(request)
        self.on_change()

    def tally(self, api: str) -> Tally:
        return self.tallies.setdefault(api, Tally())

    def events_since(self, rev: int, limit: int) -> list[EventRecord]:
        """Return the records changed after revision `rev`, latest first, at most `limit`."""
        return list(islice(_newer(reversed(self.events.values()), rev), limit))

    def requests_since(self, rev: int, limit: int) -> list[RequestRecord]:
        """Return the requests logged after revision `rev`, latest first, at most `limit`."""
        return list(islice(_newer(reversed(self.requests), rev), limit))

    def _insert(self, arrival: Arrival, key: str, raw: bytes, now: float) -> EventRecord:
        record = EventRecord(
            key=key,
            api=arrival.api,
            id=arrival.id,
            name=arrival.name,
            payload=raw,
            first_seen=now,
            last_seen=now,
            due=max(arrival.due or now, now),
            details=arrival.details,
            will_run=arrival.run_key is None or self._first_run(arrival.run_key, now),
        )
        self.events[key] = record
        record.weight = len(raw) + len(key) + len(record.name) + (len(dump(record.details)) if record.details else 0)
        self._bytes += record.weight
        self._settle_due(record, now)
        self._changed(record)
        self._evict()
        return record

    def _evict(self) -> None:
        while len(self.events) > self._max_events or (self._bytes > self._max_bytes and len(self.events) > 1):
            _, oldest = self.events.popitem(last=False)
            self._bytes -= oldest.weight
            self.waiting.discard(oldest.key)
            self.evicted += 1

    def _repeat(self, record: EventRecord, name: str, raw: bytes, now: float) -> None:
        record.deliveries += 1
        record.duplicates += 1
        if (name, raw) != (record.name, record.payload):
            record.conflicts += 1
            self.tally(record.api).conflicts += 1
        record.last_seen = now
        self._changed(record)

    def _settle_due(self, record: EventRecord, now: float) -> None:
        if record.due <= now:
            self._deliver(record, now)
        else:
            self.waiting.add(record.key)
            heappush(self._due, (record.due, record.key))

    def _deliver(self, record: EventRecord, at: float) -> None:
        record.delivered_at = at
        self.waiting.discard(record.key)
        record.runs += record.will_run

    def _first_run(self, run_key: str, now: float) -> bool:
        started = self._runs.get(run_key)
        if started is not None and now - started < DAY_MS:
            return False
        self._runs[run_key] = now
        self._runs.move_to_end(run_key)
        while len(self._runs) > self._max_events:
            self._runs.popitem(last=False)
        return True

    def _changed(self, record: EventRecord) -> None:
        record.rev = self._touch()
        self.events.move_to_end(record.key)
        self.on_change()

    def _touch(self) -> int:
        self.rev += 1
        return self.rev


def key_of(api: str, event_id: str, scope: str = "") -> str:
    """The record's key: one id of one API, within what that API calls an environment or a source."""
    return f"{api}\n{scope}\n{event_id}"


def _newer(records: Iterator[_R], rev: int) -> Iterator[_R]:
    for record in records:
        if record.rev <= rev:
            return
        yield record
