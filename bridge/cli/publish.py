"""`event-bridge publish`: events of any shape to a route's source, confirmed by the broker; for scripts and tests."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import orjson

from bridge.cli.main import FAULT, OK
from bridge.cli.shapes import Composed, Wanted, compose
from bridge.errors import BridgeError, ConfigError, Unavailable
from bridge.model import JsonValue
from bridge.settings.load import load, secrets_of
from bridge.settings.problems import Problem
from bridge.settings.tree import Route, Settings
from bridge.sources.rabbitmq import RabbitMQSourceSettings
from bridge.telemetry.logs import logging_to
from bridge.telemetry.redaction import redact
from bridge.units import seconds

if TYPE_CHECKING:
    from bridge.rabbitmq.publisher import Outgoing

BATCH = 1_000
_HELP = "See `event-bridge publish --help`"


def main(options: argparse.Namespace) -> int:
    """0: the broker has confirmed all of them; 1: not all."""
    loaded = load(file=options.config, environment=os.environ, assignments=options.assignments)
    redact.hide(secrets_of(loaded.settings))
    name, route = _route(loaded.settings, options.route)
    if not isinstance(route.source, RabbitMQSourceSettings):
        raise loaded.located(
            ConfigError(
                f"routes.{name}.source.type", "has no queue outside of the bridge's own process", "Use rabbitmq"
            )
        )
    events = _events(options)
    try:
        with logging_to(sys.stderr, level="warning"):
            asyncio.run(_publish(route.source, name, options.shape, events))
    except ConfigError as error:
        raise loaded.located(error) from None
    except BridgeError as error:
        print(f"event-bridge: {redact(str(error))}", file=sys.stderr)  # noqa: T201
        return FAULT
    noun = f"{len(events)} events" if len(events) > 1 else f"event {events[0].id}"
    print(f"published {noun} to {route.source.queue}")  # noqa: T201
    return OK


def _route(settings: Settings, wanted: str | None) -> tuple[str, Route]:
    routes = settings.routes
    if wanted is None and len(routes) > 1:
        raise Problem("--route", "is missing, and there are several routes", f"Name one of {', '.join(routes)}")
    name = wanted or next(iter(routes))
    if name not in routes:
        raise Problem("--route", f"there is no route {name}", f"Name one of {', '.join(routes)}")
    return name, routes[name]


def _events(options: argparse.Namespace) -> list[Wanted]:
    """Read the options into the events they mean. Raises Problem."""
    if not 1 <= options.count <= 1_000_000:  # noqa: PLR2004  a script that wants more calls twice
        raise Problem("--count", "must be from 1 to 1,000,000", _HELP)
    data, delay, now = _data(options.data), _delay(options.delay), time.time_ns() // 1_000_000
    return [
        Wanted(name=options.name, data=data, id=event_id, delay=delay, now=now)
        for event_id in _ids(options.id, options.count)
    ]


def _ids(given: str | None, count: int) -> Iterator[str]:
    base = given or uuid4().hex
    return iter([base]) if count == 1 else (f"{base}-{number}" for number in range(1, count + 1))


def _data(text: str) -> JsonValue:
    try:
        if text == "-":
            text = sys.stdin.read()
        elif text.startswith("@"):
            text = Path(text[1:]).read_text(encoding="utf-8")
        data: JsonValue = orjson.loads(text)
    except OSError as error:
        raise Problem("--data", f"cannot be read ({error.strerror})", _HELP) from None
    except ValueError:  # orjson's and Unicode's errors are ValueErrors
        raise Problem("--data", "is not JSON", """Write it like --data '{"a": 1}'""") from None
    return data


def _delay(text: str | None) -> float:
    try:
        delay = float(str(seconds(text))) if text else 0.0
    except ValueError:
        raise Problem("--delay", "is not a time", 'Write it like "30s" or "1h30m"') from None
    if not 0 <= delay <= 10 * 365 * 86_400:
        raise Problem("--delay", "must be from 0 to 10 years", 'Write it like "30s" or "1h30m"')
    return delay


async def _publish(source: RabbitMQSourceSettings, route: str, shape: str, events: list[Wanted]) -> None:
    """Publish all of them. Raises Unavailable when not all are confirmed, ConfigError for a queue that is not there."""
    from bridge.rabbitmq.connection import Session, connect
    from bridge.rabbitmq.publisher import Publisher
    from bridge.rabbitmq.topology import Topology, ensure

    where = f"routes.{route}.source"

    async def session() -> Session:
        return await connect(
            source.url,
            name=f"event-bridge publish {route}",
            where=where,
            heartbeat=source.heartbeat,
            ca_file=source.ca_file,
        )

    async def prepare(made: Session) -> None:
        await ensure(made, source.queue_to_declare(route), Topology(source.topology), where=where)

    publisher = Publisher(session, prepare, where=where)
    try:
        await publisher.open()
        for start in range(0, len(events), BATCH):
            composed = [compose(shape, event) for event in events[start : start + BATCH]]
            results = await publisher.publish([_outgoing(source.queue, event) for event in composed])
            if failed := [result for result in results if result is not None]:
                raise Unavailable(f"{len(failed)} were not taken: {failed[0]}")
    finally:
        await publisher.close()


def _outgoing(queue: str, event: Composed) -> Outgoing:
    from pamqp.commands import Basic

    from bridge.rabbitmq.publisher import Outgoing

    properties = Basic.Properties(
        headers=dict(event.headers), content_type=event.content_type, delivery_mode=2, message_id=uuid4().hex
    )
    return Outgoing("", queue, event.body, properties)
