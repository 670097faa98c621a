"""A whole process from its settings, inside this one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from bridge.app import LAG_ALARM, App
from bridge.deadletters.memory import MemoryDeadLetters
from bridge.errors import ConfigError, Unavailable
from bridge.settings.tree import Settings
from bridge.sources.memory import MemorySource
from bridge.targets.memory import MemoryTarget
from bridge.telemetry.redaction import redact

MEMORY: dict[str, Any] = {"source": {"type": "memory"}, "target": {"type": "memory"}}


def settings(**more: Any) -> Settings:
    process: dict[str, Any] = {"store": {"type": "memory"}, "admin": {"port": 0}, "drain_timeout": 5}
    return Settings.model_validate(process | (more or MEMORY))


@asynccontextmanager
async def running(app: App) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(app.run(stop))
    try:
        async with asyncio.timeout(10):
            while (await get(app, "/readyz"))[0] != 200:  # noqa: ASYNC110  a process has no event to wait for
                await asyncio.sleep(0.01)
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)


async def get(app: App, path: str) -> tuple[int, str]:
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{app.probe.port}{path}") as answer,
        ):
            return answer.status, await answer.text()
    except (aiohttp.ClientError, ValueError):
        return 0, ""


async def test_events_flow_from_the_source_to_the_target_of_each_route() -> None:
    app = App(settings(routes={"one": MEMORY, "two": MEMORY | {"filter": {"include": ["user.*"]}}}))
    async with running(app):
        for name in ("one", "two"):
            source = app.routes[name].parts.source
            assert isinstance(source, MemorySource)
            source.publish(json.dumps({"id": "1", "name": "user.created", "data": {}}).encode())
            source.publish(json.dumps({"id": "2", "name": "order.paid", "data": {}}).encode())
            while source.waiting:  # noqa: ASYNC110  likewise
                await asyncio.sleep(0.01)
        _, metrics = await get(app, "/metrics")

    arrived = {}
    for name, route in app.routes.items():
        assert isinstance(route.parts.target, MemoryTarget)
        arrived[name] = [event.id for event in route.parts.target.accepted]
    assert arrived == {"one": ["1", "2"], "two": ["1"]}
    assert 'bridge_events_total{result="filtered",route="two"} 1.0' in metrics
    assert all(route.tally.law_holds() for route in app.routes.values())


async def test_liveness_stays_green_while_something_is_waited_for_and_readiness_says_what() -> None:
    app = App(settings())
    gone = asyncio.Event()

    class Away(MemoryDeadLetters):
        async def open(self) -> None:
            if not gone.is_set():
                raise Unavailable("the broker is away")

    object.__setattr__(app.routes["default"].parts, "dead_letters", Away())
    stop = asyncio.Event()
    task = asyncio.create_task(app.run(stop))
    async with asyncio.timeout(10):
        while "the broker is away" not in (await get(app, "/readyz"))[1]:  # noqa: ASYNC110  likewise
            await asyncio.sleep(0.01)
    assert (await get(app, "/livez"))[0] == 200

    gone.set()
    async with asyncio.timeout(10):
        while (await get(app, "/readyz"))[0] != 200:  # noqa: ASYNC110  likewise
            await asyncio.sleep(0.01)
    stop.set()
    await asyncio.wait_for(task, 10)


async def test_readiness_says_that_the_intake_waits_for_the_store() -> None:
    app = App(settings())
    route, store = app.routes["default"], app.store
    gone = asyncio.Event()
    claim = store.claim

    async def away(*asks: Any, **more: Any) -> Any:
        if not gone.is_set():
            raise Unavailable("the store is away")
        return await claim(*asks, **more)

    object.__setattr__(store, "claim", away)
    source = route.parts.source
    assert isinstance(source, MemorySource)
    source.publish(b'{"id": "1", "name": "user.created", "data": {}}')
    stop = asyncio.Event()
    task = asyncio.create_task(app.run(stop))
    async with asyncio.timeout(10):
        while "routes.default: the intake waits for the key store" not in (await get(app, "/readyz"))[1]:  # noqa: ASYNC110  likewise
            await asyncio.sleep(0.01)
    assert (await get(app, "/livez"))[0] == 200

    gone.set()
    async with asyncio.timeout(10):
        while (await get(app, "/readyz"))[0] != 200:  # noqa: ASYNC110  likewise
            await asyncio.sleep(0.01)
    stop.set()
    await asyncio.wait_for(task, 10)


async def test_what_watches_the_process_is_watched_too(monkeypatch: pytest.MonkeyPatch) -> None:
    app = App(settings())

    async def fail() -> None:
        raise RuntimeError("bug")

    monkeypatch.setattr(app.lag, "run", fail)
    with pytest.raises(RuntimeError, match="bug"):
        await asyncio.wait_for(app.run(asyncio.Event()), 20)


async def test_a_loop_that_hung_too_long_is_no_longer_live(monkeypatch: pytest.MonkeyPatch) -> None:
    app = App(settings())
    monkeypatch.setattr(app.lag, "run", asyncio.Event().wait)  # no sample follows the long one
    async with running(app):
        assert (await get(app, "/livez"))[0] == 200
        app.lag.note(LAG_ALARM + 1)
        status, said = await get(app, "/livez")
    assert (status, "the event loop hung for 31 s" in said) == (503, True)


async def test_routes_open_side_by_side() -> None:
    app = App(settings(routes={"one": MEMORY, "two": MEMORY}))

    class Away(MemoryDeadLetters):
        async def open(self) -> None:
            raise Unavailable("the broker is away")

    for route in app.routes.values():
        object.__setattr__(route.parts, "dead_letters", Away())
    stop = asyncio.Event()
    task = asyncio.create_task(app.run(stop))
    try:
        async with asyncio.timeout(10):
            said = ""
            while "routes.one." not in said or "routes.two." not in said:
                said = (await get(app, "/readyz"))[1]
                await asyncio.sleep(0.01)
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


async def test_a_route_whose_broker_is_away_holds_up_no_other() -> None:
    app = App(settings(routes={"one": MEMORY, "two": MEMORY}))

    class Away(MemoryDeadLetters):
        async def open(self) -> None:
            raise Unavailable("the broker is away")

    object.__setattr__(app.routes["one"].parts, "dead_letters", Away())
    source = app.routes["two"].parts.source
    assert isinstance(source, MemorySource)
    source.publish(b'{"id": "1", "name": "user.created", "data": {}}')
    stop = asyncio.Event()
    task = asyncio.create_task(app.run(stop))
    async with asyncio.timeout(10):
        while source.waiting:  # noqa: ASYNC110  likewise
            await asyncio.sleep(0.01)
    status, said = await get(app, "/readyz")
    assert (status, "routes.one.dead_letters: the broker is away" in said) == (503, True)

    stop.set()
    await asyncio.wait_for(task, 10)
    target = app.routes["two"].parts.target
    assert isinstance(target, MemoryTarget)
    assert [event.id for event in target.accepted] == ["1"]


async def test_a_setting_that_proves_wrong_while_opening_ends_the_process_with_its_error() -> None:
    app = App(settings(routes={"one": MEMORY, "two": MEMORY}))

    class Wrong(MemoryDeadLetters):
        async def open(self) -> None:
            raise ConfigError("routes.two.dead_letters.url", "is wrong", "Set another one")

    class Away(MemoryDeadLetters):
        async def open(self) -> None:
            raise Unavailable("the broker is away")

    object.__setattr__(app.routes["one"].parts, "dead_letters", Away())
    object.__setattr__(app.routes["two"].parts, "dead_letters", Wrong())

    with pytest.raises(ConfigError, match="is wrong"):
        await asyncio.wait_for(app.run(asyncio.Event()), 10)


async def test_a_stop_while_something_is_waited_for_ends_at_once() -> None:
    app = App(settings())

    class Away(MemoryDeadLetters):
        async def open(self) -> None:
            raise Unavailable("the broker is away")

    object.__setattr__(app.routes["default"].parts, "dead_letters", Away())
    stop = asyncio.Event()
    task = asyncio.create_task(app.run(stop))
    await asyncio.sleep(0.05)

    stop.set()

    await asyncio.wait_for(task, 5)


def test_a_wrong_configuration_is_refused_before_anything_is_opened() -> None:
    delays = MEMORY | {"delay": {"type": "rabbitmq"}}

    with pytest.raises(ConfigError, match=r"routes\.default\.delay\.url.*source is no RabbitMQ"):
        App(settings(**delays))


async def test_one_route_that_dies_ends_the_process_with_its_error() -> None:
    app = App(settings(routes={"one": MEMORY, "two": MEMORY}))
    stop = asyncio.Event()
    task = asyncio.create_task(app.run(stop))
    async with asyncio.timeout(10):
        while (await get(app, "/readyz"))[0] != 200:  # noqa: ASYNC110  likewise
            await asyncio.sleep(0.01)

    app.routes["one"].parts.source.stop()  # a source that ends by itself

    with pytest.raises(Exception, match="without being asked"):
        await asyncio.wait_for(task, 20)


async def test_a_key_from_the_environment_is_masked_in_whatever_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("INNGEST_EVENT_KEY", "canary-of-this-test")
    target = {"type": "inngest", "url": "http://127.0.0.1:9"}
    async with running(App(settings(**(MEMORY | {"target": target})))):
        pass

    assert redact("a line with canary-of-this-test in it") == "a line with *** in it"
    assert "canary-of-this-test" not in caplog.text
