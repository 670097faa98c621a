"""What the settings of a route make of its parts."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from bridge.model import Accepted, Retryable
from bridge.routes import Route, build_route
from bridge.settings.tree import Settings
from bridge.sources.memory import MemorySource
from bridge.stores.memory import MemoryStore
from bridge.targets.memory import MemoryTarget

MEMORY: dict[str, Any] = {"source": {"type": "memory"}, "target": {"type": "memory"}, "store": {"type": "memory"}}


def route(**more: Any) -> Route:
    settings = Settings.model_validate({**MEMORY, **more})
    return build_route("default", settings.routes["default"], MemoryStore(), settings)


async def accepted(made: Route, *deliveries: tuple[str, str, dict[str, object]]) -> list[str]:
    """The ids of (id, routing key, headers) as they are accepted, where `first` fails once."""
    source, target = made.parts.source, made.parts.target
    assert isinstance(source, MemorySource)
    assert isinstance(target, MemoryTarget)
    target.answer(Retryable("500", after=0.1), event_id="first")
    for event_id, key, headers in deliveries:
        body = json.dumps({"id": event_id, "name": "a.b", "data": {}}).encode()
        source.publish(body, headers, routing_key=key)
    stop = asyncio.Event()
    running = asyncio.create_task(made.pipeline.run(stop))
    async with asyncio.timeout(10):
        while source.waiting:  # noqa: ASYNC110  a queue has no event to wait for
            await asyncio.sleep(0.005)
    stop.set()
    await running
    return [sent.event.id for sent in target.log if isinstance(sent.outcome, Accepted)]


IN_ORDER, OVERTAKEN = ["first", "second"], ["second", "first"]


@pytest.mark.parametrize(
    ("ordering", "order"),
    [
        ("none", OVERTAKEN),
        ("key", IN_ORDER),
        ({"type": "key"}, IN_ORDER),
        ({"type": "key", "header": "customer"}, IN_ORDER),
        ({"type": "key", "header": "account"}, OVERTAKEN),
        ({"type": "key", "header": "absent"}, OVERTAKEN),
    ],
)
async def test_order_is_kept_by_the_key_that_is_named(ordering: object, order: list[str]) -> None:
    deliveries: list[tuple[str, str, dict[str, object]]] = [
        ("first", "k", {"customer": 7, "account": "a"}),
        ("second", "k", {"customer": "7", "account": "b"}),
    ]
    assert await accepted(route(ordering=ordering), *deliveries) == order


async def test_what_is_stuck_is_buried_or_waited_for_as_the_settings_say() -> None:
    for on_stuck, ids in (("bury", ["second"]), ("block", IN_ORDER)):
        made = route(ordering={"type": "key", "on_stuck": on_stuck}, retry={"max_attempts": 1})
        assert await accepted(made, ("first", "k", {}), ("second", "k", {})) == ids


async def test_a_target_may_ask_for_no_more_than_max_retry_after() -> None:
    made = route(ordering="key", retry={"max_retry_after": 1})
    target = made.parts.target
    assert isinstance(target, MemoryTarget)
    target.answer(Retryable("429", after=3_000.0, pause=True), event_id="first")
    target.answer(Retryable("409", after=3_000.0), event_id="first")

    assert await accepted(made, ("first", "k", {}), ("second", "k", {})) == IN_ORDER
