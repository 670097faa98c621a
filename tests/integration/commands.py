"""`event-bridge` as processes of its own, with settings from the environment, and the local event API beside it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.devserver import DevServer

SECRET = "canary-5ecret"
PATIENCE = 60.0  # seconds

Start = Callable[..., Awaitable["asyncio.subprocess.Process"]]


@dataclass(slots=True, frozen=True)
class Done:
    code: int | None
    out: str
    err: str


@asynccontextmanager
async def starting(folder: Path, source: Mapping[str, str], api: DevServer) -> AsyncIterator[Start]:
    """
    A way to start `event-bridge` in a folder, with this source and this API; whatever was started is ended.

    A variable that is given as "" is not set.
    """
    given = {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "BRIDGE_TARGET__TYPE": "inngest",
        "BRIDGE_TARGET__URL": api.url,
        "BRIDGE_TARGET__NATIVE_DELAY": "0s",
        "BRIDGE_TARGET__KEY": SECRET,
        "BRIDGE_ADMIN__PORT": "0",
        **source,
    }
    started: list[asyncio.subprocess.Process] = []

    async def begin(*arguments: str, **environment: str) -> asyncio.subprocess.Process:
        variables = {name: value for name, value in (given | environment).items() if value}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bridge.cli", *arguments,
            cwd=folder, env=variables,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=1 << 20,
        )  # fmt: skip
        started.append(process)
        return process

    try:
        yield begin
    finally:
        for process in started:
            if process.returncode is None:
                process.kill()
            await process.communicate()


async def done(process: asyncio.subprocess.Process) -> Done:
    """Wait for its end; nothing it said may hold the secret."""
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate()
    assert SECRET not in (out + err).decode()
    return Done(process.returncode, out.decode(), err.decode())


async def lines_until(process: asyncio.subprocess.Process, event: str) -> dict[str, object]:
    """Read its log up to the line with this event."""
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        async for line in process.stdout:
            said: dict[str, object] = json.loads(line)
            if said["event"] == event:
                return said
    pytest.fail(f"{event} was never logged: {await process.stderr.read() if process.stderr else ''!r}")


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110  what another process does has no event to wait for
            await asyncio.sleep(0.02)


def delivered(api: DevServer) -> dict[str, str]:
    return {event.id: event.name for event in api.book.events.values()}
