"""`event-bridge delayed show | cancel | move`: a scheduled event, by its id, in the key store of the settings."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeAlias

import orjson

from bridge.cli.choice import chosen_route
from bridge.cli.main import FAULT, OK
from bridge.cli.publish import way_to
from bridge.cli.shapes import Composed
from bridge.core.control import TOO_SOON, Control, Effect, Op, effect_of
from bridge.core.due import FARTHEST, at_time
from bridge.core.keys import key_of
from bridge.errors import BridgeError, ConfigError, PoisonError, StoreUnavailable
from bridge.formats.control import ControlReader
from bridge.model import Delivery, Move, Standing, State
from bridge.ports import KeyStore
from bridge.routes import format_of, scope_of_route
from bridge.settings.load import load, secrets_of
from bridge.settings.problems import Problem
from bridge.settings.tree import Route, Settings
from bridge.stores import StoreSettings
from bridge.telemetry.logs import logging_to
from bridge.telemetry.redaction import redact
from bridge.units import seconds

_RUNNING: Final = (
    "While the bridge runs, publish a control envelope (`control.enabled`), or use the store `redis`, which others may "
    "open too"
)
_BUSY: Final = "it is being sent, or put aside, at this moment. Nothing was changed; try again"


@dataclass(slots=True, frozen=True)
class Event:
    """The event that is meant, and where it stands on record."""

    id: str
    route: str
    settings: Route
    key: bytes
    ttl: float  # seconds
    due_at: int  # what it is to be moved to, if it is

    @classmethod
    def of(cls, settings: Settings, options: argparse.Namespace) -> Event:
        """Raises Problem."""
        name, route = chosen_route(settings, options.route)
        key = key_of(scope_of_route(name, route), options.id, options.source)
        due_at = _due_at(options) if options.action == "move" else 0
        return cls(options.id, name, route, key, settings.store.ttl, due_at)


Action: TypeAlias = Callable[[KeyStore, Event], Awaitable[int]]


def main(options: argparse.Namespace) -> int:
    """0: done, or shown; 1: too late, or nothing is known of it; the text says which."""
    loaded = load(file=options.config, environment=os.environ, assignments=options.assignments)
    redact.hide(secrets_of(loaded.settings))
    event = Event.of(loaded.settings, options)
    act = {"show": _show, "cancel": _cancel, "move": _move}[options.action]
    try:
        with logging_to(sys.stderr, level="warning"):
            if options.action == "move" and options.event is not None:
                return asyncio.run(_publish(event, options))
            return asyncio.run(_with_store(loaded.settings.store, act, event))
    except Problem:
        raise
    except ConfigError as error:
        raise loaded.located(error) from None
    except BridgeError as error:
        print(f"event-bridge: {redact(str(error))}", file=sys.stderr)  # noqa: T201
        return FAULT


async def _with_store(settings: StoreSettings, act: Action, event: Event) -> int:
    """Raises ConfigError for a store that nobody else can open, StoreUnavailable for one that is not there now."""
    if settings.type == "memory":
        raise ConfigError("store.type", "memory is inside of the bridge's own process, out of reach", _RUNNING)
    if settings.type == "sqlite" and not settings.path.exists():
        raise ConfigError("store.path", f"there is no file {settings.path} here", "Run this where the bridge runs")
    store: KeyStore = settings.build()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        try:
            await store.open()
        except StoreUnavailable as error:
            raise StoreUnavailable(f"{error}. {_RUNNING}" if settings.type == "sqlite" else str(error)) from error
        return await act(store, event)


async def _show(store: KeyStore, event: Event) -> int:
    [standing] = await store.look([event.key])
    _say(event, f"is {_told(standing)}")
    return FAULT if standing.state is State.UNKNOWN else OK


async def _cancel(store: KeyStore, event: Event) -> int:
    [before] = await store.cancel([event.key], ttl=event.ttl)
    return _outcome(event, before, Control(op=Op.CANCEL, id=event.id), "is cancelled")


async def _move(store: KeyStore, event: Event) -> int:
    [before] = await store.move([Move(event.key, event.due_at)], ttl=event.ttl)
    order = Control(op=Op.RESCHEDULE, id=event.id, due_at=event.due_at)
    return _outcome(event, before, order, f"is scheduled for {_time(event.due_at)}")


def _outcome(event: Event, before: Standing, order: Control, done: str) -> int:
    """Say what came of it, and what was before."""
    effect = effect_of(order, before)
    if effect is Effect.DONE:
        _say(event, f"{done}; it was {_told(before)}")
        return OK
    problems = {
        None: _BUSY,
        Effect.TOO_LATE: f"too late: it is {_told(before)}",
        Effect.UNKNOWN: f"it is {_told(before)}",
        Effect.REFUSED: f"{TOO_SOON}: `--event FILE`. It is {_told(before)}",
    }
    _say(event, f"stays as it is: {problems[effect]}")
    return FAULT


async def _publish(event: Event, options: argparse.Namespace) -> int:
    """Publish the order that carries the event. Raises Problem for what the bridge would not take."""
    if not event.settings.control.enabled:
        raise Problem("--event", "goes by a control envelope, and they are off", "Set control.enabled in the route")
    order = {"op": "reschedule", "id": event.id, "until": event.due_at, "event": _read(options.event)}
    if options.source is not None:
        order["source"] = options.source
    body = orjson.dumps(order)
    _check(event, body)
    way = way_to(event.route, event.settings, options)
    await way.publish([[Composed(body=body)]])
    _say(event, f"is to be moved to {_time(event.due_at)}: the order is published to {way.place}")
    return OK


def _check(event: Event, body: bytes) -> None:
    limits = event.settings.limits
    reader = ControlReader(format_of(event.settings), limits.max_event_bytes, limits.max_depth)
    try:
        order = reader.read(Delivery(body=body), time.time_ns() // 1_000_000)
    except PoisonError as error:
        raise Problem("--event", f"is no event of the route: {error}", "Write it as it would be published") from None
    if order is None:
        problem = f"makes the envelope larger than limits.max_event_bytes, {limits.max_event_bytes} bytes"
        raise Problem("--event", problem, "Publish a smaller one")


def _read(path: Path) -> object:
    try:
        return orjson.loads(path.read_bytes())
    except OSError as error:
        raise Problem("--event", f"cannot be read ({error.strerror})", "Name a file with the event as JSON") from None
    except ValueError:
        raise Problem("--event", "is not JSON", "Name a file with the event as JSON") from None


def _due_at(options: argparse.Namespace) -> int:
    """Read the new time, in epoch ms. Raises Problem."""
    try:
        if options.until is not None:
            return at_time(options.until, "--until")
        due_at = time.time_ns() // 1_000_000 + round(float(str(seconds(options.wait))) * 1000)
    except PoisonError as error:
        raise Problem("--until", error.problem, "Write it like 2030-01-31T12:00:00Z") from None
    except ValueError:
        raise Problem("--in", "is not a time", 'Write it like "30s" or "1h30m"') from None
    if not 0 <= due_at <= FARTHEST:
        raise Problem("--in", "is too far away", 'Write it like "30s" or "1h30m"')
    return due_at


def _told(standing: Standing) -> str:
    """How it stands, as the end of a sentence."""
    planned = "" if standing.due_at is None else f" for {_time(standing.due_at)}"
    match standing.state:
        case State.UNKNOWN:
            return "unknown to the key store: never seen, forgotten, not delayed, or waiting for a retry"
        case State.CLAIMED:
            return f"being sent, or put aside, at this moment{planned and f'; it was scheduled{planned}'}"
        case State.SCHEDULED:
            return f"scheduled{planned}"
        case State.CANCELLED:
            return "cancelled"
        case State.DONE:
            return "done: sent, or in the dead letters"


def _time(at: int) -> str:
    if at > FARTHEST:
        return f"{at} ms"
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _say(event: Event, text: str) -> None:
    sys.stdout.write(f"{event.id} of the route {event.route} {text}\n")
    sys.stdout.flush()
