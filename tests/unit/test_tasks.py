"""How tasks are ended."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from bridge import tasks


async def test_what_swallows_a_cancellation_is_over_all_the_same() -> None:
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        while swallowed < 3:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                swallowed += 1
        await asyncio.sleep(60)

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await asyncio.wait_for(tasks.end(task), 30)
    assert task.cancelled()
    assert swallowed == 3


async def test_what_never_ends_is_left_and_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tasks, "AGAIN", 0.01)
    enough = asyncio.Event()

    async def deaf() -> None:
        while not enough.is_set():
            with suppress(asyncio.CancelledError):
                await enough.wait()

    task = asyncio.create_task(deaf(), name="deaf")
    await asyncio.sleep(0)
    await asyncio.wait_for(tasks.end(task), 30)
    assert not task.done()
    assert [record.message for record in caplog.records] == ["tasks_do_not_end"]
    enough.set()
    await task


async def test_nothing_to_end_and_what_is_over_already_end_at_once() -> None:
    async def fails() -> None:
        raise ValueError

    task = asyncio.create_task(fails())
    await asyncio.sleep(0)
    await tasks.end()
    await tasks.end(task)
    assert task.done()
