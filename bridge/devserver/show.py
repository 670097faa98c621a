"""Events, requests, faults and figures as the JSON that tests and the page read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, fields
from typing import Any

from bridge.devserver.dialects import APIS
from bridge.devserver.faults import ActiveFault
from bridge.devserver.records import EventRecord, RequestRecord, Tally
from bridge.devserver.wire import parse
from bridge.devserver.world import House

_PREVIEW = 160
_RATE_SHOWN = 300
_REQUEST_FIELDS = tuple(field.name for field in fields(RequestRecord) if field.name != "rev")


def show_event(event: EventRecord, *, whole: bool = True) -> dict[str, Any]:
    """Show a record; not `whole`: with the beginning of its payload only."""
    shown: dict[str, Any] = {
        "key": event.key,
        "api": event.api,
        "id": event.id,
        "name": event.name,
        "state": event.state,
        "first_seen": event.first_seen,
        "last_seen": event.last_seen,
        "due": event.due,
        "deliveries": event.deliveries,
        "duplicates": event.duplicates,
        "conflicts": event.conflicts,
        "runs": event.runs,
    }
    if not whole:
        return shown | {"preview": event.payload[:_PREVIEW].decode("utf-8", "replace")}
    times = {"delivered_at": event.delivered_at, "cancelled_at": event.cancelled_at, "arrivals": event.arrivals}
    return shown | times | {"refs": event.refs, "details": event.details, "payload": parse(event.payload)}


def show_request(entry: RequestRecord) -> dict[str, Any]:
    """Show a record with its plain fields, and whether the client was told of success."""
    return {name: getattr(entry, name) for name in _REQUEST_FIELDS} | {"ok": entry.ok}


def show_fault(active: ActiveFault, now: float) -> dict[str, Any]:
    """Show a fault with what it was asked to do and what it did."""
    asked = active.fault.model_dump(mode="json", exclude_defaults=True)
    counts = {"state": active.state(now), "seen": active.seen, "hits": active.hits, "added": active.added}
    return {"id": active.id, **counts, "fault": asked}


def show_faults(server: House) -> list[dict[str, Any]]:
    now = server.now()
    return [show_fault(active, now) for active in server.faults.all()]


def show_stats(server: House) -> dict[str, Any]:
    """Count everything since the start or the last reset; `rate` is by second, the latest 300 s."""
    book, now = server.book, server.now()
    second = int(now / 1000)
    rate = [[at, *counts] for at, counts in book.rate.items() if at > second - _RATE_SHOWN]
    total = _sum(book.tallies.values())
    return {
        "now": now,
        "uptime_ms": now - server.started_at,
        "total": asdict(total),
        "apis": {api: asdict(tally) for api, tally in book.tallies.items()},
        "known_apis": APIS,
        "scheduled": len(book.waiting),
        "kept": {"events": len(book.events), "requests": len(book.requests), "evicted": book.evicted},
        "in_flight": server.in_flight,
        "rate": rate,
    }


def _sum(tallies: Iterable[Tally]) -> Tally:
    total = Tally()
    for tally in tallies:
        for name, count in asdict(tally).items():
            setattr(total, name, getattr(total, name) + count)
    return total
