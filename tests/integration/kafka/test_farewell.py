"""How sessions end: closed in the middle of things, without a broker, thrown out, or soon back under their name."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest

from bridge.errors import Disconnected, EndOfSource
from bridge.kafka.connection import CALL_LIMIT
from devtools.kafka_lab import Lab
from devtools.kafka_node import KafkaNode
from devtools.wire import Wire
from tests.integration.kafka.members import (
    bodies_of,
    consume,
    member,
    numbered,
    put_out,
    session_of,
    settle,
    source_of,
    take,
    undone,
    until,
)

SOON = 10.0  # seconds in which a session must have closed, of which it needs about four


@pytest.fixture
async def lab(newest_kafka: KafkaNode) -> AsyncIterator[Lab]:
    async with Lab(newest_kafka.bootstrap) as lab:
        yield lab


@pytest.fixture
async def wire(newest_kafka: KafkaNode) -> AsyncIterator[Wire]:
    async with newest_kafka.wire() as wire:
        yield wire


def running() -> set[asyncio.Task[object]]:
    """The tasks of the bridge and its client."""
    found = set()
    for task in asyncio.all_tasks():
        where = getattr(getattr(task.get_coro(), "cr_code", None), "co_filename", "")
        if "/aiokafka/" in where or "/bridge/" in where:
            found.add(task)
    return found


def freeze(wire: Wire) -> None:
    wire.freeze()


def cut(wire: Wire) -> None:
    wire.freeze()
    wire.cut()


@pytest.mark.parametrize("happens", [freeze, cut])
async def test_a_close_without_a_broker_ends_soon_and_leaves_nothing_running(
    lab: Lab, wire: Wire, unique: str, happens: Callable[[Wire], None]
) -> None:
    await lab.create_topic(unique)
    await lab.produce(unique, numbered(5))
    before = running()
    source = source_of(wire.address, [unique])
    await source.open()
    await settle(source, (await take(source, 5))[:2])
    happens(wire)
    began = time.monotonic()
    source.stop()
    await source.close()
    assert time.monotonic() - began < CALL_LIMIT + SOON  # the last commit may take as long as any call
    await until(lambda: not running() - before, SOON)
    wire.thaw()
    async with member(wire.address, [unique]) as source:
        left = Counter[bytes]()
        consuming = asyncio.create_task(consume(source, left))
        await until(lambda: set(numbered(3, first=2)) <= set(left))
        source.stop()
        await consuming


async def test_a_close_leaves_nothing_running(lab: Lab, newest_kafka: KafkaNode, unique: str) -> None:
    await lab.create_topic(unique)
    before = running()
    async with member(newest_kafka.bootstrap, [unique]):
        assert running() - before
    await until(lambda: not running() - before, SOON)


async def test_a_receive_that_waits_ends_when_the_source_is_told_to_stop(
    lab: Lab, newest_kafka: KafkaNode, unique: str
) -> None:
    await lab.create_topic(unique)
    async with member(newest_kafka.bootstrap, [unique]) as source:
        for linger in (0.0, 60.0):
            waiting = asyncio.create_task(source.receive(10, linger))
            await asyncio.sleep(0.1)
            source.stop()
            with pytest.raises(EndOfSource):
                await asyncio.wait_for(waiting, SOON)


async def test_a_receive_that_waits_is_told_when_its_session_is_closed(
    lab: Lab, newest_kafka: KafkaNode, unique: str
) -> None:
    await lab.create_topic(unique)
    async with member(newest_kafka.bootstrap, [unique]) as source:
        session = session_of(source)
        waiting = asyncio.create_task(session.receive(10, 0.0))
        await asyncio.sleep(0.1)
        await session.close()
        with pytest.raises(Disconnected, match="closed"):
            await asyncio.wait_for(waiting, SOON)


async def test_a_broker_that_is_gone_is_noticed_and_the_session_replaced_when_it_is_back(
    lab: Lab, wire: Wire, unique: str
) -> None:
    await lab.create_topic(unique, 2)
    await lab.produce(unique, numbered(10))
    async with member(wire.address, [unique], watchdog=3) as source:
        old = await take(source, 10)
        await wire.close()
        await lab.produce(unique, [b"meanwhile"])
        seen = Counter[bytes]()
        consuming = asyncio.create_task(consume(source, seen))
        await until(lambda: not source.connected)
        await settle(source, old)
        assert source.forgotten == 10
        await wire.open()
        await until(lambda: set(seen) == {*numbered(10), b"meanwhile"})
        await until(lambda: _all_done(lab, unique))
        assert source.rebuilds >= 1
        source.stop()
        await consuming


async def test_commits_of_a_member_that_is_none_any_more_are_no_trouble(
    lab: Lab, newest_kafka: KafkaNode, unique: str
) -> None:
    await lab.create_topic(unique, 2)
    await lab.produce(unique, numbered(20))
    async with member(newest_kafka.bootstrap, [unique]) as source:
        got = await take(source, 20)
        await until(lambda: _left(lab, unique, 20))
        await put_out(source)
        await settle(source, got)
        seen = Counter[bytes]()
        consuming = asyncio.create_task(consume(source, seen))
        await until(lambda: _all_done(lab, unique))
        await lab.produce(unique, [b"after"])
        await until(lambda: seen[b"after"])
        assert source.rebuilds == 0
        source.stop()
        await consuming


async def test_a_named_member_that_is_back_soon_gets_its_partitions_again_without_a_rebalance(
    lab: Lab, newest_kafka: KafkaNode, unique: str
) -> None:
    await lab.create_topic(unique, 2)
    async with member(newest_kafka.bootstrap, [unique], group_instance_id="pod-0") as stays:
        rebalances: list[int] = []
        for _ in range(2):
            async with member(newest_kafka.bootstrap, [unique], group_instance_id="pod-1") as comes:
                await until(lambda: len(list(session_of(stays)._shelf)) == 1)
                assert len(list(session_of(comes)._shelf)) == 1
                rebalances.append(session_of(stays)._member.rebalances)
        assert len(set(rebalances)) == 1


async def test_of_two_instances_with_one_name_the_first_stands_back_until_the_second_has_gone(
    lab: Lab, newest_kafka: KafkaNode, unique: str, caplog: pytest.LogCaptureFixture
) -> None:
    await lab.create_topic(unique)
    async with member(newest_kafka.bootstrap, [unique], group_instance_id="pod-0") as first:
        seen = Counter[bytes]()
        consuming = asyncio.create_task(consume(first, seen))
        async with member(newest_kafka.bootstrap, [unique], group_instance_id="pod-0") as second:
            await until(lambda: reasons(caplog, "session_lost"))
            before = session_of(second)._member.rebalances
            await until(lambda: len(reasons(caplog, "session_not_rebuilt")) >= 2)
            assert not first.connected
            [lost] = reasons(caplog, "session_lost")
            for reason in (lost, *reasons(caplog, "session_not_rebuilt")):
                assert f"another instance has the group_instance_id pod-0 in group {unique}" in reason
                assert "give each instance one of its own" in reason
            await lab.produce(unique, [b"for the second"])
            assert bodies_of(await take(second, 1)) == [b"for the second"]
            assert (second.rebuilds, session_of(second)._member.rebalances) == (0, before)
        await lab.produce(unique, [b"for the first"])
        await until(lambda: seen[b"for the first"])
        first.stop()
        await consuming


def reasons(caplog: pytest.LogCaptureFixture, event: str) -> list[str]:
    return [record.__dict__["reason"] for record in caplog.records if record.getMessage() == event]


async def _all_done(lab: Lab, topic: str) -> bool:
    return not await undone(lab, topic, topic)


async def _left(lab: Lab, topic: str, count: int) -> bool:
    return len(await undone(lab, topic, topic)) == count
