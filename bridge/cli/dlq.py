"""`event-bridge dlq list | show | replay | purge`: the dead letters of one route, for people."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from bridge.cli.choice import chosen_route
from bridge.cli.dlq_text import Numbered, as_json, details, table
from bridge.cli.main import FAULT, OK
from bridge.core.replays import hindrance, identity_of, replay
from bridge.errors import BridgeError, ConfigError, Unavailable
from bridge.model import Burial
from bridge.ports import DeadLetters, DelayLine
from bridge.settings.load import load, secrets_of
from bridge.settings.problems import Problem
from bridge.settings.tree import Route
from bridge.telemetry.logs import logging_to
from bridge.telemetry.redaction import redact

MOST = 10_000  # dead letters that are looked at in one go: all of them are in memory


class Graves(DeadLetters, Protocol):
    """Dead letters, with what tools do to them."""

    async def browse(self, limit: int) -> list[Burial]:
        """The oldest ones, which stay."""

    def take(self, limit: int) -> AbstractAsyncContextManager[list[Burial]]:
        """The oldest ones, which are gone when the block ends without an exception."""

    async def purge(self) -> int:
        """Delete all; return how many there were."""


def main(options: argparse.Namespace) -> int:
    """0: done; 1: not, or not all of it."""
    loaded = load(file=options.config, environment=os.environ, assignments=options.assignments)
    redact.hide(secrets_of(loaded.settings))
    name, route = chosen_route(loaded.settings, options.route)
    if not 1 <= getattr(options, "limit", 1) <= MOST:
        raise Problem("--limit", f"must be from 1 to {MOST:,}", "See `event-bridge dlq --help`")
    act = {"list": _list, "show": _show, "replay": _replay, "purge": _purge}[options.action]
    try:
        with logging_to(sys.stderr, level="warning"):
            return asyncio.run(act(Cemetery.of(name, route), options))
    except ConfigError as error:
        raise loaded.located(error) from None
    except BridgeError as error:
        _complain(str(error))
        return FAULT


@dataclass(slots=True, frozen=True)
class Cemetery:
    """The dead letters of a route, and the way back from there."""

    route: str
    settings: Route
    graves: Graves

    @classmethod
    def of(cls, name: str, route: Route) -> Cemetery:
        """Raises ConfigError where only the bridge itself can reach them."""
        if route.dead_letters.type == "memory":
            raise _only_inside(name, "dead_letters")
        return cls(name, route, route.dead_letters.build(name, source=route.source))

    def line(self) -> DelayLine:
        """Raises ConfigError where only the bridge itself can reach it."""
        if self.settings.delay.type == "memory":
            raise _only_inside(self.route, "delay")
        return self.settings.delay.build(self.route, source=self.settings.source)

    async def bring_back(self, line: DelayLine, chosen: Collection[str], depth: int) -> int:
        """
        Hand those with the identities `chosen` to the delay line, which takes them at once; return how many.

        They leave the dead letters when they are safe there. The others among the `depth` oldest go behind the newest.
        Raises Unavailable when nothing could be done, and then everything has stayed as it was.
        """
        now = time.time_ns() // 1_000_000
        async with self.graves.take(depth) as taken:
            going = [burial for burial in taken if identity_of(burial) in chosen]
            results = await line.hold([replay(burial, self.route, now) for burial in going])
            safe = {id(burial) for burial, result in zip(going, results, strict=True) if result is None}
            if not safe:
                why = next((str(result) for result in results if result), "somebody else has taken them out")
                raise Unavailable(f"nothing was replayed: {why}")
            await self.graves.bury([burial for burial in taken if id(burial) not in safe])
        return len(safe)


def _only_inside(route: str, part: str) -> ConfigError:
    problem = "is memory, which is in the bridge's own process, out of the reach of this command"
    return ConfigError(f"routes.{route}.{part}.type", problem, "Use rabbitmq or kafka")


async def _list(cemetery: Cemetery, options: argparse.Namespace) -> int:
    found = await cemetery.graves.browse(options.limit)
    shown = _of_kind(_numbered(found), options.kind)
    if options.json:
        _write(as_json(shown, whole=False).decode())
        return OK
    if shown:
        _write(table(shown))
    more = f"; these are of the {len(found)} oldest, --limit looks at more" if len(found) == options.limit else ""
    _complain(f"{_counted(len(shown))} of the route {cemetery.route}{more}")
    return OK


async def _show(cemetery: Cemetery, options: argparse.Namespace) -> int:
    found = _numbered(await cemetery.graves.browse(options.limit))
    shown = _named(found, [options.which])
    if not shown:
        return _missing([options.which], len(found))
    _write(as_json(shown, whole=True).decode() if options.json else "\n\n".join(details(*each) for each in shown))
    return OK


async def _replay(cemetery: Cemetery, options: argparse.Namespace) -> int:
    line = cemetery.line()
    found = _numbered(await cemetery.graves.browse(options.limit))
    if missing := [which for which in options.which if not _named(found, [which])]:
        return _missing(missing, len(found))
    wanted = _of_kind(_named(found, options.which) if options.which else found, options.kind)
    going = [(number, burial) for number, burial in wanted if not _hindered(cemetery.route, number, burial)]
    count = 0
    if going:
        try:
            chosen = {identity_of(burial) for _, burial in going}
            count = await cemetery.bring_back(line, chosen, max(number for number, _ in going))
        finally:
            await line.close()
            await cemetery.graves.close()
    _write(f"replayed {_counted(count)} of the route {cemetery.route}")
    return OK if count >= len(wanted) else FAULT


async def _purge(cemetery: Cemetery, _options: argparse.Namespace) -> int:
    _write(f"deleted {_counted(await cemetery.graves.purge())} of the route {cemetery.route}")
    return OK


def _numbered(burials: Sequence[Burial]) -> list[Numbered]:
    return list(enumerate(burials, 1))


def _of_kind(burials: Sequence[Numbered], kind: str | None) -> list[Numbered]:
    return [(number, burial) for number, burial in burials if kind in (None, burial.kind)]


def _named(burials: Sequence[Numbered], names: Collection[str]) -> list[Numbered]:
    """Find those with these event ids or, where no event has such an id, numbers."""
    ids = {burial.event_id for _, burial in burials}
    return [
        (number, burial)
        for number, burial in burials
        if burial.event_id in names or (str(number) in names and str(number) not in ids)
    ]


def _hindered(route: str, number: int, burial: Burial) -> bool:
    why = hindrance(burial, route)
    if why is not None:
        _complain(f"dead letter {number} stays: {why}")
    return why is not None


def _missing(names: Sequence[str], looked_at: int) -> int:
    _complain(f"no {' and no '.join(names)} among the {_counted(looked_at, 'oldest ')}; see `event-bridge dlq list`")
    return FAULT


def _counted(count: int, which: str = "") -> str:
    return f"{count} {which}dead letter{'s' * (count != 1)}"


def _write(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _complain(text: str) -> None:
    print(f"event-bridge: {redact(text)}", file=sys.stderr)  # noqa: T201
