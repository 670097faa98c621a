"""The clients under test, and what the tests of hostile servers say about them in one line."""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from bridge.apis import HttpOptions
from bridge.model import Request, Response, Retryable
from bridge.targets import HttpTarget
from bridge.targets.client import Client, make_client
from bridge.targets.failures import Failure
from tests.fakes.hostile import HostileServer, plain
from tests.unit.targets.rig import target_at

PATIENCE = 60.0  # seconds for what takes milliseconds on a machine with nothing else to do
READ_LIMIT = 1 << 16

BROKE = "the connection broke before an answer; the event may have arrived"
OFF = "the answer broke off; the event may have arrived"
NO_HTTP = "the answer is no HTTP; the event may have arrived"
LATE = "no answer in time; the event may have arrived"


FOLDER = Path(__file__).parents[2] / "fakes" / "tls"
CA = {"ca_file": str(FOLDER / "ca.pem")}  # to read those of the system takes longer than most tests

KINDS = ("aiohttp", "native")


@asynccontextmanager
async def client_of(kind: str, **options: Any) -> AsyncIterator[Client]:
    """An open client, closed in the end."""
    client = make_client(HttpOptions.model_validate({"client": kind, **CA, **options}), where="target")
    await client.open()
    try:
        yield client
    finally:
        await client.close()


def target_of(kind: str, url: str, type_: str = "webhook", **fields: Any) -> AbstractAsyncContextManager[HttpTarget]:
    """An open target that sends by this client, and tries once."""
    http = {"client": kind, **CA, **fields.pop("http", {})}
    return target_at(url, type_, http=http, **fields)


async def ask(
    client: Client,
    url: str,
    body: bytes = b'{"id":"1"}',
    *,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
    read_limit: int = READ_LIMIT,
) -> Response | Failure:
    """Make one request."""
    request = Request(method, url, {"content-type": "application/json", **(headers or {})}, body)
    return await asyncio.wait_for(client.once(request, read_limit), PATIENCE)


def reason(answer: Response | Failure) -> str:
    """Why the request failed, in a way that another attempt may mend."""
    assert isinstance(answer, Failure), answer
    assert isinstance(answer.outcome, Retryable)
    return answer.outcome.reason


async def until(true: Callable[[], bool]) -> None:
    """Wait for what must come about."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it never came about"
        await asyncio.sleep(0.002)


async def heals(client: Client, server: HostileServer) -> None:
    """
    See that the next request gets its own answer, now that the server is well.

    A connection that the server has left in the meantime may fail it as something passing: the target then tries again.
    """
    server.behaviour, server.talk = plain(200, b"healed"), None
    for _ in range(3):
        answer = await ask(client, server.url)
        if isinstance(answer, Response):
            assert (answer.status, answer.body) == (200, b"healed")
            return
        assert answer.passing, answer
    raise AssertionError("it stays ill")


def open_sockets() -> set[int]:
    """The numbers of all sockets of this process."""
    return {int(entry.name) for entry in Path("/dev/fd").iterdir() if _is_socket(int(entry.name))}


def _is_socket(fd: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:  # that of the listing itself
        return False
