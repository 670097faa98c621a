"""Which connections are made, kept and given up."""

from __future__ import annotations

import asyncio

import pytest

from bridge.model import Accepted, Response
from bridge.targets.failures import Failure
from tests.fakes.hostile import (
    OK,
    Behaviour,
    HostileServer,
    Received,
    Talk,
    Writer,
    in_turn,
    plain,
    raw,
    reset,
    silence,
)
from tests.fakes.hostile_talk import early, leave_at_once, reset_at_once
from tests.integration.http.rig import (
    BROKE,
    PATIENCE,
    READ_LIMIT,
    ask,
    client_of,
    heals,
    open_sockets,
    reason,
    target_of,
    until,
)
from tests.unit.apis.samples import event
from tests.unit.targets.rig import send


def large(kind: str) -> bytes:
    """A body that no system's buffers hold, except for aiohttp, which warns of any over 1 MiB."""
    return bytes(1 << 20 if kind == "aiohttp" else 32 << 20)


async def leave(_: Received, writer: Writer) -> None:
    """Close the connection without an answer."""
    writer.close()


async def leave_while_idle(_: Received, writer: Writer) -> None:
    """Answer; a moment later close the connection."""
    writer.write(OK)
    asyncio.get_running_loop().call_later(0.05, writer.close)


async def reset_while_idle(_: Received, writer: Writer) -> None:
    """Answer; a moment later reset the connection."""
    writer.write(OK)
    await writer.drain()
    await asyncio.sleep(0.05)
    await reset(None, writer)


def babble_while_idle(data: bytes) -> Behaviour:
    """Answer; a moment later say this, unasked."""

    async def act(_: Received, writer: Writer) -> None:
        writer.write(OK)
        asyncio.get_running_loop().call_later(0.05, writer.write, data)

    return act


async def test_one_connection_serves_one_request_after_another(kind: str) -> None:
    async with HostileServer(plain()) as server, client_of(kind) as client:
        for _ in range(50):
            assert isinstance(await ask(client, server.url), Response)
    assert (len(server.requests), server.connections) == (50, 1)


@pytest.mark.parametrize("talk", [reset_at_once, leave_at_once])
async def test_a_server_that_leaves_before_the_request(kind: str, talk: Talk) -> None:
    async with HostileServer(plain(), talk=talk) as server, client_of(kind) as client:
        answer = await ask(client, server.url)
        assert isinstance(answer, Failure)
        assert reason(answer) == BROKE
        assert answer.passing
        await heals(client, server)
    assert len(server.requests) == 1


@pytest.mark.parametrize("behaviour", [reset, leave])
async def test_a_request_that_was_read_is_not_repeated_by_the_client(kind: str, behaviour: Behaviour) -> None:
    async with HostileServer(behaviour) as server, client_of(kind) as client:
        answer = await ask(client, server.url)
        assert isinstance(answer, Failure)
        assert reason(answer) == BROKE
        assert answer.passing
        assert len(server.requests) == 1
        await heals(client, server)


@pytest.mark.parametrize("behaviour", [reset, leave])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_neither_is_one_on_a_connection_used_before(kind: str, behaviour: Behaviour, method: str) -> None:
    """The race of keep-alive: the server leaves as the request comes. It may have been read, whatever its method."""
    async with HostileServer(in_turn(plain(), behaviour)) as server, client_of(kind) as client:
        assert isinstance(await ask(client, server.url), Response)
        answer = await ask(client, server.url, method=method)
        assert isinstance(answer, Failure)
        assert answer.passing
        assert len(server.requests) == 2 + (kind == "aiohttp" and method == "PUT")  # aiohttp repeats what is idempotent
        await heals(client, server)


@pytest.mark.parametrize("behaviour", [leave_while_idle, reset_while_idle])
async def test_a_connection_that_the_server_left_while_idle_is_replaced(kind: str, behaviour: Behaviour) -> None:
    async with HostileServer(behaviour) as server, client_of(kind) as client:
        assert isinstance(await ask(client, server.url), Response)
        await until(lambda: not server.under_way or server.gone.is_set())
        await heals(client, server)
    assert (server.connections, len(server.requests)) == (2, 2)


@pytest.mark.parametrize(
    "data", [OK, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", b"HTTP/1.1 103 X\r\n\r\n", b"\r\n", b"x"]
)
async def test_what_comes_unasked_answers_nothing(kind: str, data: bytes) -> None:
    # aiohttp would take it for the next answer, until the time of the idle connection is over
    keepalive = 0.3 if kind == "aiohttp" else 600
    async with HostileServer(babble_while_idle(data)) as server, client_of(kind, keepalive=keepalive) as client:
        assert isinstance(await ask(client, server.url), Response)
        await asyncio.wait_for(server.gone.wait(), PATIENCE)
        await heals(client, server)
    assert server.connections == 2


async def test_a_server_that_closes_after_every_answer(kind: str) -> None:
    behaviour = plain(200, b"ok", "connection: close")
    async with HostileServer(behaviour) as server, client_of(kind) as client:
        for _ in range(20):
            assert isinstance(await ask(client, server.url), Response)
        await until(lambda: server.under_way == 0)
    assert (server.connections, len(server.requests)) == (20, 20)


async def test_an_idle_connection_is_closed_after_its_time(kind: str) -> None:
    async with HostileServer(plain()) as server, client_of(kind, keepalive=0.2) as client:
        assert isinstance(await ask(client, server.url), Response)
        await asyncio.wait_for(server.gone.wait(), PATIENCE)
        await heals(client, server)
    assert server.connections == 2


@pytest.mark.parametrize("read_on", [True, False])
async def test_an_answer_before_the_whole_request_counts(kind: str, read_on: bool) -> None:
    refusal = b"HTTP/1.1 413 X\r\ncontent-length: 3\r\n\r\nbig"
    async with HostileServer(plain(), talk=early(refusal, read_on=read_on)) as server, client_of(kind) as client:
        before = open_sockets()
        answer = await ask(client, server.url, large(kind))
        assert isinstance(answer, Response)
        assert (answer.status, answer.body) == (413, b"big")
        if kind != "aiohttp":  # which takes a request for sent that is still in its buffer, and keeps the connection
            await until(lambda: len(open_sockets() - before) <= 1)  # the server's own end
            await heals(client, server)
            assert server.connections == 2


async def test_a_large_request_arrives_whole(kind: str) -> None:
    async with HostileServer(plain()) as server, client_of(kind) as client:
        assert isinstance(await ask(client, server.url, large(kind)), Response)
    assert server.requests[0].body == large(kind)


async def test_connections_are_no_more_than_allowed(kind: str) -> None:
    async with (
        HostileServer(in_turn(*[plain(), plain(503), raw(OK, close=True), reset] * 20)) as server,
        target_of(kind, server.url, http={"concurrency": 3}) as target,
    ):
        for _ in range(3):
            await send(target, [event(str(n)) for n in range(40)])
        server.behaviour = plain()
        assert set(await send(target, [event(str(n)) for n in range(40)])) == {Accepted()}
    assert server.most <= 3


async def test_no_cookie_is_kept(kind: str) -> None:
    async with HostileServer(plain(200, b"ok", "set-cookie: a=b; path=/")) as server, client_of(kind) as client:
        for _ in range(2):
            assert isinstance(await ask(client, server.url), Response)
    assert not any("cookie" in request.headers for request in server.requests)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(kind: str, status: int) -> None:
    async with HostileServer(plain()) as elsewhere:
        redirect = plain(status, b"", f"location: {elsewhere.url}/steal")
        async with HostileServer(redirect) as server, client_of(kind) as client:
            answer = await ask(client, server.url, headers={"authorization": "Bearer canary"})
    assert isinstance(answer, Response)
    assert answer.status == status
    assert len(server.requests) == 1
    assert elsewhere.connections == 0


async def test_cancelling_closes_the_connection(kind: str) -> None:
    async with HostileServer(silence) as server, client_of(kind) as client:
        asking = asyncio.create_task(ask(client, server.url))
        await asyncio.wait_for(server.arrived.wait(), PATIENCE)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.wait_for(server.gone.wait(), PATIENCE)
        await heals(client, server)
    assert server.connections == 2


async def test_cancelling_many_leaves_room_for_the_next(kind: str) -> None:
    async with HostileServer(silence) as server, client_of(kind, concurrency=4) as client:
        for _ in range(5):
            asking = [asyncio.create_task(ask(client, server.url)) for _ in range(4)]
            seen = len(server.requests)
            await until(lambda: len(server.requests) >= seen + 4)  # noqa: B023  used at once
            for each in asking:
                each.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        await until(lambda: server.under_way == 0)
        await heals(client, server)


async def test_closing_ends_what_is_under_way(kind: str) -> None:
    async with HostileServer(silence) as server, client_of(kind) as client:
        asking = [asyncio.create_task(ask(client, server.url)) for _ in range(5)]
        await until(lambda: len(server.requests) == 5)
        await asyncio.wait_for(client.close(), 15)
        answers = await asyncio.wait_for(asyncio.gather(*asking), PATIENCE)
        await until(lambda: server.under_way == 0)
    assert all(isinstance(answer, Failure) for answer in answers)


async def test_closing_twice_is_harmless(kind: str) -> None:
    async with HostileServer(plain()) as server, client_of(kind) as client:
        assert isinstance(await ask(client, server.url), Response)
        await client.close()
        await client.close()
        await until(lambda: server.under_way == 0)


async def test_the_body_is_cut_at_the_limit(kind: str) -> None:
    behaviour = plain(200, b"x" * (READ_LIMIT + 1))
    async with HostileServer(behaviour) as server, client_of(kind) as client:
        answer = await ask(client, server.url)
        assert isinstance(answer, Response)
        assert answer.body == b"x" * READ_LIMIT
        await heals(client, server)


async def test_a_body_as_long_as_the_limit_is_whole(kind: str) -> None:
    async with HostileServer(plain(200, b"x" * READ_LIMIT)) as server, client_of(kind) as client:
        answer = await ask(client, server.url)
        assert isinstance(answer, Response)
        assert answer.body == b"x" * READ_LIMIT
        await heals(client, server)
