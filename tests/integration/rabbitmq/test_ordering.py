"""Order by key on a real RabbitMQ, through failures of the target, lost sessions and a process that dies."""

from __future__ import annotations

import asyncio
import json
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from pamqp.commands import Basic

from bridge.model import Accepted, Misconfigured, Outcome, Retryable, Stage
from bridge.rabbitmq import topology
from bridge.reconnecting import Reconnecting
from bridge.routes import Route, build_route
from bridge.settings.tree import Settings
from bridge.stores.memory import MemoryStore
from bridge.targets.memory import MemoryTarget
from devtools.rabbitmq import Node
from tests.integration.rabbitmq.lab import lab, until

QUEUE, EXCHANGE = "orders", "amq.topic"
FAILURES: list[Outcome] = [Retryable("500"), Retryable("503", 0.05), Retryable("429", 0.1, True), Misconfigured("401")]


@pytest.fixture(autouse=True)
def _grown_up_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody kills these brokers."""
    monkeypatch.setattr(topology, "NEWBORN", 0.0)


def route(url: str, ordering: Mapping[str, object], *, watchdog: int = 30, namespace: str = "bridge") -> Route:
    settings = Settings.model_validate(
        {
            "source": {"type": "rabbitmq", "url": url, "queue": QUEUE, "prefetch": 64, "watchdog": watchdog},
            "delay": {"namespace": namespace},
            "dead_letters": {"namespace": namespace},
            "target": {"type": "memory", "keep": 100_000},
            "store": {"type": "memory"},
            "ordering": {"type": "key", **ordering},
            "retry": {"base": 0.05, "cap": 0.2, "max_attempts": 1_000},
            "breaker": {"consecutive": 1_000, "min_calls": 1_000, "probe_base": 0.05, "probe_cap": 0.1},
        }
    )
    made = build_route("default", settings.routes["default"], MemoryStore(), settings)
    chance = random.Random(5)
    moods = (chance.choice(FAILURES) if chance.random() < 0.2 else Accepted() for _ in range(5_000))
    target_of(made).answer(*moods)
    return made


def target_of(made: Route) -> MemoryTarget:
    assert isinstance(made.parts.target, MemoryTarget)
    return made.parts.target


def accepted(made: Route) -> list[tuple[str, int]]:
    """Key and number of what was accepted, each for the first time."""
    ids = dict.fromkeys(sent.event.id for sent in target_of(made).log if isinstance(sent.outcome, Accepted))
    return [(key, int(number)) for key, _, number in (one.partition("-") for one in ids)]


@asynccontextmanager
async def running(made: Route) -> AsyncIterator[asyncio.Task[None]]:
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        for _, part in made.resources():
            stack.push_async_callback(part.close)
            await part.open()
        task = asyncio.create_task(made.pipeline.run(stop))
        yield task
        stop.set()
        await asyncio.wait_for(asyncio.gather(task, return_exceptions=True), 60)


class Publisher:
    """Publishes numbered events of many keys, under their key as routing key and as header."""

    def __init__(self) -> None:
        self.published: defaultdict[str, list[int]] = defaultdict(list)
        self._chance = random.Random(3)

    async def publish(self, url: str, count: int, arguments: Mapping[str, str | int | bool] | None = None) -> None:
        async with lab(url) as publisher:
            await publisher.declare(QUEUE, arguments)
            await publisher.channel.queue_bind(QUEUE, EXCHANGE, "#")
            for _ in range(count):
                key = self._chance.choice("abcdefgh")
                number = len(self.published[key])
                self.published[key].append(number)
                body: dict[str, Any] = {"id": f"{key}-{number}", "name": "order.changed", "data": {"number": number}}
                properties = Basic.Properties(delivery_mode=2, headers={"customer": key})
                await publisher.publish(key, json.dumps(body).encode(), properties, exchange=EXCHANGE)


def in_order(arrived: list[tuple[str, int]]) -> dict[str, list[int]]:
    by_key: defaultdict[str, list[int]] = defaultdict(list)
    for key, number in arrived:
        by_key[key].append(number)
    return dict(by_key)


@pytest.mark.parametrize("ordering", [{}, {"header": "customer"}], ids=["routing key", "header"])
async def test_first_acceptances_of_a_key_are_in_order_and_none_is_lost(
    fresh_broker: Node, ordering: dict[str, object]
) -> None:
    url, publisher = fresh_broker.url_of("/"), Publisher()
    await publisher.publish(url, 200)
    made = route(url, ordering)
    async with running(made):
        await until(lambda: len(accepted(made)) >= 60)
        await asyncio.to_thread(fresh_broker.drop_all_connections)
        await until(lambda: len(accepted(made)) >= 130)
        await asyncio.to_thread(fresh_broker.drop_all_connections)
        await publisher.publish(url, 200)
        await until(lambda: len(accepted(made)) == 400)
        await until(lambda: not sum(made.tally.in_flight.values()))

    assert in_order(accepted(made)) == publisher.published
    assert made.tally.law_holds()
    assert not made.tally.buried
    assert isinstance(made.parts.source, Reconnecting)
    assert made.parts.source.rebuilds >= 2
    assert fresh_broker.depths()[QUEUE] == (0, 0)


@pytest.mark.parametrize("dies", [True, False], ids=["that dies", "that is stopped"])
async def test_the_order_outlives_a_process(fresh_broker: Node, dies: bool) -> None:
    """The second process knows nothing: neither attempts nor what was accepted."""
    url, publisher = fresh_broker.url_of("/"), Publisher()
    await publisher.publish(url, 300)
    first, second = route(url, {}), route(url, {})
    async with running(first) as task:
        await until(lambda: len(accepted(first)) >= 100)
        if dies:
            await asyncio.to_thread(fresh_broker.drop_all_connections)
            task.cancel()
    async with running(second):
        arrived = publisher.published
        await until(lambda: _lengths(first, second) == {key: len(numbers) for key, numbers in arrived.items()})
        await until(lambda: not sum(second.tally.in_flight.values()))

    both = list(dict.fromkeys([*accepted(first), *accepted(second)]))
    assert in_order(both) == publisher.published
    assert in_order(accepted(second)) == {key: sorted(numbers) for key, numbers in in_order(accepted(second)).items()}
    assert not first.tally.buried + second.tally.buried


async def test_a_single_active_consumer_hands_over_in_order_and_only_when_it_stops(fresh_broker: Node) -> None:
    url, publisher = fresh_broker.url_of("/"), Publisher()
    await publisher.publish(url, 300, {"x-single-active-consumer": True})
    first, second = (route(url, {}, watchdog=0, namespace=f"bridge.{name}") for name in ("first", "second"))
    async with AsyncExitStack() as stack:
        async with running(first):
            await until(lambda: accepted(first))
            await stack.enter_async_context(running(second))
            first.parts.gate.pause(1.5)  # long enough to cancel a consumer
            await until(lambda: len(accepted(first)) >= 100)
            assert not second.tally.received[Stage.INTAKE]
        await until(lambda: sum(_lengths(first, second).values()) == 300)
        await until(lambda: not sum(second.tally.in_flight.values()))

    assert in_order(list(dict.fromkeys([*accepted(first), *accepted(second)]))) == publisher.published
    assert not first.tally.buried + second.tally.buried


def _lengths(*made: Route) -> dict[str, int]:
    return {
        key: len(set(numbers)) for key, numbers in in_order([one for each in made for one in accepted(each)]).items()
    }
