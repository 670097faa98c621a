"""`event-bridge publish`: events of any shape to a route's source, confirmed by the broker; for scripts and tests."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import orjson

from bridge.cli.choice import chosen_route
from bridge.cli.main import FAULT, OK
from bridge.cli.shapes import Composed, Wanted, compose
from bridge.cli.to_kafka import ToKafka, topic_of
from bridge.cli.to_rabbitmq import ToRabbitMQ
from bridge.errors import BridgeError, ConfigError
from bridge.model import JsonValue
from bridge.settings.load import load, secrets_of
from bridge.settings.problems import Problem
from bridge.settings.tree import Route
from bridge.sources.kafka import KafkaSourceSettings
from bridge.sources.rabbitmq import RabbitMQSourceSettings
from bridge.telemetry.logs import logging_to
from bridge.telemetry.redaction import redact
from bridge.units import seconds

BATCH = 1_000
_HELP = "See `event-bridge publish --help`"


class Way(Protocol):
    """A way to a broker."""

    place: str

    async def publish(self, batches: Iterable[Sequence[Composed]]) -> None:
        """Return when the broker has all of them for good. Raises Unavailable, or ConfigError."""


def main(options: argparse.Namespace) -> int:
    """0: the broker has confirmed all of them; 1: not all."""
    loaded = load(file=options.config, environment=os.environ, assignments=options.assignments)
    redact.hide(secrets_of(loaded.settings))
    name, route = chosen_route(loaded.settings, options.route)
    events, headers = _events(options), _headers(options.headers)
    try:
        way = way_to(name, route, options)
        with logging_to(sys.stderr, level="warning"):
            asyncio.run(way.publish(_batches(options.shape, events, headers)))
    except Problem:
        raise
    except ConfigError as error:
        raise loaded.located(error) from None
    except BridgeError as error:
        print(f"event-bridge: {redact(str(error))}", file=sys.stderr)  # noqa: T201
        return FAULT
    noun = f"{len(events)} events" if len(events) > 1 else f"event {events[0].id}"
    print(f"published {noun} to {way.place}")  # noqa: T201
    return OK


def way_to(name: str, route: Route, options: argparse.Namespace) -> Way:
    """Find out where the events go. Raises Problem for options that do not fit, ConfigError for the settings."""
    source = route.source
    if isinstance(source, KafkaSourceSettings):
        return ToKafka(source, name, topic_of(source, options.topic), options.key)
    for option in ("key", "topic"):
        if getattr(options, option) is not None:
            raise Problem(f"--{option}", f"is for Kafka, and the source of {name} is {source.type}", "Leave it out")
    if isinstance(source, RabbitMQSourceSettings):
        return ToRabbitMQ(source, name)
    problem = "has no queue outside of the bridge's own process"
    raise ConfigError(f"routes.{name}.source.type", problem, "Use rabbitmq or kafka")


def _events(options: argparse.Namespace) -> list[Wanted]:
    """Read the options into the events they mean. Raises Problem."""
    if not 1 <= options.count <= 1_000_000:  # noqa: PLR2004  a script that wants more calls twice
        raise Problem("--count", "must be from 1 to 1,000,000", _HELP)
    data, delay, now = _data(options.data), _delay(options.delay), time.time_ns() // 1_000_000
    return [
        Wanted(name=options.name, data=data, id=event_id, delay=delay, now=now)
        for event_id in _ids(options.id, options.count)
    ]


def _headers(given: Sequence[str]) -> dict[str, str]:
    """Read NAME=VALUE. Raises Problem."""
    pairs = [text.partition("=") for text in given]
    if not all(name and sign for name, sign, _ in pairs):
        raise Problem("--header", "is not NAME=VALUE", "Write it like --header tenant=acme")
    return {name: value for name, _, value in pairs}


def _batches(shape: str, events: Sequence[Wanted], headers: dict[str, str]) -> Iterator[Sequence[Composed]]:
    """Compose them, so many at a time: a million in memory would be a lot."""
    for start in range(0, len(events), BATCH):
        composed = [compose(shape, event) for event in events[start : start + BATCH]]
        yield [replace(one, headers={**one.headers, **headers}) for one in composed] if headers else composed


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
