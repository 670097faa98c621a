"""Answers that nobody has thought of: cut anywhere, changed anywhere, and put together at random."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.model import Response
from bridge.targets.client import Client
from bridge.targets.failures import Failure
from tests.fakes.hostile import OK, Behaviour, HostileServer, Received, Writer, plain, raw
from tests.integration.http.answers import CHUNKED, HEAD
from tests.integration.http.rig import LATE, ask, client_of, heals, reason

WHOLE = (
    b"HTTP/1.1 103 X\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nx-one: 1\r\nContent-Length: 11\r\n\r\nhello world",
    CHUNKED + b"5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nx: y\r\n\r\n",
)
"""Answers that end by themselves, so that no part of them is one."""

REPLACEMENTS = b"\0\n\r 0:;\xff"

PIECES = st.sampled_from(
    [
        *(OK, HEAD, CHUNKED, b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b"-1", b"ok", b"x: y\r\n"),
        *(b"2\r\nok\r\n", b"0\r\n\r\n", b"FFFFFFFF\r\n", b"18446744073709551616"),
        *(b"HTTP/1.", b"1 200 OK\r\n", b"0 204 X\r\n", b"HTTP/1.1 100 X\r\n\r\n", b"HTTP/1.1 101 X\r\n\r\n"),
        *(b"content-length: ", b"transfer-encoding: chunked\r\n", b"upgrade: h2c\r\nconnection: upgrade\r\n"),
        *(b"connection: close\r\n", b"connection: keep-alive\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ]
)
ANSWERS = st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=12).map(b"".join))

NAMES = st.from_regex(r"\Ax-[a-z0-9-]{1,20}\Z")
VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=40)

# The same examples each time: what is found once must be found again. Fixtures may be shared: they are values.
same = settings(
    max_examples=60, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


async def survives(client: Client, server: HostileServer, behaviour: Behaviour) -> Response | Failure:
    """The request ends before its time is up, the server having hung up, and the next one is none the worse."""
    server.requests.clear()
    server.behaviour = behaviour
    answer = await ask(client, server.url)
    assert isinstance(answer, Response) or reason(answer) != LATE
    assert len(server.requests) == 1
    await heals(client, server)
    return answer


@pytest.mark.parametrize("whole", WHOLE, ids=["length", "chunks"])
async def test_an_answer_that_is_cut_is_none_wherever_it_is_cut(kind: str, whole: bytes) -> None:
    async with HostileServer(plain()) as server, client_of(kind) as client:
        for end in range(len(whole)):
            assert isinstance(await survives(client, server, raw(whole[:end], close=True)), Failure), whole[:end]
        assert isinstance(await survives(client, server, raw(whole, close=True)), Response)


@pytest.mark.parametrize("whole", WHOLE, ids=["length", "chunks"])
async def test_an_answer_with_one_byte_changed_harms_nothing(kind: str, whole: bytes) -> None:
    async with HostileServer(plain()) as server, client_of(kind) as client:
        for place in range(len(whole)):
            other = REPLACEMENTS[place % len(REPLACEMENTS) :][:1]
            await survives(client, server, raw(whole[:place] + other + whole[place + 1 :], close=True))


@given(data=ANSWERS)
@same
async def test_any_bytes_end_as_an_answer_or_a_failure(kind: str, data: bytes) -> None:
    async with HostileServer(plain()) as server, client_of(kind) as client:
        await survives(client, server, raw(data, close=True))


@given(
    status=st.integers(200, 599).filter(lambda status: status not in {204, 304}),
    fields=st.dictionaries(NAMES, VALUES, max_size=5),
    body=st.binary(max_size=2000),
    sizes=st.lists(st.integers(1, 300), min_size=1, max_size=5),
    chunked=st.booleans(),
    cuts=st.lists(st.integers(0, 2500), max_size=6),
)
@same
async def test_any_lawful_answer_is_read_as_it_was_said_however_it_is_cut(
    kind: str, status: int, fields: dict[str, str], body: bytes, sizes: list[int], chunked: bool, cuts: list[int]
) -> None:
    framing = "transfer-encoding: chunked" if chunked else f"content-length: {len(body)}"
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in fields.items()), framing, "", ""]
    data = "\r\n".join(lines).encode() + (chunks(body, sizes) if chunked else body)
    async with HostileServer(plain()) as server, client_of(kind) as client:
        answer = await survives(client, server, in_pieces(data, cuts))
        assert server.connections == 1
    assert isinstance(answer, Response)
    assert (answer.status, answer.body) == (status, body)
    assert {name: answer.headers[name] for name in fields} == fields


def chunks(body: bytes, sizes: list[int]) -> bytes:
    parts: list[bytes] = []
    at = 0
    while at < len(body):
        size = min(sizes[len(parts) % len(sizes)], len(body) - at)
        parts.append(b"%x\r\n%b\r\n" % (size, body[at : at + size]))
        at += size
    return b"".join([*parts, b"0\r\n\r\n"])


def in_pieces(data: bytes, cuts: list[int]) -> Behaviour:
    async def act(_: Received, writer: Writer) -> None:
        edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
        for start, end in pairwise(edges):
            writer.write(data[start:end])
            await writer.drain()

    return act
