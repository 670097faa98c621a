"""Every answer of the table, whether it is taken or refused, and that the next request is not harmed by it."""

from __future__ import annotations

import pytest

from bridge.model import Response
from tests.fakes.hostile import HostileServer
from tests.integration.http.answers import ANSWERS, Case
from tests.integration.http.rig import ask, client_of, heals

each = pytest.mark.parametrize("case", ANSWERS, ids=lambda case: case.name.replace(" ", "-"))


@each
async def test_an_answer_means_what_it_says_and_spoils_nothing_after_it(kind: str, case: Case) -> None:
    async with HostileServer(case.behaviour) as server, client_of(kind, timeout=20) as client:
        answer = await ask(client, server.url)
        assert case.allows(answer, kind), answer
        assert len(server.requests) == 1
        await heals(client, server)
        if case.kept is not None:
            assert (server.connections == 1) == case.kept
        if isinstance(answer, Response):
            assert not any({"\r", "\n", "\0"} & set(value) for value in answer.headers.values())
