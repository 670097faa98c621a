"""What no single field can know: settings that contradict each other. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from bridge.apis import MemorySettings, TargetSettings
from bridge.errors import ConfigError
from bridge.settings.tree import Route, Settings

MEMORY = "memory"


def review(settings: Settings) -> Iterator[ConfigError]:
    """Give every contradiction."""
    for name, route in settings.routes.items():
        yield from _of_route(f"routes.{name}", route)
    yield from _shared(settings)


def _of_route(where: str, route: Route) -> Iterator[ConfigError]:
    if route.dedup.store_down == "forward" and not _dedups(route.target):
        yield ConfigError(
            f"{where}.dedup.store_down",
            "`forward` would deliver duplicates: the target does not suppress them by id",
            "Use `pause`, or say `target.dedups_by_id: true` where the target really does",
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
    queues: dict[Hashable, str] = {}
    for name, route in settings.routes.items():
        if route.source.type == MEMORY:
            continue
        queue = (route.source.url.get_secret_value(), route.source.queue)
        if (other := queues.setdefault(queue, name)) != name:
            yield ConfigError(
                f"routes.{name}.source.queue",
                f"is read by the route {other} too, so each event would reach only one of the two",
                "Bind a second queue to the same exchange, and read that one here",
            )
