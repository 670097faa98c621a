"""A source at one broker and the delay line at the other: both ways, over real brokers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic
from pamqp.common import FieldTable

from bridge.app import App
from bridge.devserver import DevServer, DevServerSettings
from bridge.devserver.faults import Fault, Match
from bridge.rabbitmq import topology
from bridge.settings.tree import Settings
from devtools.kafka import KafkaNode
from devtools.kafka_lab import Lab
from tests.integration.rabbitmq.lab import Lab as RabbitLab
from tests.integration.rabbitmq.lab import lab as rabbit

LIMIT = 60.0  # seconds until a test gives up waiting
DELAY = 5_000  # ms; beyond what waits in the process
PAIRS = [("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), ("seen", b"1"), ("seen", b"\xff")]

pytestmark = [pytest.mark.usefixtures("_grown_up_queues")]


@pytest.fixture
def _grown_up_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topology, "NEWBORN", 0.0)  # nobody kills these brokers


@asynccontextmanager
async def running(folder: Path, route: Mapping[str, Any]) -> AsyncIterator[DevServer]:
    """Run a process with this route to an event API that holds no delays itself."""
    async with DevServer(DevServerSettings(port=0)) as server:
        target = {"type": "webhook", "url": f"{server.url}/webhook/sink", "headers": {"webhook-id": "{{id}}"}}
        own = {"store": {"type": "sqlite", "path": str(folder / "keys.db")}, "admin": {"enabled": False}}
        app = App(Settings.model_validate({"target": target, **own, **route}))
        stop = asyncio.Event()
        task = asyncio.create_task(app.run(stop))
        try:
            yield server
            assert not task.done()
        finally:
            stop.set()
            await asyncio.wait_for(task, LIMIT)
    assert app.routes["default"].tally.law_holds()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110  what the process does has no event to wait for
            await asyncio.sleep(0.02)


def events() -> tuple[dict[str, bytes], int]:
    """Two events by id that are due in some seconds, and when; the second can never pass."""
    due = time.time_ns() // 1_000_000 + DELAY
    ids = ("good", "bad")
    return {one: json.dumps({"id": one, "name": "user.created", "data": {}, "ts": due}).encode() for one in ids}, due


def arrivals(server: DevServer) -> dict[str, list[float]]:
    return {record.id: record.arrivals for record in server.book.events.values()}


async def assert_delivered(server: DevServer, due: int) -> None:
    """The good one came once, not early; the bad one never will."""
    await until(lambda: "good" in arrivals(server))
    [at] = arrivals(server)["good"]
    assert due <= at < due + 10_000


async def buried(outside: RabbitLab) -> list[DeliveredMessage]:
    """The dead letters of RabbitMQ, once there are any."""
    found: list[DeliveredMessage] = []

    async def take(letter: DeliveredMessage) -> None:
        found.append(letter)

    await outside.channel.basic_consume("bridge.dead.v1", take)
    await until(lambda: found)
    return found


@pytest.mark.rabbitmq
async def test_events_of_kafka_wait_at_rabbitmq_and_lose_nothing_by_it(
    newest_kafka: KafkaNode, amqp_url: str, unique: str, tmp_path: Path
) -> None:
    bodies, due = events()
    source = {"type": "kafka", "bootstrap_servers": newest_kafka.bootstrap, "topics": unique, "group_id": unique}
    letters = {"namespace": unique}
    async with Lab(newest_kafka.bootstrap) as lab:
        await lab.create_topic(unique, 2)
        delay = {"type": "rabbitmq", "url": amqp_url}
        async with running(tmp_path, {"source": source, "delay": delay, "dead_letters": letters}) as server:
            server.add_fault(Fault(match=Match(id="bad"), poison="no such user"))
            await lab.produce(unique, list(bodies.values()), keys=[b"k1", b"k\xff"], headers=PAIRS)
            await assert_delivered(server, due)
            async with asyncio.timeout(LIMIT):
                while not (found := await lab.records(f"{unique}.dead.v1")):  # noqa: ASYNC110  the broker is asked
                    await asyncio.sleep(0.1)
        [letter] = found
        assert (letter.key, letter.value) == (b"k\xff", bodies["bad"])
        assert [pair for pair in letter.headers if not pair[0].startswith("x-bridge-")] == PAIRS


@pytest.mark.rabbitmq
async def test_events_of_rabbitmq_wait_at_kafka_and_lose_nothing_by_it(
    newest_kafka: KafkaNode, amqp_url: str, unique: str, tmp_path: Path
) -> None:
    bodies, due = events()
    delay = {"type": "kafka", "bootstrap_servers": newest_kafka.bootstrap, "namespace": unique}
    async with rabbit(amqp_url) as outside:
        await outside.declare("events")
        source = {"type": "rabbitmq", "url": amqp_url, "queue": "events"}
        async with running(tmp_path, {"source": source, "delay": delay}) as server:
            server.add_fault(Fault(match=Match(id="bad"), poison="no such user"))
            headers: FieldTable = {"traceparent": PAIRS[0][1].decode(), "nested": {"list": [1, True, {"deep": 2**40}]}}
            for body in bodies.values():
                await outside.publish("events", body, Basic.Properties(headers=headers, correlation_id="c-1"))
            await assert_delivered(server, due)
            [letter] = await buried(outside)
        assert letter.body == bodies["bad"]
        properties = letter.header.properties
        assert {name: (properties.headers or {})[name] for name in headers} == headers
        assert properties.correlation_id == "c-1"
