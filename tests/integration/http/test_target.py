"""The HTTP target on hostile servers: no event counts as taken in without an answer that said so, and none is stuck."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from typing import Any

import orjson
import pytest

from bridge.model import Accepted, Retryable
from tests.fakes.hostile import OK, Behaviour, HostileServer, Talk, in_turn, plain, raw, reset, silence
from tests.fakes.hostile_talk import leave_at_once, reset_at_once
from tests.integration.http.answers import ANSWERS, HEAD, Case, Taken
from tests.integration.http.rig import PATIENCE, target_of, until
from tests.unit.apis.samples import event
from tests.unit.targets.rig import send, send_one

ILL: list[Behaviour] = [
    reset,
    plain(503),
    raw(b"", close=True),
    raw(OK, close=True),
    raw(OK + b"more"),
    raw(HEAD + b"content-length: 9\r\n\r\nx", close=True),
    raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    raw(b"HTTP/1.0 200 OK\r\n\r\n", close=True),
    plain(200, b"ok", "connection: close"),
    plain(429),
]


def accepts(case: Case, kind: str) -> set[bool]:
    """Whether the answer may mean that the event was taken in."""
    meanings = (case.aiohttp,) if case.aiohttp and kind == "aiohttp" else case.meanings
    return {isinstance(meaning, Taken) and 200 <= meaning.status < 300 for meaning in meanings}


async def misunderstood(kind: str, type_: str, right: Callable[[Case], set[bool]], **fields: Any) -> list[object]:
    """What an event was wrongly taken for, of all the answers, and where the next event did not pass."""
    wrong: list[object] = []
    async with HostileServer(plain()) as server, target_of(kind, server.url, type_, **fields) as target:
        for case in ANSWERS:
            server.behaviour = case.behaviour
            target.quick_tries = lambda: False
            first = await asyncio.wait_for(send_one(target), PATIENCE)
            server.behaviour = plain(200, orjson.dumps({"ids": ["1"], "status": 200}))
            target.quick_tries = lambda: True
            then = await asyncio.wait_for(send_one(target), PATIENCE)
            if isinstance(first, Accepted) not in right(case) or not isinstance(then, Accepted):
                wrong.append((case.name, first, then))
    return wrong


async def test_only_a_whole_answer_that_says_so_means_accepted(kind: str) -> None:
    assert await misunderstood(kind, "webhook", lambda case: accepts(case, kind)) == []


async def test_an_api_of_arrays_takes_none_of_these_for_a_yes(kind: str) -> None:
    assert await misunderstood(kind, "inngest", lambda _: {False}, key="k") == []


@pytest.mark.parametrize("behaviour", ILL)
async def test_an_id_arrives_at_most_once_a_try(kind: str, behaviour: Behaviour) -> None:
    """At most three tries; the event counts as taken in only where an answer to the last of them said so."""
    tries: list[str] = []
    async with HostileServer(in_turn(plain(), behaviour)) as server, target_of(kind, server.url) as target:
        target.observe = lambda outcome, *_: tries.append(outcome)
        target.quick_tries = lambda: True
        assert await send_one(target, id="first") == Accepted()
        outcome = await asyncio.wait_for(send_one(target, id="second"), PATIENCE)
        ids = Counter(orjson.loads(request.body)["id"] for request in server.requests)
        assert ids["first"] == 1
        assert ids["second"] <= len(tries) - 1 <= 3
        assert isinstance(outcome, Accepted) == (tries[-1] == "accepted")
        server.behaviour = plain()
        assert await send_one(target, id="third") == Accepted()


@pytest.mark.parametrize("talk", [reset_at_once, leave_at_once])
async def test_what_never_arrived_is_tried_again_and_then_left_for_later(kind: str, talk: Talk) -> None:
    tries: list[str] = []
    async with HostileServer(plain(), talk=talk) as server, target_of(kind, server.url) as target:
        target.observe = lambda outcome, *_: tries.append(outcome)
        target.quick_tries = lambda: True
        assert isinstance(await asyncio.wait_for(send_one(target), PATIENCE), Retryable)
        assert (server.requests, set(tries)) == ([], {"retryable"})
        server.talk = None
        assert await send_one(target) == Accepted()
    assert len(server.requests) == 1


async def test_a_server_that_is_ill_in_every_way_wedges_nothing(kind: str) -> None:
    async with (
        HostileServer(in_turn(*ILL * 20)) as server,
        target_of(kind, server.url, http={"concurrency": 2, "timeout": "20s"}) as target,
    ):
        for _ in range(2):
            outcomes = await asyncio.wait_for(send(target, [event(str(n)) for n in range(60)]), PATIENCE)
            assert {Accepted, Retryable} == {type(outcome) for outcome in outcomes}
        server.behaviour = plain()
        target.quick_tries = lambda: True
        outcomes = await asyncio.wait_for(send(target, [event(str(n)) for n in range(60)]), PATIENCE)
        assert set(outcomes) == {Accepted()}
    assert server.most <= 2


async def test_a_send_that_is_given_up_leaves_no_request_and_no_connection(kind: str) -> None:
    async with (
        HostileServer(in_turn(plain(), silence)) as server,
        target_of(kind, server.url, http={"concurrency": 4}) as target,
    ):
        sending = target.send([event(str(n)) for n in range(20)], [1] * 20)
        await asyncio.wait_for(anext(sending), PATIENCE)
        await until(lambda: len(server.requests) >= 4)
        assert isinstance(sending, AsyncGenerator)
        await sending.aclose()
        await until(lambda: server.under_way == 0)
        server.behaviour = plain()
        assert set(await send(target, [event(str(n)) for n in range(20)])) == {Accepted()}


async def test_a_late_server_holds_up_no_other_event_for_longer_than_its_limit(kind: str) -> None:
    async with (
        HostileServer(in_turn(silence, plain())) as server,
        target_of(kind, server.url, http={"concurrency": 2, "timeout": "1s"}) as target,
    ):
        outcomes = await asyncio.wait_for(send(target, [event(str(n)) for n in range(40)]), PATIENCE)
    assert Counter(type(outcome) for outcome in outcomes) == {Accepted: 39, Retryable: 1}
