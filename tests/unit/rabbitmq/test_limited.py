"""Bounds on calls to the broker, around a client that treats cancellations in its own way."""

from __future__ import annotations

import asyncio

import pytest

from bridge.errors import ConfigError, Disconnected
from bridge.rabbitmq.connection import limited


async def swallows() -> None:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        return


async def gives_up_with(error: Exception) -> None:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        raise error from None


@pytest.mark.parametrize("call", [swallows, lambda: gives_up_with(OSError("cut")), lambda: gives_up_with(KeyError())])
async def test_a_cancellation_gets_through_whatever_the_client_makes_of_it(call: object) -> None:
    assert callable(call)
    went_on = False

    async def act() -> None:
        nonlocal went_on
        async with limited("asking"):
            await asyncio.create_task(call())
        went_on = True

    task = asyncio.create_task(act())
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait({task}, timeout=30)
    assert task.cancelled()
    assert not went_on


async def test_a_cancellation_of_the_client_is_a_lost_connection() -> None:
    with pytest.raises(Disconnected, match="asking: the connection was lost"):
        async with limited("asking"):
            raise asyncio.CancelledError


async def test_no_answer_in_time_is_a_lost_connection() -> None:
    with pytest.raises(Disconnected, match=r"asking: no answer within 0.01 s"):
        async with limited("asking", 0.01):
            await asyncio.sleep(60)


async def test_our_own_errors_are_left_alone() -> None:
    error = ConfigError("routes.x.source.url", "is wrong", "Mend it")
    with pytest.raises(ConfigError) as caught:
        async with limited("asking"):
            raise error
    assert caught.value is error


async def test_in_a_task_that_is_ending_a_call_is_made_as_usual() -> None:
    answers: list[str] = []

    async def act() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            async with limited("saying goodbye"):
                await asyncio.sleep(0)
            answers.append("said")

    task = asyncio.create_task(act())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task}, timeout=30)
    assert answers == ["said"]
