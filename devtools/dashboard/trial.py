"""
A real bridge with something to show: two brokers, a target, load and faults, and a Prometheus that looks on.

The route `orders` goes from RabbitMQ to a webhook, one event a request; `payments` from Kafka to Inngest, in arrays. In
the course of a trial the target fails now and then, is down for a while, refuses some events, and the sessions break.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aio_pika
from aio_pika.abc import AbstractConnection, AbstractExchange
from aiokafka import AIOKafkaProducer

from bridge.devserver import DevServer, DevServerSettings, Fault, Match
from devtools.dashboard.reading import substituted
from devtools.demo.beside import Bridge
from devtools.demo.road import until_ready
from devtools.kafka_lab import Lab, opened
from devtools.processes import launch
from devtools.prometheus import Prometheus, Series, target
from devtools.scratch import folder, free_port

JOB = "event-bridge"
RULES = Path(__file__).parents[2] / "deploy" / "prometheus"
PROGRAM = Path(sys.executable).with_name("event-bridge")
PARTITIONS = 3
LIMIT = 30.0  # seconds for a publish
TICK = 0.1  # seconds between publishes
SCRAPES = "5s"
"""Grafana's `$__rate_interval` for a Prometheus that scrapes every second: four scrapes, and one more to be sure."""


@dataclass(frozen=True, kw_only=True)
class Brokers:
    """What is consumed from; `name` is a name that nobody else uses there, for queues, topics and groups."""

    amqp_url: str
    bootstrap: str
    break_sessions: Callable[[], None]
    name: str


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A trial that is over: the Prometheus still answers."""

    prometheus: Prometheus
    began: float  # epoch seconds
    ended: float

    def ask(self, expr: str, *, step: float = 1) -> list[Series]:
        """Ask a query of the dashboard over the whole of the trial."""
        span = f"{math.ceil(self.ended - self.began)}s"
        expr = substituted(expr, rate_interval=SCRAPES, span=span)
        return self.prometheus.query_range(expr, start=self.began, end=self.ended, step=step)


@dataclass
class _Story:
    """Who publishes what at which moment of a trial, from 0 to 1; and what the target suffers."""

    seconds: float
    rate: float  # events a second at the peak
    sent: int = 0
    faults: list[str] = field(default_factory=list)

    def due(self, now: float) -> int:
        """How many events to publish in this tick."""
        wave = 0.65 + 0.35 * math.sin(2 * math.pi * (1.3 * now - 0.2))
        return round(self.rate * wave * TICK)

    def bodies(self, now: float) -> list[bytes]:
        return [body for _ in range(self.due(now)) for body in self._next()]

    def _next(self) -> list[bytes]:
        """One event; some are said twice, some are due later, some are no event, some will be refused."""
        self.sent += 1
        number = self.sent
        event: dict[str, Any] = {"id": f"e{number}", "name": "order.created", "data": {"number": number}}
        if number % 9 == 0:
            event["ts"] = int(time.time() * 1000) + 4000 + number % 5 * 1000
        if number % 61 == 0:
            event["name"] = "order.refused"
        body = json.dumps(event).encode()
        if number % 90 == 0:  # due later, and cancelled before
            return [body, json.dumps({"op": "cancel", "id": f"e{number}"}).encode()]
        if number % 97 == 0:
            return [body, b"not an event"]
        if number % 131 == 0:
            return [body, json.dumps(event | {"id": f"e{number - 50}", "data": {"number": -1}}).encode()]
        return [body, body] if number % 12 == 1 else [body]

    def strike(self, api: DevServer, now: float) -> None:
        """Let the target fail as it is due."""
        for name, begin, end, fault in FAULTS:
            if begin <= now < end and name not in self.faults:
                self.faults.append(name)
                api.add_fault(Fault(**fault, lasts=(end - begin) * self.seconds))


REFUSED = {"match": Match(name="order.refused"), "poison": "this order cannot be"}
SLOW = {"latency_ms": 5, "jitter_ms": 60}
SHAKY = {"status": 500, "rate": 0.3}
DOWN = {"status": 503}
FAULTS: tuple[tuple[str, float, float, dict[str, Any]], ...] = (
    ("refused", 0, 1, REFUSED),
    ("slow at first", 0, 0.3, SLOW),
    ("shaky", 0.3, 0.45, SHAKY),
    ("slow again", 0.45, 0.55, SLOW),
    ("down", 0.55, 0.7, DOWN),
    ("slow to the end", 0.7, 1, SLOW),
)
"""Name, from when to when, and what; the first that strikes a request wins."""

BREAK = 0.8  # when all sessions with RabbitMQ are cut


@asynccontextmanager
async def trial(brokers: Brokers, *, seconds: float, rate: float) -> AsyncIterator[Trial]:
    """Let events flow for so many seconds, at most `rate` of them a second on each route, and yield what was seen."""
    async with DevServer(DevServerSettings(port=0)) as api, _publishing(brokers) as publisher:
        settings = _settings(brokers, api)
        async with _bridge(settings) as bridge:
            address = bridge.admin_url.removeprefix("http://")
            rules = sorted(RULES.glob("*.rules.yml"))
            prometheus = Prometheus([target(JOB, address)], rules=rules)
            try:
                await asyncio.to_thread(prometheus.start)
                began = await _first_scrape(prometheus)
                await _play(_Story(seconds, rate), api, publisher)
                yield Trial(prometheus=prometheus, began=began, ended=time.time())
            finally:
                await asyncio.to_thread(prometheus.close)


async def _play(story: _Story, api: DevServer, publisher: _Publisher) -> None:
    begin, broken = time.monotonic(), False
    while (now := (time.monotonic() - begin) / story.seconds) < 1:
        story.strike(api, now)
        if now >= BREAK and not broken:
            broken = True
            await publisher.cut_the_others()
        await publisher.publish(story.bodies(now))
        await asyncio.sleep(TICK)


async def _first_scrape(prometheus: Prometheus) -> float:
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(prometheus.query, "bridge_deliveries_in_flight"):  # noqa: ASYNC110  as is
            await asyncio.sleep(0.1)
    return time.time()


@asynccontextmanager
async def _bridge(settings: dict[str, Any]) -> AsyncIterator[Bridge]:
    home = folder("dashboard")
    config, port = home / "event-bridge.json", free_port()
    settings = settings | {
        "store": {"type": "sqlite", "path": str(home / "keys.db")},
        "admin": {"host": "127.0.0.1", "port": port},
    }
    config.write_text(json.dumps(settings))  # JSON is YAML
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}
    command = [str(PROGRAM), "run", "--config", str(config)]
    bridge = Bridge(launch(command, env=environment, output=home / "bridge.log"), home, f"http://127.0.0.1:{port}")
    try:
        await until_ready(bridge)
        yield bridge
    finally:
        await bridge.stop()


def _settings(brokers: Brokers, api: DevServer) -> dict[str, Any]:
    patience = {"retry": {"base": "0.5s", "cap": "2s", "max_attempts": 3}, "control": {"enabled": True}}
    patience |= {"breaker": {"probe_base": "0.5s", "probe_cap": "1s"}}
    queue, topic = f"{brokers.name}-orders", f"{brokers.name}-payments"
    return {
        "routes": {
            "orders": patience
            | {
                "source": {
                    "type": "rabbitmq",
                    "url": brokers.amqp_url,
                    "queue": queue,
                    "topology": "declare",
                },
                "delay": {"namespace": queue},
                "dead_letters": {"namespace": queue},
                "target": {
                    "type": "webhook",
                    "url": f"{api.url}/webhook/orders",
                    "headers": {"webhook-id": "{{id}}"},
                    "http": {"concurrency": 32},
                },
            },
            "payments": patience
            | {
                "source": {
                    "type": "kafka",
                    "bootstrap_servers": brokers.bootstrap,
                    "topics": [topic],
                    "group_id": topic,
                },
                "delay": {"namespace": topic},
                "dead_letters": {"namespace": topic},
                "target": {"type": "inngest", "url": api.url, "key": "trial", "native_delay": "0s"},
            },
        },
        "log": {"format": "json"},
    }


class _Publisher:
    """Publishes the same bodies to both brokers. It leaves RabbitMQ while sessions are cut there."""

    def __init__(self, brokers: Brokers, producer: AIOKafkaProducer) -> None:
        self._topic, self._queue = f"{brokers.name}-payments", f"{brokers.name}-orders"
        self._brokers, self._producer = brokers, producer
        self._connection: AbstractConnection | None = None
        self._exchange: AbstractExchange | None = None

    async def open(self) -> None:
        self._connection = await aio_pika.connect(self._brokers.amqp_url)
        self._exchange = (await self._connection.channel()).default_exchange

    async def close(self) -> None:
        if self._connection:
            await self._connection.close()

    async def publish(self, bodies: list[bytes]) -> None:
        """Return when both brokers have them."""
        assert self._exchange is not None
        sent = [await self._producer.send(self._topic, body) for body in bodies]
        letters = [aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT) for body in bodies]
        await asyncio.gather(*sent, *(self._exchange.publish(each, self._queue, timeout=LIMIT) for each in letters))

    async def cut_the_others(self) -> None:
        """Break all sessions with RabbitMQ."""
        await self.close()
        await asyncio.to_thread(self._brokers.break_sessions)
        await self.open()


@asynccontextmanager
async def _publishing(brokers: Brokers) -> AsyncIterator[_Publisher]:
    async with Lab(brokers.bootstrap) as lab:
        await lab.create_topic(f"{brokers.name}-payments", PARTITIONS)
    async with opened(AIOKafkaProducer(bootstrap_servers=brokers.bootstrap, acks="all")) as producer:
        publisher = _Publisher(brokers, producer)
        await publisher.open()
        try:
            yield publisher
        finally:
            await publisher.close()
