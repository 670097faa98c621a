"""What no single field can know: settings that contradict each other. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from urllib.parse import urlsplit

from pydantic import SecretStr

from bridge.apis import MemorySettings, TargetSettings
from bridge.errors import ConfigError
from bridge.kafka.options import SharedKafkaConnection
from bridge.rabbitmq.options import SharedConnectionSettings
from bridge.settings.tree import Route, Settings
from bridge.sources.kafka import KafkaSourceSettings
from bridge.sources.rabbitmq import RabbitMQSourceSettings
from bridge.stores import OF_ONE_PROCESS

MEMORY = "memory"
LONGEST_STUCK = 900.0  # seconds, on RabbitMQ


def review(settings: Settings) -> Iterator[ConfigError]:
    """Give every contradiction."""
    for name, route in settings.routes.items():
        yield from _of_route(f"routes.{name}", route)
    yield from _shared(settings)
    yield from _of_workers(settings)


def _of_workers(settings: Settings) -> Iterator[ConfigError]:
    """Find what several processes cannot share. `auto` counts as several, whatever machine it is read on."""
    if settings.workers == 1:
        return
    if settings.store.type in OF_ONE_PROCESS:
        yield ConfigError(
            "workers",
            f"needs a store that the workers share, and `store.type: {settings.store.type}` is of one process: each "
            "would send what another one has sent already",
            "Use the store `redis`, or 1 worker",
        )
    for name, route in settings.routes.items():
        if route.source.type == MEMORY:
            yield ConfigError(
                f"routes.{name}.source.type",
                "`memory` is of one process: nothing that one worker has reaches another",
                "Use a broker, or 1 worker",
            )


def _of_route(where: str, route: Route) -> Iterator[ConfigError]:
    if route.dedup.store_down == "forward" and not _dedups(route.target):
        yield ConfigError(
            f"{where}.dedup.store_down",
            "`forward` would deliver duplicates: the target does not suppress them by id",
            "Use `pause`, or say `target.dedups_by_id: true` where the target really does",
        )
    if route.ordering.type == "key" and route.source.type == "rabbitmq" and route.ordering.stuck_after > LONGEST_STUCK:
        yield ConfigError(
            f"{where}.ordering.stuck_after",
            "is too long: RabbitMQ takes back what stays unsettled for its consumer timeout, 30m unless changed",
            "Write 15m or less",
        )
    for part in ("delay", "dead_letters"):
        if getattr(route, part).type == MEMORY != route.source.type:
            yield ConfigError(
                f"{where}.{part}.type",
                f"`memory` would lose events at a restart that {route.source.type} has already let go of",
                f"Use the type {route.source.type}",
            )


def _dedups(target: TargetSettings) -> bool:
    return target.dedups_by_id if isinstance(target, MemorySettings) else target.build_api().dedups_by_id


def _shared(settings: Settings) -> Iterator[ConfigError]:
    """Find two routes that would take each other's events."""
    owners: dict[Hashable, str] = {}
    for name, route in settings.routes.items():
        source = route.source
        if isinstance(source, RabbitMQSourceSettings):
            other = owners.setdefault((_broker(source.url), source.queue), name)
            if other != name:
                yield ConfigError(
                    f"routes.{name}.source.queue",
                    f"is read by the route {other} too, so each event would reach only one of the two",
                    "Bind a second queue to the same exchange, and read that one here",
                )
        elif isinstance(source, KafkaSourceSettings):
            other = owners.setdefault(("group", _cluster(source.bootstrap_servers), source.group_of(name)), name)
            if other != name:
                yield ConfigError(
                    f"routes.{name}.source.group_id",
                    f"is that of the route {other} too, so each event would reach only one of the two",
                    "Give each route its own, or none",
                )
        for part in ("delay", "dead_letters"):
            yield from _shared_namespace(name, part, route, owners)


def _shared_namespace(name: str, part: str, route: Route, owners: dict[Hashable, str]) -> Iterator[ConfigError]:
    settings = getattr(route, part)
    if (place := _place(settings, route.source)) is None:
        return
    other = owners.setdefault((part, place, settings.namespace_of(name)), name)
    if other != name:
        yield ConfigError(
            f"routes.{name}.{part}.namespace",
            f"is that of the route {other} too, so each would take what the other has put aside",
            "Give each route its own, or none",
        )


def _place(settings: object, source: object) -> Hashable | None:
    """The broker or cluster of a part; None where it has none."""
    if isinstance(settings, SharedConnectionSettings):
        url = settings.url or getattr(source, "url", None)
        return None if url is None else _broker(url)
    if isinstance(settings, SharedKafkaConnection):
        servers = settings.bootstrap_servers or getattr(source, "bootstrap_servers", None)
        return None if servers is None else _cluster(servers)
    return None


def _cluster(servers: Sequence[str]) -> Hashable:
    """Tell clusters apart, whatever the order of their brokers; two that are named by other brokers count as two."""
    return frozenset(servers)


def _broker(url: SecretStr) -> Hashable:
    """Tell brokers apart, whatever the user."""
    try:
        parts = urlsplit(url.get_secret_value())
    except ValueError:  # no URL at all: whoever connects says so
        return url.get_secret_value()
    return parts.hostname, parts.netloc.rpartition("@")[2].rpartition(":")[2], parts.path.rstrip("/")
