"""What the tests of the HTTP target share: a target on a server, and its outcomes in order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from bridge.model import Envelope, Outcome
from bridge.targets import HttpTarget, build_target
from tests.unit.apis.samples import event, settings


@asynccontextmanager
async def target_at(url: str, type: str = "webhook", **fields: Any) -> AsyncIterator[HttpTarget]:  # noqa: A002
    """An open target, by default a webhook that is tried once."""
    target = build_target(settings(type, url=url, **fields))
    assert isinstance(target, HttpTarget)
    target.quick_tries = lambda: False
    await target.open()
    try:
        yield target
    finally:
        await target.close()


async def send(target: HttpTarget, events: Sequence[Envelope]) -> list[Outcome]:
    """All outcomes in order; fails where an index is missing or comes twice."""
    pairs = [pair async for group in target.send(events, range(1, len(events) + 1)) for pair in group]
    assert sorted(slot for slot, _ in pairs) == list(range(len(events)))
    return [outcome for _, outcome in sorted(pairs, key=lambda pair: pair[0])]


async def send_one(target: HttpTarget, **fields: Any) -> Outcome:
    (outcome,) = await send(target, [event(**fields)])
    return outcome
