"""How tasks are ended, and calls of a client bounded."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress

import pytest

from bridge import tasks
from bridge.errors import BridgeError, ConfigError, Disconnected


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


async def test_a_bounded_call_of_a_client_fails_by_our_names() -> None:
    def translated(error: Exception) -> Exception:
        return ConfigError("source.url", "is refused", "Mend it") if isinstance(error, PermissionError) else error

    ours = Disconnected("as it is")
    for raised, expected in (
        (PermissionError(), "source.url: is refused. Mend it."),
        (asyncio.CancelledError(), "asking: it hung up"),
        (TimeoutError(), "asking: no answer within 60 s"),
        (ours, "as it is"),
        (KeyError("a fault"), "'a fault'"),
        (SystemExit("asked to"), "asked to"),
    ):
        with pytest.raises(BaseException, match=re.escape(expected)) as caught:
            async with tasks.bounded("asking", 60, translated, gave_up="it hung up"):
                raise raised
        named = caught.value is not raised
        assert caught.value.__cause__ is (raised if named else None)
        assert isinstance(caught.value, BridgeError) is (named or raised is ours)


async def test_a_bounded_call_ends() -> None:
    with pytest.raises(Disconnected, match=re.escape("asking: no answer within 0.01 s")):
        async with tasks.bounded("asking", 0.01, lambda error: error, gave_up=""):
            await asyncio.Event().wait()


@pytest.mark.parametrize("swallowed", [True, False])
async def test_a_cancellation_of_ours_comes_out_of_a_bounded_call(*, swallowed: bool) -> None:
    asked = asyncio.Event()

    async def act() -> None:
        async with tasks.bounded("asking", 60, lambda error: error, gave_up=""):
            asked.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if not swallowed:
                    raise ConnectionError from None

    task = asyncio.create_task(act())
    await asked.wait()
    task.cancel()
    await asyncio.wait({task}, timeout=30)
    assert task.cancelled()
