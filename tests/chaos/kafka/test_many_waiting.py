"""What a hundred thousand events that wait cost a bridge: no memory, no time to start, no punctuality."""

from __future__ import annotations

import asyncio
import os
import random
import time
from dataclasses import dataclass

import pytest

from bridge.delays.kafka import KafkaDelaySettings
from bridge.model import Delivery, Hold, Ticket
from tests.chaos.kafka.road import KafkaRoad, as_bytes, event
from tests.chaos.test_delivery import bound, now_ms

SOME, MANY = 20_000, 100_000
AT_ONCE = 1_000  # so few that all partitions get of all: each takes its turn of 100 ms
MEGABYTE = 1 << 20
READ_AHEAD = 25 * MEGABYTE  # what those who wait may cost: the next few of each partition of two levels
GROWTH = 5 * MEGABYTE  # what five times as many may cost more, which is the noise of two measurements
SOON = 5_000  # ms


@dataclass(frozen=True)
class Life:
    """One start of a bridge, and one event that it was given."""

    ready: float  # seconds until it consumed
    rss: int  # bytes
    late: float  # ms

    def __str__(self) -> str:
        return f"ready after {self.ready:.2f} s, RSS {self.rss / MEGABYTE:.1f} MiB, late by {self.late:.1f} ms"


async def live(made: KafkaRoad, event_id: str) -> Life:
    """Start the bridge, let it pass one event that is due in a few seconds, and stop it."""
    began = time.monotonic()
    await made.bridge.start()
    ready = time.monotonic() - began
    due = now_ms() + SOON
    await made.publish([event(event_id, ts=due)])
    await made.until_arrived([event_id])
    await asyncio.sleep(max(0.0, began + ready + 10 - time.monotonic()))  # what it reads ahead, it has by now
    rss = made.bridge.rss()
    assert await made.bridge.stop() == 0
    [record] = [record for record in made.api.book.events.values() if record.id == event_id]
    return Life(ready, rss, record.arrivals[0] - due)


def held(number: int, due_at: int) -> Hold:
    """What the pipeline holds for an event of about 500 bytes."""
    body = as_bytes(event(f"w{number}", ts=due_at, user={"note": "x" * 400}))
    ticket = Ticket(
        route="default",
        id=f"w{number}",
        due_at=due_at,
        attempt=1,
        first_seen=now_ms(),
        reason="delay",
        event_due=due_at,
    )
    return Hold(Delivery(body=body, key=b"%d" % number), body, ticket)


async def fill(settings: KafkaDelaySettings, count: int) -> None:
    """Hold what is due within the hour. What comes due first does so when the test is over."""
    line = settings.build("default")
    await line.open()
    line.due.stop()  # the bridge is the one that reads
    try:
        for start in range(0, count, AT_ONCE):
            now = now_ms()
            items = [held(number, now + random.randint(300_000, 3_600_000)) for number in range(start, start + AT_ONCE)]
            assert await line.hold(items) == [None] * AT_ONCE
    finally:
        await line.close()


@pytest.mark.timeout(420)
async def test_a_hundred_thousand_events_that_wait_cost_neither_memory_nor_time(quiet_road: KafkaRoad) -> None:
    settings = KafkaDelaySettings.model_validate(
        {"type": "kafka", "bootstrap_servers": quiet_road.bootstrap, "namespace": quiet_road.topic}
    )
    await live(quiet_road, "first")  # creates the topics

    empty = await live(quiet_road, "alone")
    await fill(settings, SOME)
    few = await live(quiet_road, "among-some")
    began = time.monotonic()
    await fill(settings, MANY - SOME)
    filling = time.monotonic() - began
    waiting = sum((await quiet_road.depths()).values())
    full = await live(quiet_road, "among-many")

    figures = [f"{count:7,} wait: {life}" for count, life in ((0, empty), (SOME, few), (waiting, full))]
    figures.append(f"{MANY - SOME:,} were held in {filling:.1f} s; load {os.getloadavg()[0]:.1f}")
    print("\n" + "\n".join(figures))  # noqa: T201  pytest -s shows what bench/README.md says
    assert waiting == MANY
    assert full.rss - empty.rss < READ_AHEAD
    assert full.rss - few.rss < GROWTH, "memory grows with how many wait"
    assert full.ready < 3 * max(empty.ready, few.ready) + 1  # as quick, as far as a busy machine can tell
    assert 0 <= full.late < bound()
