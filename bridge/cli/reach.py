"""What `check --connect` asks of the broker, the key store and the target, without changing any of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from bridge.cli.console import Level
from bridge.errors import BridgeError, ConfigError, StoreUnavailable
from bridge.settings.tree import Route, Settings
from bridge.sources.rabbitmq import RabbitMQSourceSettings
from bridge.stores import StoreSettings
from bridge.stores.filelock import FileLock
from bridge.targets import HttpTarget, build_target

LIMIT = 30.0  # seconds for each part


@dataclass(slots=True, frozen=True)
class Finding:
    """What was found out about one part."""

    part: str
    level: Level
    text: str
    cure: str = ""


async def reach(settings: Settings) -> list[Finding]:
    """Reach everything at the same time, within half a minute."""
    asked: list[tuple[str, Callable[[], Awaitable[list[Finding]]]]] = [("store", lambda: _store(settings.store))]
    for name, route in settings.routes.items():
        asked += [(f"routes.{name}.{part}", ask) for part, ask in _parts(name, route)]
    found = await asyncio.gather(*(_within_limit(part, ask) for part, ask in asked))
    return [finding for findings in found for finding in findings]


def _parts(name: str, route: Route) -> list[tuple[str, Callable[[], Awaitable[list[Finding]]]]]:
    return [
        ("source", lambda: _broker(name, route)),
        ("target", lambda: _target(name, route)),
    ]


async def _within_limit(part: str, ask: Callable[[], Awaitable[list[Finding]]]) -> list[Finding]:
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


async def _broker(name: str, route: Route) -> list[Finding]:
    source = route.source
    if not isinstance(source, RabbitMQSourceSettings):
        return [Finding("source", "ok", "in memory")]
    from bridge.rabbitmq.connection import connect
    from bridge.rabbitmq.topology import exists

    where = f"routes.{name}.source"
    session = await connect(
        source.url, name="event-bridge check", where=where, heartbeat=source.heartbeat, ca_file=source.ca_file
    )
    try:
        found = [Finding("source", "ok", f"RabbitMQ {session.version} reached")]
        if await exists(session, source.queue, where=where):
            return [*found, Finding("source", "ok", f"the queue {source.queue} is there")]
        if source.topology == "declare":
            return [*found, Finding("source", "ok", f"the queue {source.queue} will be made")]
        cure = "Create it, or set source.topology to declare"
        return [*found, Finding("source", "error", f"there is no queue {source.queue}", cure)]
    finally:
        await session.close()
