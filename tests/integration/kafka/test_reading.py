"""What stands in the way of reading: records that nobody can decode, gaps, and a client that has given up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from devtools.kafka_lab import Lab, opened
from tests.integration.kafka.members import (
    batch_of,
    bodies_of,
    member,
    misplaced,
    numbered,
    put_out,
    session_of,
    settle,
    strange,
    take,
    undecodable,
    undone,
    until,
    write_raw,
)


@pytest.fixture
async def lab(bootstrap: str) -> AsyncIterator[Lab]:
    async with Lab(bootstrap) as lab:
        yield lab


def logged(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    return [record.__dict__ for record in caplog.records if record.getMessage() == event]


async def test_what_stands_before_a_bad_record_is_delivered_and_the_bad_one_is_named(
    lab: Lab, bootstrap: str, unique: str, caplog: pytest.LogCaptureFixture
) -> None:
    await lab.create_topic(unique)
    await lab.produce(unique, numbered(30))
    await write_raw(lab, unique, batch_of([b"30", b"31"]))
    await write_raw(lab, unique, undecodable())
    await lab.produce(unique, [b"behind"])
    async with member(bootstrap, [unique]) as source:
        got = await take(source, 32)
        assert bodies_of(got) == numbered(32)
        await until(lambda: logged(caplog, "partition_stuck"))
        assert logged(caplog, "partition_stuck")[0]["offset"] == 32
        await settle(source, got)
        await until(lambda: _left(lab, unique, 2))


@pytest.mark.parametrize("gzip", [False, True])
async def test_a_header_name_that_is_no_text_stops_nothing(
    lab: Lab, bootstrap: str, unique: str, caplog: pytest.LogCaptureFixture, *, gzip: bool
) -> None:
    await lab.create_topic(unique)
    await write_raw(lab, unique, strange([b"0", b"1"], gzip=gzip))
    await lab.produce(unique, [b"behind"])
    async with member(bootstrap, [unique]) as source:
        got = await take(source, 4)
        assert bodies_of(got) == [b"0", b"1", b"bad", b"behind"]
        assert got[2].headers == {r"\xff" * 8: b"1"}
        await settle(source, got)
        await until(lambda: _left(lab, unique, 0))
    assert not logged(caplog, "poll_failed")


async def test_offsets_that_records_claim_for_themselves_skip_nothing(
    lab: Lab, bootstrap: str, unique: str, caplog: pytest.LogCaptureFixture
) -> None:
    await lab.create_topic(unique)
    await lab.produce(unique, [b"before"])
    await write_raw(lab, unique, misplaced([b"0", b"1", b"2"]))
    await lab.produce(unique, [b"behind"])
    async with member(bootstrap, [unique]) as source:
        got = await take(source, 5)
        assert bodies_of(got) == [b"before", b"0", b"1", b"2", b"behind"]
        await settle(source, got)
        await until(lambda: _left(lab, unique, 0))
    assert not logged(caplog, "topic_restarted")


async def test_a_client_that_has_given_up_is_replaced(
    lab: Lab, bootstrap: str, unique: str, caplog: pytest.LogCaptureFixture
) -> None:
    """When its task for the group dies, each poll says so; no partition is to blame."""
    await lab.create_topic(unique, 2)
    async with member(bootstrap, [unique]) as source:
        coordinator = session_of(source)._member.consumer._coordinator
        dead = asyncio.get_running_loop().create_future()
        dead.set_exception(KafkaError("Unexpected error during coordination"))
        living, coordinator._coordination_task = coordinator._coordination_task, dead
        receiving = asyncio.create_task(take(source, 1))
        await until(lambda: source.rebuilds == 1 and source.connected)
        living.cancel()
        await lab.produce(unique, [b"after"])
        assert bodies_of(await receiving) == [b"after"]
    assert not logged(caplog, "partition_stuck")


async def test_records_of_before_a_rebalance_never_reach_the_books_of_after_it(
    lab: Lab, bootstrap: str, unique: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A gap makes a question to the broker; when the partition is assigned anew meanwhile, what was read is stale."""
    await lab.create_topic(unique)
    async with producer_of(bootstrap, unique) as producer:
        for body in numbered(2):
            async with producer.transaction():
                await producer.send(unique, body)
    async with member(bootstrap, [unique]) as source:
        [first] = await take(source, 1, 1)
        session = session_of(source)
        consumer, member_now = session._member.consumer, session._member
        asking, answer = asyncio.Event(), asyncio.Event()
        real = consumer.beginning_offsets

        async def slow(places: list[TopicPartition]) -> Any:
            if not asking.is_set():
                asking.set()
                await answer.wait()
            return await real(places)

        consumer.beginning_offsets = slow
        async with producer_of(bootstrap, f"{unique}.2") as producer:
            for body in numbered(2, first=2):
                async with producer.transaction():
                    await producer.send(unique, body)
        await asyncio.wait_for(asking.wait(), 30)
        before = member_now.rebalances
        await put_out(source)
        await until(lambda: member_now.rebalances > before)
        answer.set()
        again = await take(source, 4)
        assert bodies_of(again) == numbered(4)
        assert not source.owns(first)
        assert not logged(caplog, "topic_restarted")
        await settle(source, again[1:])
        await until(lambda: _left_offsets(lab, unique, first.position))


def producer_of(bootstrap: str, name: str) -> AbstractAsyncContextManager[AIOKafkaProducer]:
    return opened(AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=name))


async def test_a_truncation_is_said_aloud_even_right_after_a_harmless_gap(
    lab: Lab, bootstrap: str, unique: str, caplog: pytest.LogCaptureFixture
) -> None:
    await lab.create_topic(unique)
    async with member(bootstrap, [unique]) as source, producer_of(bootstrap, unique) as producer:
        for body in numbered(3):
            async with producer.transaction():
                await producer.send(unique, body)
            await settle(source, await take(source, 1))
        source.pause()
        await asyncio.sleep(0.5)
        await lab.produce(unique, numbered(10, first=10))
        end = (await lab.ends(unique))[0]
        await lab.delete_records(unique, {0: end - 1})
        source.resume()
        assert bodies_of(await take(source, 1)) == [b"19"]
        await until(lambda: logged(caplog, "offsets_truncated"), 20)


async def test_latest_takes_all_of_a_partition_that_was_added_later(lab: Lab, bootstrap: str, unique: str) -> None:
    await lab.create_topic(unique)
    await lab.produce(unique, [b"of before"])
    async with member(bootstrap, [unique], begin="latest") as source:
        await lab.add_partitions(unique, 2)
        await lab.produce(unique, [b"first of its partition"], partition=1)
        assert bodies_of(await take(source, 1)) == [b"first of its partition"]


async def test_what_a_new_topic_of_an_old_name_brings_counts_as_new(lab: Lab, bootstrap: str, unique: str) -> None:
    await lab.create_topic(unique)
    await lab.produce(unique, numbered(10))
    async with member(bootstrap, [unique]) as source:
        await settle(source, await take(source, 10))
        await lab.delete_topic(unique)
        await lab.create_topic(unique)
        await lab.produce(unique, [b"new"])
        [delivery] = await take(source, 1)
        assert (delivery.body, delivery.redelivered) == (b"new", False)


async def test_an_assignment_that_comes_while_a_session_closes_is_no_fault(
    lab: Lab, bootstrap: str, unique: str, caplog: pytest.LogCaptureFixture
) -> None:
    await lab.create_topic(unique)
    async with member(bootstrap, [unique]) as source:
        ours = session_of(source)._member
    await ours.on_partitions_assigned([TopicPartition(unique, 0)])
    assert not logged(caplog, "assignment_fault")


async def test_commits_that_are_refused_are_said_aloud(
    lab: Lab, bootstrap: str, unique: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    await lab.create_topic(unique)
    await lab.produce(unique, numbered(2))
    async with member(bootstrap, [unique]) as source:

        async def refused(_offsets: object) -> None:
            raise KafkaError("no")

        session_of(source)._member.consumer.commit = refused
        await settle(source, await take(source, 2))
        await until(lambda: logged(caplog, "not_committed"), 30)


async def _left(lab: Lab, topic: str, count: int) -> bool:
    return len(await undone(lab, topic, topic)) == count


async def _left_offsets(lab: Lab, topic: str, position: str | None) -> bool:
    known = (await lab.committed(topic))[topic, 0]
    return f"{topic}/0/{known.offset}" == position
