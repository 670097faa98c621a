from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bridge.apis import HttpOptions
from bridge.model import Request, Response
from bridge.targets.client import NOTHING_MORE, Answer
from bridge.targets.failures import CLOSED, HUNG_UP
from bridge.targets.wire import WireClient
from tests.fakes.hostile import HostileServer, plain, silence
from tests.unit.apis.samples import event
from tests.unit.targets.rig import send, target_at

PATIENCE = 60.0  # seconds


@asynccontextmanager
async def client_of(**options: Any) -> AsyncIterator[WireClient]:
    client = WireClient(HttpOptions.model_validate(options), where="target")
    await client.open()
    try:
        yield client
    finally:
        await client.close()


def post(url: str, body: bytes = b"{}") -> Request:
    return Request("POST", url, {}, body)


async def test_more_requests_than_connections_wait_and_all_are_answered() -> None:
    async with HostileServer(plain()) as server, client_of(concurrency=3) as client:
        answers = await asyncio.gather(*(client.once(post(server.url), 100) for _ in range(50)))
    assert [answer.status for answer in answers if isinstance(answer, Response)] == [200] * 50
    assert server.connections <= 3


async def test_a_large_body_arrives_whole() -> None:
    body = bytes(range(256)) * (5 << 12)
    async with HostileServer(plain()) as server, client_of() as client:
        for _ in range(2):
            assert isinstance(await asyncio.wait_for(client.once(post(server.url, body), 100), PATIENCE), Response)
    assert [request.body == body for request in server.requests] == [True, True]
    assert server.connections == 1


async def test_a_request_that_is_given_up_before_its_turn_is_never_sent() -> None:
    told: list[Answer] = []
    async with HostileServer(silence) as server, client_of(concurrency=1) as client:
        first = client.start(post(f"{server.url}/1"), NOTHING_MORE, 100, told.append)
        second = client.start(post(f"{server.url}/2"), NOTHING_MORE, 100, told.append)
        await asyncio.wait_for(server.arrived.wait(), PATIENCE)
        second.cancel()
        second.cancel()
        server.behaviour = plain()
        first.cancel()
        await asyncio.wait_for(client.once(post(f"{server.url}/3"), 100), PATIENCE)
    assert [request.target for request in server.requests] == ["/1", "/3"]
    assert told == []


async def test_closing_ends_what_is_under_way_and_what_waits() -> None:
    told: list[Answer] = []
    async with HostileServer(silence) as server, client_of(concurrency=1) as client:
        for _ in range(2):
            client.start(post(server.url), NOTHING_MORE, 100, told.append)
        await asyncio.wait_for(server.arrived.wait(), PATIENCE)
        await client.close()
        assert told == [HUNG_UP, CLOSED]
        assert await client.once(post(server.url), 100) == CLOSED
        client.start(post(server.url), NOTHING_MORE, 100, told.append).cancel()
        await asyncio.sleep(0)
    assert len(told) == 2


@pytest.mark.parametrize("url", ["ftp://a.test/", "http://a.test/ b"])
async def test_a_request_that_cannot_be_written_is_a_fault_and_leaves_nothing_behind(url: str) -> None:
    async with client_of() as client:
        with pytest.raises(ValueError, match="an address holds"):
            await client.once(post(url), 100)
        assert client._running.trips() == []


async def test_a_thousand_requests_leave_nothing_to_the_garbage_collector() -> None:
    events = [event(str(n)) for n in range(500)]
    async with HostileServer(plain()) as server, target_at(server.url) as target:
        await send(target, events)
        server.requests.clear()
        gc.collect()
        gc.disable()
        try:
            before = _ours()
            for _ in range(2):
                await send(target, events)
            after = _ours()
        finally:
            gc.enable()
    assert after <= before + 10


def _ours() -> int:
    """How many objects of the targets the collector knows. What other tests left may have no name for its module."""
    modules = [getattr(type(each), "__module__", None) for each in gc.get_objects()]
    return sum(isinstance(module, str) and module.startswith("bridge.targets") for module in modules)
