"""Bounds on calls to the cluster, around a client that treats cancellations in its own way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError

from bridge.errors import ConfigError, Disconnected
from bridge.kafka.connection import limited


async def swallows() -> None:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        return


async def gives_up() -> None:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        raise KafkaConnectionError("cut") from None


@pytest.mark.parametrize("call", [swallows, gives_up])
async def test_a_cancellation_gets_through_whatever_the_client_makes_of_it(call: Callable[[], Awaitable[None]]) -> None:
    went_on = False

    async def act() -> None:
        nonlocal went_on
        async with limited("asking"):
            await call()
        went_on = True

    task = asyncio.create_task(act())
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait({task}, timeout=30)
    assert task.cancelled()
    assert not went_on


async def test_a_cancellation_of_the_client_is_a_lost_session() -> None:
    with pytest.raises(Disconnected, match="asking: the client gave up"):
        async with limited("asking"):
            raise asyncio.CancelledError


async def test_no_answer_in_time_is_a_lost_session() -> None:
    with pytest.raises(Disconnected, match=r"asking: no answer within 0.01 s"):
        async with limited("asking", 0.01):
            await asyncio.sleep(60)


async def test_the_right_that_a_call_takes_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        async with limited("sending", where="routes.x.delay", needs="Write"):
            raise TopicAuthorizationFailedError({"orders"})
    assert str(caught.value) == (
        "routes.x.delay: sending: topic orders is forbidden to this user. Give this user the ACL Write on topic orders."
    )


async def test_our_own_errors_are_left_alone() -> None:
    error = ConfigError("routes.x.source.topics", "is wrong", "Mend it")
    with pytest.raises(ConfigError) as caught:
        async with limited("asking"):
            raise error
    assert caught.value is error


async def test_faults_of_ours_are_left_alone() -> None:
    with pytest.raises(KeyError):
        async with limited("asking"):
            raise KeyError("oops")
