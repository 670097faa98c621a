"""
The real bridge as a process, a real broker in front of it, the local event API behind it, and their books.

Four ledgers are compared after every fault: what the broker confirmed, what the API took, what lies in the dead
letters, and what the bridge itself counted.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aio_pika
import aiohttp
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from prometheus_client.parser import text_string_to_metric_families

from bridge.devserver.app import DevServer
from bridge.devserver.settings import DevServerSettings

QUEUE = "events"
PATIENCE = 60.0  # seconds to wait for a condition before a test fails

Samples = Mapping[str, float]
Body = Mapping[str, object] | Sequence[object]


def event(event_id: str, *, name: str = "user.created", **more: Any) -> dict[str, object]:
    """An Inngest-shaped event."""
    return {"id": event_id, "name": name, "data": {"n": event_id}, **more}


async def until(condition: Callable[[], object], *, seconds: float = PATIENCE, what: str = "") -> None:
    """Wait for a condition."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110  any condition, of parts that know no events
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not within {seconds} s: {what or condition}") from None


class Publisher:
    """Publishes with confirms, and remembers which ids the broker has confirmed."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.confirmed: list[str] = []

    async def publish(self, bodies: Iterable[tuple[str, Body | bytes]], headers: dict[str, Any] | None = None) -> None:
        """Publish (id, body) pairs; what is not bytes is written as JSON."""
        async with await aio_pika.connect(self._url) as connection:
            channel = await connection.channel(on_return_raises=True)
            pairs = list(bodies)
            for start in range(0, len(pairs), 200):
                part = pairs[start : start + 200]
                await asyncio.gather(*(_publish(channel, body, headers) for _, body in part))
                self.confirmed += [event_id for event_id, _ in part]

    async def events(self, ids: Iterable[str], **more: Any) -> None:
        await self.publish([(event_id, event(event_id, **more)) for event_id in ids])

    async def declare(self, arguments: dict[str, Any] | None = None) -> None:
        """Declare the source queue, as its owner would."""
        async with await aio_pika.connect(self._url) as connection:
            channel = await connection.channel()
            await channel.declare_queue(QUEUE, durable=True, arguments=arguments or {"x-queue-type": "quorum"})

    async def take_all(self, queue: str) -> list[AbstractIncomingMessage]:
        """Take what is in a queue now."""
        taken: list[AbstractIncomingMessage] = []
        async with await aio_pika.connect(self._url) as connection:
            channel = await connection.channel()
            source = await channel.declare_queue(queue, passive=True)
            while (got := await source.get(fail=False)) is not None:
                taken.append(got)
                await got.ack()
        return taken


async def _publish(channel: AbstractChannel, body: Body | bytes, headers: dict[str, Any] | None) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    message = aio_pika.Message(data, headers=headers, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
    await channel.default_exchange.publish(message, QUEUE, timeout=30)


@dataclass
class Bridge:
    """`event-bridge run` as a process of its own, over the life of one test; it may be killed and started again."""

    folder: Path
    settings: dict[str, Any]
    environment: dict[str, str] = field(default_factory=dict)
    starts: int = 0

    def __post_init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._config = self.folder / "bridge.json"
        self._log = self.folder / "bridge.log"

    async def start(self, *, ready: bool = True) -> None:
        """Start the process and, unless told otherwise, wait until it consumes."""
        self._config.write_text(json.dumps(self.settings))  # JSON is YAML
        self.starts += 1
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(str(Path(sys.executable).with_name("event-bridge")), "run", "--config", str(self._config)),
                stdout=log,
                stderr=log,
                env=os.environ | self.environment,
                cwd=self.folder,
            )
        if ready:
            await self.wait_ready()

    async def wait_ready(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while not await self.ready():
                assert self._process is not None
                assert self._process.returncode is None, self.log()[-4000:]
                await asyncio.sleep(0.05)

    async def ready(self) -> bool:
        return (await self._get("/readyz"))[0] == 200

    async def kill(self) -> None:
        """SIGKILL: nothing is tidied up."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """SIGTERM, and wait for the drain. Returns the exit code."""
        return await self._end(signal.SIGTERM)

    async def _end(self, sign: signal.Signals) -> int:
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.send_signal(sign)
        return await asyncio.wait_for(self._process.wait(), PATIENCE)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    async def metrics(self) -> Samples:
        """All samples as `name{label=value,...}`, labels sorted, without the route `default`."""
        _, text = await self._get("/metrics")
        samples: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = {key: value for key, value in sample.labels.items() if (key, value) != ("route", "default")}
                inner = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
                samples[f"{sample.name}{{{inner}}}" if inner else sample.name] = sample.value
        return samples

    async def _get(self, path: str) -> tuple[int, str]:
        url = f"http://127.0.0.1:{self.settings['admin']['port']}{path}"
        try:
            async with aiohttp.ClientSession() as session, session.get(url) as answer:
                return answer.status, await answer.text()
        except aiohttp.ClientError:
            return 0, ""


def law(samples: Samples) -> None:
    """received = settled + in flight, for each stage; and nothing is in flight any more."""
    for stage in ("intake", "due"):
        received = samples[f"bridge_deliveries_received_total{{stage={stage}}}"]
        settled = sum(
            samples[f"bridge_deliveries_settled_total{{stage={stage},verdict={verdict}}}"]
            for verdict in ("settle", "return")
        )
        in_flight = samples[f"bridge_deliveries_in_flight{{stage={stage}}}"]
        assert received == settled + in_flight, (
            f"{stage}: {received} received, {settled} settled, {in_flight} in flight"
        )
        assert in_flight == 0, f"{stage}: {in_flight} still in flight"


@dataclass
class Road:
    """Broker, bridge and event API of one test."""

    broker_url: str
    publisher: Publisher
    bridge: Bridge
    api: DevServer

    def arrived(self) -> Counter[str]:
        """How often each id was accepted by the API."""
        return Counter({record.id: record.deliveries for record in self.api.book.events.values()})

    async def until_arrived(self, ids: Iterable[str], seconds: float = PATIENCE) -> None:
        wanted = set(ids)
        try:
            await until(lambda: wanted <= self.arrived().keys(), seconds=seconds)
        except AssertionError:
            missing = sorted(wanted - self.arrived().keys())
            raise AssertionError(
                f"{len(missing)} of {len(wanted)} never arrived, such as {missing[:5]}\n{self.bridge.log()[-6000:]}"
            ) from None

    async def until_quiet(self, seconds: float = PATIENCE) -> Samples:
        """Wait until the bridge has nothing in flight, check its law, and return the metrics."""
        async with asyncio.timeout(seconds):
            while True:
                samples = await self.bridge.metrics()
                if samples and not any(
                    samples[f"bridge_deliveries_in_flight{{stage={stage}}}"] for stage in ("intake", "due")
                ):
                    law(samples)
                    return samples
                await asyncio.sleep(0.1)

    async def dead_letters(self) -> list[AbstractIncomingMessage]:
        """Take everything out of the dead letters."""
        return await self.publisher.take_all("bridge.dead.v1")


@asynccontextmanager
async def road(
    folder: Path, broker_url: str, port: int, *, api: DevServerSettings | None = None, **overrides: Any
) -> AsyncIterator[Road]:
    """
    Set up a road: source queue, event API, and a bridge that is not started yet.

    `overrides` replace top-level settings; a dict is merged into what stands there. `port` is for the admin server.
    """
    publisher = Publisher(broker_url)
    await publisher.declare()
    async with DevServer(api or DevServerSettings(port=0)) as server:
        settings: dict[str, Any] = {
            "source": {"type": "rabbitmq", "url": broker_url, "queue": QUEUE},
            "target": {"type": "webhook", "url": f"{server.url}/webhook/sink", "headers": {"webhook-id": "{{id}}"}},
            "store": {"type": "sqlite", "path": str(folder / "keys.db")},
            "admin": {"host": "127.0.0.1", "port": port},
            "log": {"format": "json"},
            "retry": {"base": 0.5, "cap": 5},
            "breaker": {"probe_base": 0.2, "probe_cap": 2},
        }
        for name, value in overrides.items():
            before = settings.get(name)
            settings[name] = {**before, **value} if isinstance(before, dict) and isinstance(value, dict) else value
        bridge = Bridge(folder, settings)
        try:
            yield Road(broker_url, publisher, bridge, server)
        finally:
            if bridge.running:
                await bridge.kill()
