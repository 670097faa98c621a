"""Clients that are cancelled, refused and closed at any moment leave no connection behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import ConnectionGroup

from bridge.errors import BridgeError
from bridge.kafka.connection import client_options, close, start
from bridge.kafka.ending import inner_of
from bridge.kafka.options import KafkaConnection
from devtools.kafka import KafkaNode
from devtools.kafka_lab import Lab
from devtools.kafka_security import USERS
from tests.integration.kafka.members import source_of, until

TRUSTED = {"ca_file": str(Path(__file__).parents[2] / "fakes" / "tls" / "ca.pem")}
ALICE = {"mechanism": "SCRAM-SHA-256", "username": "alice", "password": USERS["alice"]}
WHERE = "source"

Make = Callable[[], Any]


def consumer(servers: str, **settings: Any) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(**options(servers, **settings))


def producer(servers: str, **settings: Any) -> AIOKafkaProducer:
    return AIOKafkaProducer(**options(servers, **settings), enable_idempotence=True)


def admin(servers: str, **settings: Any) -> AIOKafkaAdminClient:
    return AIOKafkaAdminClient(**options(servers, **settings))


KINDS = [consumer, producer, admin]


def options(servers: str, **settings: Any) -> dict[str, Any]:
    cluster = KafkaConnection.model_validate({"bootstrap_servers": servers, **settings})
    return client_options(cluster, where=WHERE, client_id="test")


class Watched:
    """Awaits something, and does another thing just when that begins to wait for the nth time, counted from 0."""

    def __init__(self, inner: Awaitable[Any], nth: int, act: Callable[[], object]) -> None:
        self._inner = inner
        self._nth = nth
        self._act = act
        self.acted = False

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self._inner.__await__()
        go: Callable[[], Any] = lambda: next(steps)  # noqa: E731  it changes with every step
        for wait in count():
            try:
                future = go()
            except StopIteration as done:
                return done.value
            if wait == self._nth:
                self.acted = True
                self._act()
            go = lambda: next(steps)  # noqa: E731
            try:
                yield future
            except BaseException as error:  # noqa: BLE001  it is passed on
                go = lambda error=error: steps.throw(error)  # type: ignore[misc]  # noqa: E731
        return None

    async def run(self) -> Any:
        return await self


def cancel() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


async def cancelled(call: Awaitable[Any], nth: int) -> bool:
    """Whether the call came to its nth wait; it is cancelled there."""
    watched = Watched(call, nth, cancel)
    task = asyncio.create_task(watched.run())
    await asyncio.wait({task})
    assert task.cancelled() == watched.acted
    return watched.acted


def sockets() -> set[str]:
    """All that this process has open now."""
    found: set[str] = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that the list is read by
            found.add(str(entry.readlink()))
    return {name for name in found if name.startswith("socket:")}


async def all_closed(before: set[str]) -> None:
    """What is closed is gone with the next turn of the loop."""
    await until(lambda: sockets() <= before, 20)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_opening_that_is_cancelled_anywhere_leaves_nothing(
    newest_kafka: KafkaNode, kind: Callable[..., Any]
) -> None:
    before = sockets()
    for nth in count():
        client = kind(newest_kafka.bootstrap)
        went_on = not await cancelled(start(client, where=WHERE), nth)
        if went_on:
            await close(client, where=WHERE)
        assert sockets() <= before
        if went_on:
            assert nth > 3
            break


async def test_an_opening_with_tls_and_a_user_that_is_cancelled_anywhere_leaves_nothing(
    secured_kafka: KafkaNode,
) -> None:
    before = sockets()
    for nth in count():
        client = admin(secured_kafka.address("SASL_SSL"), tls=TRUSTED, sasl=ALICE)
        went_on = not await cancelled(start(client, where=WHERE), nth)
        if went_on:
            await close(client, where=WHERE)
        await all_closed(before)
        if went_on:
            assert nth > 3
            break


@pytest.mark.parametrize("kind", KINDS)
async def test_a_closing_that_is_cancelled_anywhere_leaves_nothing(
    newest_kafka: KafkaNode, unique: str, kind: Callable[..., Any]
) -> None:
    async with Lab(newest_kafka.bootstrap) as lab:
        await lab.create_topic(unique)
    before = sockets()
    for nth in count():
        client = kind(newest_kafka.bootstrap)
        await start(client, where=WHERE)
        if kind is consumer:
            client.assign([TopicPartition(unique, 0)])
            await client.getmany(timeout_ms=100)  # and there is always a fetch on its way
        went_on = not await cancelled(close(client, where=WHERE), nth)
        await all_closed(before)
        if went_on:
            break
    assert nth > 0


@pytest.mark.parametrize("kind", KINDS)
async def test_a_connection_that_comes_while_its_client_is_closed_is_closed_too(
    newest_kafka: KafkaNode, kind: Callable[..., Any]
) -> None:
    before = sockets()
    for nth in count():
        client = kind(newest_kafka.bootstrap)
        await start(client, where=WHERE)
        inner, closing = inner_of(client), []
        coming = inner._get_conn(inner.get_random_node(), group=ConnectionGroup.COORDINATION)
        watched = Watched(coming, nth, lambda: closing.append(asyncio.create_task(close(client, where=WHERE))))  # noqa: B023  it is called at once
        await asyncio.gather(watched.run(), return_exceptions=True)
        await (closing[0] if closing else close(client, where=WHERE))
        await all_closed(before)
        if not watched.acted:
            assert nth > 1
            break


@pytest.mark.parametrize("kind", KINDS)
async def test_a_broker_that_falls_silent_while_a_client_opens_keeps_no_connection(
    newest_kafka: KafkaNode, kind: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.kafka.connection.EACH_LIMIT", 0.5)
    monkeypatch.setattr("bridge.kafka.connection.CALL_LIMIT", 2.0)
    monkeypatch.setattr("bridge.kafka.reach.EACH", 0.5)
    before = sockets()
    async with newest_kafka.wire() as wire:
        ours = sockets()
        for nth in count():
            client = kind(wire.address)
            opening = Watched(start(client, where=WHERE), nth, wire.freeze)
            try:
                await opening.run()
            except BridgeError:
                pass
            else:
                await close(client, where=WHERE)
            wire.cut()
            wire.thaw()
            await all_closed(ours)
            if not opening.acted:
                assert nth > 3
                break
    await all_closed(before)


async def test_a_session_whose_opening_is_cancelled_anywhere_leaves_nothing(
    newest_kafka: KafkaNode, unique: str
) -> None:
    async with Lab(newest_kafka.bootstrap) as lab:
        await lab.create_topic(unique)
    before = sockets()
    for nth in count():
        source = source_of(newest_kafka.bootstrap, [unique])
        went_on = not await cancelled(source.open(), nth)
        await source.close()
        await all_closed(before)
        if went_on:
            assert nth > 3
            break
