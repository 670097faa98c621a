"""What `check --connect` asks of the broker, the key store and the target, without changing any of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bridge.cli import reach_kafka, reach_rabbitmq
from bridge.cli.finding import Ask, Finding
from bridge.deadletters.kafka import KafkaDeadLettersSettings
from bridge.delays.kafka import KafkaDelaySettings
from bridge.errors import BridgeError, ConfigError, StoreUnavailable
from bridge.rabbitmq.options import SharedConnectionSettings
from bridge.settings.tree import Route, Settings
from bridge.sources.kafka import KafkaSourceSettings
from bridge.sources.rabbitmq import RabbitMQSourceSettings
from bridge.stores import StoreSettings
from bridge.stores.filelock import FileLock
from bridge.targets import HttpTarget, build_target

LIMIT = 30.0  # seconds for each part


async def reach(settings: Settings) -> list[Finding]:
    """Reach everything at the same time, within half a minute."""
    asked: list[tuple[str, Ask]] = [("store", partial(_store, settings.store))]
    for name, route in settings.routes.items():
        asked += [(f"routes.{name}.{part}", ask) for part, ask in _parts(settings, name, route)]
    found = await asyncio.gather(*(_within_limit(part, ask) for part, ask in asked))
    return [finding for findings in found for finding in findings]


def _parts(settings: Settings, name: str, route: Route) -> Iterator[tuple[str, Ask]]:
    yield "source", _source(settings, name, route)
    for part in ("delay", "dead_letters"):
        if (ask := _own(name, route, part)) is not None:
            yield part, ask
    yield "target", partial(_target, name, route)


def _source(settings: Settings, name: str, route: Route) -> Ask:
    source, where = route.source, f"routes.{name}.source"
    if isinstance(source, RabbitMQSourceSettings):
        return partial(reach_rabbitmq.source, source, where)
    if isinstance(source, KafkaSourceSettings):
        return partial(reach_kafka.source, settings, name, source, where)
    return _in_memory


def _own(name: str, route: Route, part: str) -> Ask | None:
    """What there is to ask about a part that holds events for us."""
    settings, where = getattr(route, part), f"routes.{name}.{part}"
    if isinstance(settings, SharedConnectionSettings):
        if settings.url is None and isinstance(route.source, RabbitMQSourceSettings):
            return None  # at the source's broker, which is asked already
        return partial(reach_rabbitmq.other_broker, settings.at(route.source, where), where)
    if isinstance(settings, KafkaDelaySettings):
        return partial(reach_kafka.delay, name, route, settings, where)
    if isinstance(settings, KafkaDeadLettersSettings):
        return partial(reach_kafka.dead_letters, name, route, settings, where)
    return None


async def _in_memory() -> list[Finding]:
    return [Finding("source", "ok", "in memory")]


async def _within_limit(part: str, ask: Ask) -> list[Finding]:
    try:
        async with asyncio.timeout(LIMIT):
            found = await ask()
    except ConfigError as error:
        return [Finding(part, "error", f"{error.field} {error.problem}", error.cure)]
    except BridgeError as error:
        return [Finding(part, "error", str(error))]
    except TimeoutError:
        return [Finding(part, "error", f"gave no answer within {LIMIT:.0f} s", "Look whether it is up and reachable")]
    return [Finding(part, finding.level, finding.text, finding.cure) for finding in found]


async def _target(name: str, route: Route) -> list[Finding]:
    target = build_target(route.target, where=f"routes.{name}.target")
    if not isinstance(target, HttpTarget):
        return [Finding("target", "ok", "in memory")]
    await target.probe()
    return [Finding("target", "ok", "reached, nothing sent")]


async def _store(settings: StoreSettings) -> list[Finding]:
    """Look at the key store's server, or at its file, which is not opened: that could change it."""
    if settings.type == "memory":
        return [Finding("store", "ok", "in memory")]
    if settings.type == "redis":
        store = settings.build()
        await store.open()
        await store.close()
        return [Finding("store", "ok", f"{settings.place} reached, nothing written")]
    return [await asyncio.to_thread(_file, settings.path)]


def _file(path: Path) -> Finding:
    directory = path.resolve().parent
    if not os.access(directory, os.W_OK | os.X_OK):
        cure = "Create the directory and let this user write in it, or choose another store.path"
        return Finding("store", "error", f"cannot write in {directory}", cure)
    if not path.exists():
        return Finding("store", "ok", f"{path} will be made")
    if not os.access(path, os.R_OK | os.W_OK):
        return Finding("store", "error", f"cannot read and write {path}", "Let this user do so")
    lock = FileLock(path)  # leaves a file behind, but one that the store has made already
    try:
        lock.acquire()
    except StoreUnavailable:
        return Finding("store", "warning", f"{path} is in use", "Fine if that is the bridge that these settings are of")
    lock.release()
    return Finding("store", "ok", f"{path} is there and free")
