"""What the ways of running the demo have in common: the routes, and what is seen of the bridge from outside."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from bridge.formats.given import ID_HEADER
from bridge.formats.headers import text_header
from bridge.model import Burial
from devtools.demo.screen import Screen
from devtools.demo.story import Parcel
from devtools.node import Node
from devtools.processes import MissingError

READY_LIMIT = 90.0
"""Seconds until a bridge that does not consume counts as failed; a loaded machine needs many of them."""

INTERVAL = 0.05  # seconds between looks
METRICS = ("bridge_events_total", "bridge_deliveries_", "bridge_faults_total")
RETRY = {"base": "1.5s", "cap": "4s"}
KEY = "demo"  # the local event API takes any


class RoadError(RuntimeError):
    """The bridge is gone, or never came; the text says what it said last."""


class NoBrokerError(RuntimeError):
    """There is no way to this broker on this machine; the text says why, in words without an end."""


@dataclass(slots=True, frozen=True, kw_only=True)
class DeadLetter:
    """What is said about one event in the dead letters."""

    route: str
    message_id: str
    event_id: str
    name: str
    kind: str
    reason: str


@dataclass(slots=True)
class Counts:
    """The metrics of the bridge that the demo looks at, by route; deliveries summed over both stages."""

    events: Counter[tuple[str, str]] = field(default_factory=Counter)  # (route, result)
    taken_in: int = 0  # deliveries from the publishers' queues
    received: int = 0
    settled: int = 0
    in_flight: int = 0
    faults: int = 0


class Running(Protocol):
    """A bridge that runs somewhere."""

    admin_url: str

    def check(self) -> None:
        """Raise RoadError when it is not running any more."""


class Road(Running, Protocol):
    """A broker (or none) and a bridge that consumes from it."""

    @property
    def dead(self) -> Sequence[DeadLetter]:
        """What is in the dead letters, in the order in which it came there."""

    async def publish(self, route: str, parcel: Parcel) -> None:
        """Publish to the queue of a route; returns when the broker has confirmed it."""

    async def stop(self) -> int:
        """Ask the bridge to drain and end. Returns its exit code."""

    def addresses(self) -> Sequence[tuple[str, str]]:
        """What a person can look at or use while it runs: name and text."""


def settings(
    api_url: str, admin_port: int, sources: dict[str, dict[str, Any]], store: dict[str, Any]
) -> dict[str, Any]:
    """Return the settings of the bridge: one route for each event API, all of which take any shape."""
    routes: dict[str, dict[str, Any]] = {
        "trigger-v1": {
            "target": {"type": "trigger", "version": "v1", "url": f"{api_url}/v1", "key": KEY},
            "timing": {"native": "never"},  # it could hold delays itself; here the bridge shows that it can
        },
        "trigger-v2": {"target": {"type": "trigger", "version": "v2", "url": f"{api_url}/v2", "key": KEY}},
        "inngest": {"target": {"type": "inngest", "url": api_url, "key": KEY}},
        "zopio": {"target": {"type": "zopio", "url": api_url}},
        "webhook": {
            "target": {
                "type": "webhook",
                "url": f"{api_url}/webhook/{{{{name}}}}",
                "headers": {"webhook-id": "{{id}}"},
            },
        },
    }
    return {
        "routes": {name: {"source": sources[name], **route, "retry": RETRY} for name, route in routes.items()},
        "store": store,
        "admin": {"host": "127.0.0.1", "port": admin_port},
        "log": {"format": "human"},
    }


ROUTES = ("trigger-v1", "trigger-v2", "inngest", "zopio", "webhook")


async def until_ready(road: Running) -> None:
    """Wait until the bridge consumes from all of its routes. Raises RoadError when it does not."""
    async with aiohttp.ClientSession() as client:
        try:
            async with asyncio.timeout(READY_LIMIT):
                while not await _is_ready(client, road.admin_url):
                    road.check()
                    await asyncio.sleep(INTERVAL)
        except TimeoutError:
            raise RoadError(f"the bridge was not ready within {READY_LIMIT:.0f} s") from None


async def _is_ready(client: aiohttp.ClientSession, admin_url: str) -> bool:
    try:
        async with client.get(f"{admin_url}/readyz") as answer:
            return answer.status == 200  # noqa: PLR2004  HTTP's "OK"
    except aiohttp.ClientError:
        return False


async def read_counts(client: aiohttp.ClientSession, admin_url: str) -> Counts:
    """Read /metrics. Raises RoadError when nobody answers."""
    try:
        async with client.get(f"{admin_url}/metrics") as answer:
            text = await answer.text()
    except aiohttp.ClientError as error:
        raise RoadError(f"the bridge does not answer on {admin_url}: {error}") from error
    counts = Counts()
    wanted = "\n".join(line for line in text.splitlines() if line.startswith(METRICS))  # the parser is slow
    for family in text_string_to_metric_families(f"{wanted}\n"):
        for sample in family.samples:
            _count(counts, sample.name, sample.labels, int(sample.value))
    return counts


def _count(counts: Counts, name: str, labels: dict[str, str], value: int) -> None:
    match name:
        case "bridge_events_total":
            counts.events[labels["route"], labels["result"]] = value
        case "bridge_deliveries_received_total":
            counts.received += value
            counts.taken_in += value if labels["stage"] == "intake" else 0
        case "bridge_deliveries_settled_total":
            counts.settled += value
        case "bridge_deliveries_in_flight":
            counts.in_flight += value
        case "bridge_faults_total":
            counts.faults += value
        case _:
            pass


def dead_letter_of(burial: Burial) -> DeadLetter:
    """What is said about an event in dead letters that were read back."""
    delivery = burial.delivery
    return DeadLetter(
        route=burial.route,
        message_id=delivery.message_id or text_header(delivery.headers, ID_HEADER) or "",
        event_id=burial.event_id or "",
        name=burial.name or "",
        kind=burial.kind,
        reason=burial.reason,
    )


B = TypeVar("B", bound=Node)


@asynccontextmanager
async def private_broker(
    screen: Screen, title: str, version: str, make: Callable[[str], B], *, quick: bool
) -> AsyncIterator[B]:
    """Start a broker, and end it. `quick` says that nothing has to be fetched for it. Raises NoBrokerError."""
    node: B | None = None
    try:
        with screen.step(f"{title} {version}{'' if quick else ', which is to be fetched'}"):
            try:
                node = await asyncio.to_thread(make, version)
                await asyncio.to_thread(node.start)
            except MissingError as error:
                raise NoBrokerError(str(error).partition(". ")[0]) from error
            except Exception as error:
                raise NoBrokerError(f"{title} {version} does not start ({error})") from error
        yield node
    finally:
        if node is not None:
            node.close()
