"""
Events that are cancelled, moved and replaced after they were published, on whatever broker the bridge reads.

What has to happen before an event is due is tried again with more time where the machine was too slow for it.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bridge.devserver import DevServer
from bridge.devserver.records import EventRecord
from tests.integration.commands import PATIENCE, Done, Start, done, lines_until, until

HOUR = 3_600_000
CONTROL = {"BRIDGE_CONTROL__ENABLED": "true", "BRIDGE_TIMING__HOLD_WINDOW": "500ms"}
TRIES = (5_000, 20_000, 60_000)  # ms until an event is due

Send = Callable[[dict[str, Any]], Awaitable[None]]
"""Publish a body to the source."""


def now() -> int:
    return time.time_ns() // 1_000_000


@dataclass
class Scene:
    """A bridge that takes control envelopes, the API it sends to, and a publisher."""

    start: Start
    api: DevServer
    send: Send
    folder: Path  # where its processes run
    environment: dict[str, str] = field(default_factory=dict)
    daemon: asyncio.subprocess.Process | None = None

    async def begin(self) -> None:
        self.daemon = await self.start("run", **CONTROL, **self.environment)
        await lines_until(self.daemon, "started")

    async def end(self) -> None:
        assert self.daemon is not None
        self.daemon.send_signal(signal.SIGTERM)
        assert (await done(self.daemon)).code == 0

    async def command(self, *arguments: str) -> Done:
        return await done(await self.start("delayed", *arguments, **CONTROL))

    async def schedule(self, event_id: str, due_at: int, n: int = 1) -> str:
        """Publish an event, and wait until it is on record. What is said of it then: "done", or "too_late"."""
        await self.send({"id": event_id, "name": "order.paid", "data": {"n": n}, "ts": due_at})
        async with asyncio.timeout(PATIENCE):
            while True:
                said = await self.order(op="reschedule", id=event_id, until=due_at)
                if said != "unknown":
                    return said

    async def order(self, **fields: Any) -> str:
        """Publish a control envelope, and wait for what it comes to."""
        assert self.daemon is not None
        await self.send(fields)
        while True:
            said = await lines_until(self.daemon, "control_obeyed")
            if (said["event_id"], said["op"]) == (fields["id"], fields["op"]):
                return str(said["result"])

    async def in_time(self, name: str, order: Callable[[str, int, int], dict[str, Any]]) -> tuple[str, int]:
        """Give an order about an event before it is due; the event's id, and when it was to be due."""
        for delay in TRIES:
            event_id, due_at = f"{name}-{delay}", now() + delay
            await self.schedule(event_id, due_at)
            if await self.order(**order(event_id, due_at, delay)) == "done":
                return event_id, due_at
        raise AssertionError(f"{name}: the machine is too slow for any of it")

    def record(self, event_id: str) -> EventRecord | None:
        return next((record for record in self.api.book.events.values() if record.id == event_id), None)

    async def arrived(self, event_id: str) -> EventRecord:
        await until(lambda: self.record(event_id))
        record = self.record(event_id)
        assert record is not None
        return record


def cancel(event_id: str, _due_at: int, _delay: int) -> dict[str, Any]:
    return {"op": "cancel", "id": event_id}


def put_off(event_id: str, due_at: int, delay: int) -> dict[str, Any]:
    return {"op": "reschedule", "id": event_id, "until": due_at + delay}


async def cancel_and_move(scene: Scene) -> None:
    """Cancelled: never sent. Moved: sent once, at the new time, over a restart. Brought forward: so too."""
    await scene.begin()
    cancelled, was_due = await scene.in_time("cancelled", cancel)
    moved, _ = await scene.in_time("moved", put_off)
    await scene.end()
    last = await move_once_more(scene, moved)
    await scene.begin()
    await scene.schedule("brought", now() + HOUR)
    soon = now() + 1_000
    event = {"name": "order.paid", "data": {"n": 2}}
    assert await scene.order(op="reschedule", id="brought", until=soon, event=event) == "done"
    brought = await scene.arrived("brought")
    assert brought.arrivals[0] >= soon
    assert b'"n":2' in brought.payload
    await pull(scene)
    assert (await scene.arrived(moved)).arrivals[0] >= last
    assert await scene.order(op="cancel", id=moved) == "too_late"
    assert await scene.order(op="cancel", id="nobody") == "unknown"
    await until(lambda: now() > was_due + 2_000)
    await scene.end()
    assert scene.record(cancelled) is None
    assert [record.deliveries for record in scene.api.book.events.values()] == [1, 1, 1]


async def move_once_more(scene: Scene, event_id: str) -> int:
    """Put off, by the command line, what a control envelope has put off already; the new time."""
    shown = await scene.command("show", event_id)
    assert shown.code == 0, shown
    assert f"{event_id} of the route default is scheduled for " in shown.out
    planned = datetime.fromisoformat(shown.out.split()[-1]).timestamp() * 1000
    last = round(max(planned, now()) + 3_000)
    text = datetime.fromtimestamp(last / 1000, UTC).isoformat()
    moved = await scene.command("move", event_id, "--until", text)
    assert moved.code == 0, moved
    assert "; it was scheduled for " in moved.out
    assert (await scene.command("cancel", "nobody")).code == 1
    return last


async def pull(scene: Scene) -> None:
    """Bring an event forward by the command line, while the bridge runs."""
    await scene.schedule("pulled", now() + HOUR)
    (scene.folder / "event.json").write_text('{"name": "order.paid", "data": {"n": 3}}')
    moved = await scene.command("move", "pulled", "--in", "1s", "--event", "event.json")
    assert moved.code == 0, moved
    assert "the order is published to " in moved.out
    assert b'"n":3' in (await scene.arrived("pulled")).payload


async def forget(scene: Scene) -> None:
    """A record that is lost costs a cancel, not an event."""
    await scene.begin()
    event_id, _ = await scene.in_time("lost", cancel)
    await scene.end()
    for file in scene.folder.glob("event-bridge.db*"):
        file.unlink()
    await scene.begin()
    assert (await scene.arrived(event_id)).deliveries == 1
    await scene.end()


async def replace(scene: Scene) -> None:
    """The last of two delayed copies wins."""
    scene.environment["BRIDGE_DEDUP__ON_CONFLICT_DELAY"] = "last"
    await scene.begin()
    await scene.schedule("o1", now() + HOUR, n=1)
    due_at = now() + 2_000
    await scene.send({"id": "o1", "name": "order.paid", "data": {"n": 2}, "ts": due_at})
    record = await scene.arrived("o1")
    assert record.arrivals[0] >= due_at
    assert b'"n":2' in record.payload
    await scene.end()
    assert record.deliveries == 1
