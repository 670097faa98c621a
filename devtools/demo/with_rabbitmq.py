"""The demo on a real RabbitMQ: a private node, and the bridge as a process of its own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aio_pika
import yaml
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from devtools import debian
from devtools.containers import engine_answers
from devtools.demo.road import ROUTES, DeadLetter, NoBrokerError, RoadError, settings, until_ready
from devtools.demo.screen import Screen
from devtools.demo.story import Parcel
from devtools.processes import MissingError, end, launch
from devtools.rabbitmq import VERSIONS, Node, private_node
from devtools.scratch import folder, free_port

DRAIN_LIMIT = 30.0  # seconds
PROGRAM = Path(sys.executable).with_name("event-bridge")
LAST_WORDS = 2_000  # characters of the log
DLQ = "x-bridge-dlq-"


class RabbitMQRoad:
    """One queue a route; the dead letters are watched where they lie, and stay there."""

    def __init__(self, node: Node, bridge: subprocess.Popen[bytes], home: Path, admin_url: str) -> None:
        self.admin_url = admin_url
        self._dead: list[DeadLetter] = []
        self._node, self._bridge, self._home = node, bridge, home
        self._channel: AbstractChannel | None = None

    @property
    def dead(self) -> Sequence[DeadLetter]:
        return self._dead

    async def connect(self, connection: aio_pika.abc.AbstractConnection) -> None:
        """Get ready to publish, and watch the dead letters. The bridge has made their queues."""
        self._channel = await connection.channel(on_return_raises=True)
        for route in ROUTES:
            queue = await self._channel.get_queue(f"bridge.{route}.dead.v1")
            await queue.consume(self._found_dead)

    async def publish(self, route: str, parcel: Parcel) -> None:
        assert self._channel is not None
        letter = aio_pika.Message(
            parcel.body,
            headers=dict(parcel.headers),
            content_type=parcel.content_type,
            message_id=parcel.message_id,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )
        await self._channel.default_exchange.publish(letter, queue_of(route), timeout=30)

    def check(self) -> None:
        if (code := self._bridge.poll()) is not None:
            raise RoadError(f"the bridge ended with exit code {code}:\n{self._last_words()}")

    async def stop(self) -> int:
        await asyncio.to_thread(end, self._bridge, patience=DRAIN_LIMIT)
        return self._bridge.returncode

    def addresses(self) -> Sequence[tuple[str, str]]:
        return [
            ("RabbitMQ", f"{self._node.url}  ({self._node.version})"),
            ("settings", str(config_of(self._home))),
            ("log", str(log_of(self._home))),
            ("publish", f"{_short(PROGRAM)} publish -c {config_of(self._home)} \\"),
            ("", "    --route webhook --shape raw --name order.created --delay 5s"),
        ]

    async def _found_dead(self, letter: AbstractIncomingMessage) -> None:
        said = {key: str(value) for key, value in letter.headers.items()}
        self._dead.append(
            DeadLetter(
                route=said.get(f"{DLQ}route", ""),
                message_id=said.get(f"{DLQ}message-id", ""),
                event_id=said.get(f"{DLQ}event-id", ""),
                name=said.get(f"{DLQ}event-name", ""),
                kind=said.get(f"{DLQ}kind", ""),
                reason=said.get(f"{DLQ}reason", ""),
            )
        )

    def _last_words(self) -> str:
        return log_of(self._home).read_text(errors="replace")[-LAST_WORDS:]


@asynccontextmanager
async def rabbitmq_road(screen: Screen, api_url: str) -> AsyncIterator[RabbitMQRoad]:
    """Start a broker and the bridge, and end both. Raises NoBrokerError, and RoadError when the bridge fails."""
    async with (
        _broker(screen) as node,
        _bridge(screen, node, api_url) as road,
        await aio_pika.connect(node.url) as connection,
    ):
        await road.connect(connection)
        yield road


@asynccontextmanager
async def _broker(screen: Screen) -> AsyncIterator[Node]:
    version = quickest_version()
    node: Node | None = None
    try:
        with screen.step(f"RabbitMQ {version}{'' if is_quick(version) else ', which is to be fetched'}"):
            try:
                node = await asyncio.to_thread(private_node, version)
                await asyncio.to_thread(node.start)
            except MissingError as error:
                raise NoBrokerError(str(error).partition(". ")[0]) from error
            except Exception as error:
                raise NoBrokerError(f"RabbitMQ {version} does not start ({error})") from error
        yield node
    finally:
        if node is not None:
            node.close()


@asynccontextmanager
async def _bridge(screen: Screen, node: Node, api_url: str) -> AsyncIterator[RabbitMQRoad]:
    home, admin_port = folder("demo"), free_port()
    sources = {
        name: {"type": "rabbitmq", "url": node.url, "queue": queue_of(name), "topology": "declare"} for name in ROUTES
    }
    store = {"type": "sqlite", "path": str(home / "keys.db")}
    tree = settings(api_url, admin_port, sources, store)
    config_of(home).write_text(yaml.safe_dump(tree, sort_keys=False))
    command = [str(PROGRAM), "run", "--config", str(config_of(home))]
    with screen.step(f"event-bridge run, with {len(ROUTES)} routes"):
        bridge = launch(command, env=_environment(), output=log_of(home))
        road = RabbitMQRoad(node, bridge, home, f"http://127.0.0.1:{admin_port}")
        try:
            await until_ready(road)
        except BaseException:
            await road.stop()
            raise
    try:
        yield road
    finally:
        await road.stop()


def quickest_version() -> str:
    """Return the newest version that is at hand, else the one that this machine's own release carries."""
    quick = [version for version in VERSIONS if is_quick(version)]
    own = [version for version in VERSIONS if debian.RELEASES[version] == debian.release()]
    return (quick or own or VERSIONS)[-1]


def is_quick(version: str) -> bool:
    """Whether nothing has to be installed for this version; an engine fetches its images by itself."""
    return engine_answers() or debian.at_hand(version)


def queue_of(route: str) -> str:
    return f"events.{route}"


def config_of(home: Path) -> Path:
    return home / "event-bridge.yaml"


def log_of(home: Path) -> Path:
    return home / "bridge.log"


def _environment() -> dict[str, str]:
    """Leave out settings of other bridges that this shell may have."""
    return {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}


def _short(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
