"""Events that are followed from their publisher through the bridge to the target and to a collector, on any broker."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.fakes.collector import Collector
from tests.fakes.hostile import HostileServer, Received, plain
from tests.integration.commands import Start, done, lines_until

CLIENT = 3  # the kind of a span, by the protocol
Publish = Callable[[Any, str], Awaitable[None]]
"""Publish a body with this traceparent."""


class Inngest(HostileServer):
    """Takes all events, but those of the first request for `again`."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.refused = 0

    async def _answer(self, received: Received, writer: asyncio.StreamWriter) -> None:
        ids = ids_of(received)
        if ids == ["again"] and not self.refused:
            self.refused += 1
            await plain(500)(received, writer)
            return
        await plain(200, json.dumps({"ids": ids, "status": 200}).encode())(received, writer)


@dataclass
class Stage:
    """Who takes part: the bridge, its target, the collector."""

    start: Start
    target: Inngest
    collector: Collector

    @property
    def environment(self) -> dict[str, str]:
        return {
            "BRIDGE_TARGET__URL": self.target.url,
            "BRIDGE_TRACING__ENABLED": "true",
            "BRIDGE_TRACING__ENDPOINT": self.collector.url,
            "BRIDGE_TRACING__NAME": "followed",
            "BRIDGE_RETRY__BASE": "100ms",
            "BRIDGE_TIMING__HOLD_WINDOW": "0s",  # what waits does so in the broker
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }


@asynccontextmanager
async def stage(start: Start) -> AsyncIterator[Stage]:
    async with Inngest() as target, Collector() as collector:
        yield Stage(start, target, collector)


async def follow(stage: Stage, publish: Publish, **environment: str) -> None:
    """One event at once, one that fails once, one that is due later, and an array of two."""
    daemon = await stage.start("run", **stage.environment, **environment)
    await lines_until(daemon, "started")
    collector = stage.collector  # one after the other, so that no two of them share a request
    await publish(event("plain"), parent(1))
    await collector.until(1)
    await publish(event("again"), parent(2))
    await collector.until(3)
    await publish(event("later", ts=round(time.time() * 1000) + 2_500), parent(3))
    await collector.until(4)
    await publish([event("one"), event("two")], parent(4))
    await collector.until(5)
    daemon.send_signal(signal.SIGTERM)
    assert (await done(daemon)).code == 0
    look_at(stage)


def look_at(stage: Stage) -> None:
    spans = stage.collector.spans
    assert len(spans) == 5
    assert {span.resource["service.name"] for span in spans} == {"followed"}
    assert {span.kind for span in spans} == {CLIENT}
    for number, event_id, attempts in ((1, "plain", [1]), (2, "again", [1, 2]), (3, "later", [1])):
        found = [span for span in spans if span.attributes.get("messaging.message.id") == event_id]
        assert [span.attributes["bridge.attempt"] for span in found] == attempts
        assert {(span.trace_id, span.parent_id) for span in found} == {(f"{number:032x}", f"{number:016x}")}
        assert told(stage.target, [event_id]) == [span.traceparent for span in found]
        assert [span.failed for span in found] == [attempt < len(attempts) for attempt in attempts]
    (batch,) = [span for span in spans if span.attributes.get("messaging.batch.message_count") == 2]
    assert batch.links == ((f"{4:032x}", f"{4:016x}"),)
    assert batch.parent_id == ""
    assert told(stage.target, ["one", "two"]) == [batch.traceparent]


def told(target: HostileServer, ids: list[str]) -> list[str]:
    """What the target was told about the trace of these events, request by request."""
    return [request.headers["traceparent"] for request in target.requests if ids_of(request) == ids]


def ids_of(request: Received) -> list[str]:
    return [each["id"] for each in json.loads(request.body)]


def event(event_id: str, **more: Any) -> dict[str, Any]:
    return {"id": event_id, "name": "order.paid", "data": {"n": 1}, **more}


def parent(number: int) -> str:
    return f"00-{number:032x}-{number:016x}-01"
