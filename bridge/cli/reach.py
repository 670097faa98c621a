"""What `check --connect` asks of the broker, the key store and the target, without changing any of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.cli.console import Level
from bridge.errors import BridgeError, ConfigError, StoreUnavailable
from bridge.rabbitmq.options import ConnectionSettings, SharedConnectionSettings
from bridge.settings.tree import Route, Settings
from bridge.sources import SourceSettings
from bridge.sources.rabbitmq import RabbitMQSourceSettings
from bridge.stores import StoreSettings
from bridge.stores.filelock import FileLock
from bridge.targets import HttpTarget, build_target

if TYPE_CHECKING:
    from bridge.rabbitmq.connection import Session

LIMIT = 30.0  # seconds for each part


@dataclass(slots=True, frozen=True)
class Finding:
    """What was found out about one part."""

    part: str
    level: Level
    text: str
    cure: str = ""


Ask = Callable[[], Awaitable[list[Finding]]]


async def reach(settings: Settings) -> list[Finding]:
    """Reach everything at the same time, within half a minute."""
    asked: list[tuple[str, Ask]] = [("store", partial(_store, settings.store))]
    for name, route in settings.routes.items():
        asked += [(f"routes.{name}.{part}", ask) for part, ask in _parts(name, route)]
    found = await asyncio.gather(*(_within_limit(part, ask) for part, ask in asked))
    return [finding for findings in found for finding in findings]


def _parts(name: str, route: Route) -> Iterator[tuple[str, Ask]]:
    yield "source", partial(_source, name, route.source)
    for part in ("delay", "dead_letters"):
        settings = getattr(route, part)
        if isinstance(settings, SharedConnectionSettings) and settings.url is not None:
            yield part, partial(_other_broker, settings.at(route.source, part), f"routes.{name}.{part}")
    yield "target", partial(_target, name, route)


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
    """Look at the key store's file, which is not opened: that could change it."""
    if settings.type == "memory":
        return [Finding("store", "ok", "in memory")]
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


async def _source(name: str, source: SourceSettings) -> list[Finding]:
    if not isinstance(source, RabbitMQSourceSettings):
        return [Finding("source", "ok", "in memory")]
    from bridge.rabbitmq import preflight

    where = f"routes.{name}.source"
    async with _session(source, where) as session:
        declared = source.topology == "declare"
        found = [
            preflight.of_broker(session),
            *await preflight.of_queue(session, source.queue, declared=declared, where=where),
        ]
    return [Finding("source", each.level, each.text, each.cure) for each in found]


async def _other_broker(connection: ConnectionSettings, where: str) -> list[Finding]:
    from bridge.rabbitmq import preflight

    async with _session(connection, where) as session:
        found = preflight.of_broker(session)
    return [Finding(where, found.level, found.text, found.cure)]


@asynccontextmanager
async def _session(settings: ConnectionSettings, where: str) -> AsyncIterator[Session]:
    from bridge.rabbitmq.connection import connect

    session = await connect(
        settings.url, name="event-bridge check", where=where, heartbeat=settings.heartbeat, ca_file=settings.ca_file
    )
    try:
        yield session
    finally:
        await session.close()
