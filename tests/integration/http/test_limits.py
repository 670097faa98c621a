"""No server can take more of our time and memory than the settings allow."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc

import pytest

from bridge.model import Response
from bridge.targets.failures import Failure
from tests.fakes.hostile import Behaviour, HostileServer, Talk, endless, plain, raw, silence
from tests.fakes.hostile_talk import Flood, crumbs, full_backlog, ignore, listen_only
from tests.integration.http.answers import CHUNKED, HEAD, OK
from tests.integration.http.rig import (
    LATE,
    NO_HTTP,
    OFF,
    PATIENCE,
    READ_LIMIT,
    ask,
    client_of,
    heals,
    reason,
    until,
)

SHORT = 0.3  # seconds that a request may take
TAKEN_IN = 24 << 20  # bytes, with all that the buffers of the system may hold of it
MIB = b"x" * (1 << 20)

FLOODS = {
    "by length": (HEAD + b"content-length: %d\r\n\r\n" % (100 << 20), MIB),
    "in chunks": (CHUNKED, b"100000\r\n" + MIB + b"\r\n"),
    "in tiny chunks": (CHUNKED, b"1\r\nx\r\n" * (1 << 17)),
    "until the end": (HEAD + b"\r\n", MIB),
    "of a head": (HEAD, b"x-x-x-x: y-y-y-y\r\n" * (1 << 16)),
    "of one line": (HEAD + b"x: ", MIB),
    "of a trailer": (CHUNKED + b"2\r\nok\r\n0\r\n", b"x-x-x-x: y-y-y-y\r\n" * (1 << 16)),
    "of the status line's words": (b"HTTP/1.1 200 ", MIB),
    "after a whole answer": (OK, MIB),
}
HOARDED = {("aiohttp", "of hints"): 512 << 20}
"""Bytes for a weakness: aiohttp 3.14.5 makes some 8 KB of every hint in a read, 85 MB of the reads of uvloop."""

IDLE_FLOODS = {
    "of hints": (b"", b"HTTP/1.1 103 X\r\nlink: x\r\n\r\n" * (1 << 15)),
    "of empty lines": (b"", b"\r\n" * (1 << 19)),
    "of a chunk's extension": (CHUNKED + b"2;", MIB),
    "of a chunk's size": (CHUNKED, b"0" * (1 << 20)),
}
"""Of these a client may let in as much as it has time for, since it keeps nothing."""


@pytest.mark.parametrize(
    "behaviour",
    [
        silence,
        crumbs(OK, pause=1),
        crumbs(HEAD + b"content-length: 100\r\n\r\n" + b"x" * 100, pause=0.03),
        crumbs(CHUNKED + b"1\r\nx\r\n" * 100, pause=0.01),
        endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", pause=0.02),
        endless(HEAD, b"x: y\r\n", pause=0.02),
        endless(CHUNKED + b"0\r\n", b"x: y\r\n", pause=0.02),
        raw(HEAD + b"content-length: 5\r\n\r\nhal"),
    ],
    ids=["silence", "drip", "drip-body", "drip-chunks", "drip-hints", "drip-fields", "drip-trailer", "half"],
)
async def test_the_whole_answer_has_to_come_in_time(kind: str, behaviour: Behaviour) -> None:
    async with HostileServer(behaviour) as server, client_of(kind, timeout=SHORT) as client:
        answer = await ask(client, server.url)
        assert isinstance(answer, Failure)
        assert reason(answer) == LATE
        assert not answer.passing
        server.behaviour = plain()
        for _ in range(3):  # each with as little time
            if isinstance(answer := await ask(client, server.url), Response):
                break
        await until(lambda: server.under_way <= 1)


@pytest.mark.parametrize("talk", [ignore, listen_only])
@pytest.mark.parametrize("mib", [0, 1, 32])
async def test_a_server_that_says_nothing_at_all(kind: str, talk: Talk, mib: int) -> None:
    body = bytes(min(mib, 1 if kind == "aiohttp" else mib) << 20)  # aiohttp warns of larger ones
    async with HostileServer(plain(), talk=talk) as server, client_of(kind, timeout=SHORT) as client:
        assert reason(await ask(client, server.url, body)) == LATE


async def test_many_are_late_at_once_and_leave_room_for_the_next(kind: str) -> None:
    async with HostileServer(silence) as server, client_of(kind, timeout=1, concurrency=8) as client:
        answers = await asyncio.gather(*(ask(client, server.url) for _ in range(8)))
        assert {reason(answer) for answer in answers} == {LATE}
        await until(lambda: server.under_way == 0)
    assert len(server.requests) == 8


async def test_a_server_that_accepts_no_connection(kind: str) -> None:
    with full_backlog() as port:
        async with client_of(kind, connect_timeout=SHORT) as client:
            answer = await ask(client, f"http://127.0.0.1:{port}")
    assert reason(answer) == "connect: timed out"
    assert isinstance(answer, Failure)
    assert answer.passing


async def test_the_time_to_connect_counts_towards_the_whole(kind: str) -> None:
    with full_backlog() as port:
        async with client_of(kind, connect_timeout=600, timeout=SHORT) as client:
            answer = await ask(client, f"http://127.0.0.1:{port}")
    assert isinstance(answer, Failure)


@pytest.mark.parametrize("name", FLOODS)
async def test_a_flood_is_not_taken_in(kind: str, name: str) -> None:
    flood = Flood(*FLOODS[name], 100)
    async with HostileServer(flood) as server, client_of(kind) as client:
        answer = await ask(client, server.url)
        assert isinstance(answer, Response) or reason(answer) == NO_HTTP
        assert not isinstance(answer, Response) or len(answer.body) <= READ_LIMIT
        await asyncio.wait_for(server.gone.wait(), PATIENCE)
        await heals(client, server)
    assert flood.sent <= TAKEN_IN


@pytest.mark.parametrize("name", IDLE_FLOODS)
async def test_a_flood_of_nothing_is_over_in_time_and_fills_no_memory(kind: str, name: str) -> None:
    flood = Flood(*IDLE_FLOODS[name], 1_000_000)
    tracemalloc.start()
    try:
        async with HostileServer(flood) as server, client_of(kind, timeout=SHORT) as client:
            assert reason(await ask(client, server.url)) in {LATE, NO_HTTP, OFF}
            await asyncio.wait_for(server.gone.wait(), PATIENCE)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most <= HOARDED.get((kind, name), TAKEN_IN)


async def test_what_is_packed_stays_packed(kind: str) -> None:
    packed = gzip.compress(bytes(10 << 20))
    async with HostileServer(plain(200, packed, "content-encoding: gzip")) as server, client_of(kind) as client:
        answer = await ask(client, server.url)
        assert isinstance(answer, Response)
        assert answer.body == packed
        assert server.requests[0].headers["accept-encoding"] == "identity"
