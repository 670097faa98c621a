"""Members that come and go, brokers that stand still or die: nothing is lost, and nobody commits what is not his."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from devtools.kafka import KafkaNode
from devtools.kafka_lab import Lab
from tests.integration.kafka.members import (
    bodies_of,
    consume,
    member,
    numbered,
    session_of,
    settle,
    source_of,
    take,
    undone,
    until,
)

BLOCKED = 12.0  # seconds; after 10 without a heartbeat the group goes on
FROZEN = 20.0  # seconds


@pytest.fixture
async def lab(bootstrap: str) -> AsyncIterator[Lab]:
    async with Lab(bootstrap) as lab:
        yield lab


async def test_members_that_join_and_leave_under_load_lose_nothing(lab: Lab, bootstrap: str, unique: str) -> None:
    await lab.create_topic(unique, 4)
    wanted, got = numbered(2_000), Counter[bytes]()

    async def publish() -> None:
        for start in range(0, len(wanted), 100):
            await lab.produce(unique, wanted[start : start + 100])
            await asyncio.sleep(0.2)

    async def come_and_go(stay: float) -> None:
        while not publishing.done():
            async with member(bootstrap, [unique]) as source:
                consuming = asyncio.create_task(consume(source, got, 0.02))
                await asyncio.sleep(stay)
                source.stop()
                await consuming

    publishing = asyncio.create_task(publish())
    async with member(bootstrap, [unique]) as source:
        consuming = asyncio.create_task(consume(source, got, 0.02))
        await asyncio.gather(publishing, come_and_go(1.0), come_and_go(1.7))
        await until(lambda: len(got) == len(wanted))
        await until(lambda: _all_done(lab, unique))
        source.stop()
        await consuming
    assert set(got) == set(wanted)


async def test_what_is_settled_within_the_drain_is_not_repeated(lab: Lab, bootstrap: str, unique: str) -> None:
    await lab.create_topic(unique, 2)
    await lab.produce(unique, numbered(10))
    async with member(bootstrap, [unique], rebalance_drain=30, commit_interval=60) as first:
        old = await take(first, 10)
        second = source_of(bootstrap, [unique])
        opening = asyncio.create_task(second.open())
        await until(lambda: all(part.closing for _, part in session_of(first)._shelf))
        await settle(first, old)
        await opening
        assert await undone(lab, unique, unique) == []
        await second.close()


async def test_a_late_result_after_a_revoke_never_commits(lab: Lab, bootstrap: str, unique: str) -> None:
    await lab.create_topic(unique, 2)
    await lab.produce(unique, numbered(10), partition=0)
    await lab.produce(unique, numbered(10, first=10), partition=1)
    async with member(bootstrap, [unique]) as first:
        old = await take(first, 20)
        async with member(bootstrap, [unique]) as second:
            theirs = await take(second, 10)
            await settle(first, old)
            await asyncio.sleep(0.5)  # ten times the interval of commits
            assert len(await undone(lab, unique, unique)) == 20
            assert first.forgotten == 20
            await settle(second, theirs[:1])
            await until(lambda: _left(lab, unique, 19))


async def test_a_process_that_stood_still_takes_its_place_again(lab: Lab, bootstrap: str, unique: str) -> None:
    await lab.create_topic(unique, 2)
    await lab.produce(unique, numbered(10))
    async with member(bootstrap, [unique]) as source:
        assert len(await take(source, 10)) == 10
        before = session_of(source)._member.rebalances
        time.sleep(BLOCKED)  # noqa: ASYNC251  that is what is tested
        await until(lambda: session_of(source)._member.rebalances > before or source.rebuilds)
        again = await take(source, 10)
        assert all(delivery.redelivered for delivery in again)
        await settle(source, again)
        await until(lambda: _all_done(lab, unique))


async def test_new_partitions_are_read_from_their_beginning(lab: Lab, bootstrap: str, unique: str) -> None:
    await lab.create_topic(unique, 1)
    async with member(bootstrap, [unique]) as source:
        await lab.add_partitions(unique, 2)
        await lab.produce(unique, [b"first of its partition"], partition=1)
        assert bodies_of(await take(source, 1)) == [b"first of its partition"]


async def test_a_frozen_broker_costs_neither_the_session_nor_an_event(
    fresh_newest_kafka: KafkaNode, unique: str
) -> None:
    async with Lab(fresh_newest_kafka.bootstrap) as lab:
        await lab.create_topic(unique, 2)
        await lab.produce(unique, numbered(20))
        async with member(fresh_newest_kafka.bootstrap, [unique]) as source:
            got = await take(source, 20)
            await asyncio.to_thread(fresh_newest_kafka.freeze)
            await asyncio.sleep(FROZEN)
            await asyncio.to_thread(fresh_newest_kafka.thaw)
            await settle(source, got)
            await lab.produce(unique, [b"after"])
            seen = Counter[bytes]()
            consuming = asyncio.create_task(consume(source, seen))
            await until(lambda: seen[b"after"])
            await until(lambda: _all_done(lab, unique))
            source.stop()
            await consuming


async def test_a_broker_that_is_killed_and_started_again_costs_no_event(
    fresh_newest_kafka: KafkaNode, unique: str
) -> None:
    async with Lab(fresh_newest_kafka.bootstrap) as lab:
        await lab.create_topic(unique, 2)
        await lab.produce(unique, numbered(50))
        seen = Counter[bytes]()
        async with member(fresh_newest_kafka.bootstrap, [unique]) as source:
            consuming = asyncio.create_task(consume(source, seen))
            await until(lambda: len(seen) == 50)
            await asyncio.to_thread(fresh_newest_kafka.kill)
            await asyncio.to_thread(fresh_newest_kafka.start)
            async with Lab(fresh_newest_kafka.bootstrap) as anew:
                await anew.produce(unique, numbered(50, first=50))
                await until(lambda: len(seen) == 100)
                await until(lambda: _all_done(anew, unique))
            source.stop()
            await consuming


async def test_a_wire_that_went_silent_is_noticed_and_the_session_replaced(kafka: KafkaNode, unique: str) -> None:
    async with Lab(kafka.bootstrap) as lab, kafka.wire() as wire:
        await lab.create_topic(unique)
        async with member(wire.address, [unique], watchdog=3) as source:
            wire.freeze()
            await lab.produce(unique, [b"meanwhile"])
            receiving = asyncio.create_task(take(source, 1))
            await until(lambda: not source.connected)
            wire.thaw()
            assert bodies_of(await receiving) == [b"meanwhile"]
            assert source.rebuilds >= 1


async def _all_done(lab: Lab, topic: str) -> bool:
    return not await undone(lab, topic, topic)


async def _left(lab: Lab, topic: str, count: int) -> bool:
    return len(await undone(lab, topic, topic)) == count
