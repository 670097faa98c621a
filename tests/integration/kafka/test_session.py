"""What a session does with the records of a real Kafka: hands out, commits, bounds, and what stands in its way."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer

from bridge.errors import ConfigError
from bridge.kafka.session import Session
from bridge.model import Verdict
from devtools.kafka_lab import Lab, opened
from tests.integration.kafka.members import (
    bodies_of,
    member,
    none_comes,
    numbered,
    put_out,
    session_of,
    settle,
    source_of,
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


def logged(caplog: pytest.LogCaptureFixture, event: str) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.getMessage() == event]


async def test_equal_offsets_of_two_partitions_are_both_delivered(lab: Lab, bootstrap: str, unique: str) -> None:
    await lab.create_topic(unique, 2)
    for partition in (0, 1):
        await lab.produce(unique, [b"of %d" % partition], partition=partition)
    async with member(bootstrap, [unique]) as source:
        got = await take(source, 2)
        assert sorted(bodies_of(got)) == [b"of 0", b"of 1"]
        assert sorted(str(delivery.position) for delivery in got) == [f"{unique}/0/0", f"{unique}/1/0"]
        await settle(source, got)
    assert await undone(lab, unique, unique) == []


async def test_an_event_that_fails_comes_again_after_a_restart_and_those_behind_it_do_not(
    lab: Lab, bootstrap: str, unique: str
) -> None:
    await lab.create_topic(unique)
    await lab.produce(unique, numbered(5))
    async with member(bootstrap, [unique]) as source:
        got = await take(source, 5)
        await settle(source, [got[0], *got[2:]])
    assert await undone(lab, unique, unique) == [(0, 1)]
    async with member(bootstrap, [unique]) as source:
        assert bodies_of(await take(source, 1)) == [b"1"]
        assert await none_comes(source)


@pytest.mark.parametrize("codec", ["gzip", "lz4", "zstd", "snappy"])
async def test_keys_headers_and_timestamps_arrive_through_every_codec(
    lab: Lab, bootstrap: str, unique: str, codec: str
) -> None:
    await lab.create_topic(unique)
    stamp = time.time_ns() // 1_000_000 - 60_000
    await lab.produce(
        unique,
        [b"x" * 5_000],
        keys=[b"user-7"],
        headers=[("a", b"1"), ("a", b"2")],
        timestamp_ms=stamp,
        compression_type=codec,
    )
    async with member(bootstrap, [unique]) as source:
        [delivery] = await take(source, 1)
    assert (delivery.body, delivery.key) == (b"x" * 5_000, b"user-7")
    assert (delivery.headers["a"], delivery.timestamp) == (b"2", stamp / 1000)
    assert (delivery.origin, delivery.routing_key) == (f"kafka:{unique}", unique)


async def test_a_partition_with_many_does_not_hold_up_one_with_few(lab: Lab, bootstrap: str, unique: str) -> None:
    await lab.create_topic(unique, 2)
    await lab.produce(unique, numbered(400), partition=0)
    await lab.produce(unique, [b"lonely"], partition=1)
    async with member(bootstrap, [unique]) as source:
        shelf = session_of(source)._shelf
        await until(lambda: all(part.next for _, part in shelf))
        first = await source.receive(10, 0.0) + await source.receive(10, 0.0)
        assert b"lonely" in bodies_of(first)


async def test_what_is_here_stays_within_its_bounds_however_much_waits(lab: Lab, bootstrap: str, unique: str) -> None:
    await lab.create_topic(unique)
    await lab.produce(unique, [b"x" * 10_000] * 2_000)
    async with member(bootstrap, [unique], prefetch=50, prefetch_bytes="1MiB") as source:
        [(_, part)] = list(session_of(source)._shelf)
        await take(source, 50)
        assert await none_comes(source)
        assert part.full
        assert part._bytes < (1 << 20) + (1 << 20) + 200_000  # the bound, and one answer of the broker
        assert len(part) == 50


async def test_a_hot_partition_flows_on_beside_idle_ones(lab: Lab, bootstrap: str, unique: str) -> None:
    """Reading that goes on must not have to wait for the long poll of the others, again and again."""
    await lab.create_topic(unique, 8)
    await lab.produce(unique, [b"x" * 2_000] * 10_000, partition=3)
    async with member(bootstrap, [unique]) as source:
        async with asyncio.timeout(60):
            for _ in range(100):
                await settle(source, await take(source, 100, 100))


async def test_a_record_larger_than_a_fetch_is_delivered(lab: Lab, bootstrap: str, unique: str) -> None:
    await lab.create_topic(unique, configs={"max.message.bytes": str(8 << 20)})
    await lab.produce(unique, [b"before", b"x" * (5 << 20), b"after"], max_request_size=8 << 20)
    async with member(bootstrap, [unique]) as source:
        assert [len(body) for body in bodies_of(await take(source, 3))] == [6, 5 << 20, 5]


async def test_records_of_an_aborted_transaction_are_not_delivered(lab: Lab, bootstrap: str, unique: str) -> None:
    await lab.create_topic(unique)
    async with opened(AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=unique)) as producer:
        for body, commit in ((b"aborted", False), (b"kept", True)):
            await producer.begin_transaction()
            await producer.send_and_wait(unique, body)
            await (producer.commit_transaction() if commit else producer.abort_transaction())
    async with member(bootstrap, [unique]) as source:
        got = await take(source, 1)
        assert bodies_of(got) == [b"kept"]
        await settle(source, got)
        assert await none_comes(source)


async def test_a_topic_that_is_not_there_is_named_and_not_created(lab: Lab, bootstrap: str, unique: str) -> None:
    source = source_of(bootstrap, [unique])
    with pytest.raises(ConfigError, match=f"there is no topic {unique}"):
        await source.open()
    await source.close()
    assert unique not in await lab.topics()


async def test_a_pattern_takes_what_it_matches_but_never_a_topic_of_a_bridge(
    lab: Lab, bootstrap: str, unique: str
) -> None:
    for name in ("orders", "users", "delay.v1.0000001", "dead.v1"):
        await lab.create_topic(f"{unique}.{name}")
        await lab.produce(f"{unique}.{name}", [name.encode()])
    async with member(bootstrap, (), topic_pattern=rf"{unique}\..*", group_id=unique) as source:
        assert sorted(bodies_of(await take(source, 2))) == [b"orders", b"users"]
        assert await none_comes(source)


async def test_latest_leaves_out_what_was_there_and_remembers_where_it_began(
    lab: Lab, bootstrap: str, unique: str
) -> None:
    await lab.create_topic(unique)
    await lab.produce(unique, numbered(3))
    async with member(bootstrap, [unique], begin="latest"):
        await until(lambda: _begins(lab, unique, 3))
    await lab.produce(unique, [b"while nobody was there"])
    async with member(bootstrap, [unique], begin="latest") as source:
        assert bodies_of(await take(source, 1)) == [b"while nobody was there"]


async def _begins(lab: Lab, group: str, offset: int) -> bool:
    known = (await lab.committed(group)).get((group, 0))
    return known is not None and known.offset == offset


async def test_offsets_that_the_brokers_deleted_are_said_aloud(
    lab: Lab, bootstrap: str, unique: str, caplog: pytest.LogCaptureFixture
) -> None:
    await lab.create_topic(unique)
    await lab.produce(unique, numbered(10))
    async with member(bootstrap, [unique]) as source:
        await settle(source, await take(source, 2, 2))
        await until(lambda: _committed_up_to(lab, unique, 2))
    await lab.delete_records(unique, {0: 7})
    async with member(bootstrap, [unique]) as source:
        assert bodies_of(await take(source, 3)) == numbered(3, first=7)
        [line] = logged(caplog, "offsets_truncated")
        assert (line.__dict__["expected"], line.__dict__["found"]) == (2, 7)
        assert session_of(source)._member.missed == 5


async def _committed_up_to(lab: Lab, group: str, offset: int) -> bool:
    known = (await lab.committed(group)).get((group, 0))
    return known is not None and known.offset >= offset


async def test_a_topic_made_anew_is_said_aloud_and_read_from_its_beginning(
    lab: Lab, bootstrap: str, unique: str, caplog: pytest.LogCaptureFixture
) -> None:
    await lab.create_topic(unique)
    await lab.produce(unique, numbered(10))
    async with member(bootstrap, [unique]) as source:
        await settle(source, await take(source, 10))
        await lab.delete_topic(unique)
        await lab.create_topic(unique)
        await lab.produce(unique, [b"new"])
        [delivery] = await take(source, 1)
        assert delivery.body == b"new"
        assert logged(caplog, "topic_restarted")
        await settle(source, [delivery])
        await until(lambda: _all_done(lab, unique))


async def _all_done(lab: Lab, topic: str) -> bool:
    return not await undone(lab, topic, topic)


async def test_a_batch_that_nobody_can_decode_stops_its_own_partition_only(
    lab: Lab, bootstrap: str, unique: str, caplog: pytest.LogCaptureFixture
) -> None:
    await lab.create_topic(unique, 3)
    await write_raw(lab, unique, undecodable(), partition=0)
    for partition in (1, 2):
        await lab.produce(unique, numbered(200, first=1_000 * partition), partition=partition)
    async with member(bootstrap, [unique]) as source:
        got = await take(source, 400, 50)
        assert sorted(bodies_of(got)) == sorted(numbered(200, first=1_000) + numbered(200, first=2_000))
        await until(lambda: logged(caplog, "partition_stuck"))
        line = logged(caplog, "partition_stuck")[0].__dict__
        assert (line["topic"], line["partition"], line["offset"]) == (unique, 0, 0)
        assert line["cure"]
        assert session_of(source).backlog.stuck == 1
        await settle(source, got)
        await lab.produce(unique, [b"flows on"], partition=1)
        assert bodies_of(await take(source, 1)) == [b"flows on"]
        assert source.connected


async def test_being_put_out_of_the_group_repeats_and_loses_nothing(lab: Lab, bootstrap: str, unique: str) -> None:
    await lab.create_topic(unique, 2)
    await lab.produce(unique, numbered(20))
    async with member(bootstrap, [unique]) as source:
        old = await take(source, 20)
        await put_out(source)
        again = await take(source, 20)
        assert sorted(bodies_of(again)) == sorted(numbered(20))
        assert all(delivery.redelivered for delivery in again)
        assert not any(source.owns(delivery) for delivery in old)
        await settle(source, old)
        assert len(await undone(lab, unique, unique)) == 20
        assert source.forgotten == 20
        await settle(source, again)
        await until(lambda: _all_done(lab, unique))


async def test_a_pause_outlives_a_rebalance(lab: Lab, bootstrap: str, unique: str) -> None:
    await lab.create_topic(unique, 2)
    async with member(bootstrap, [unique]) as source:
        source.pause()
        before = session_of(source)._member.rebalances
        await put_out(source)
        await until(lambda: session_of(source)._member.rebalances > before)
        await lab.produce(unique, numbered(4))
        assert await none_comes(source, 2.0)
        source.resume()
        assert sorted(bodies_of(await take(source, 4))) == numbered(4)


async def test_what_is_returned_at_the_end_is_for_the_next_owner(lab: Lab, bootstrap: str, unique: str) -> None:
    await lab.create_topic(unique)
    await lab.produce(unique, numbered(3))
    async with member(bootstrap, [unique]) as source:
        got = await take(source, 3)
        source.stop()
        await source.settle(got, [Verdict.RETURN, Verdict.SETTLE, Verdict.RETURN])
    assert await undone(lab, unique, unique) == [(0, 0), (0, 2)]


async def test_a_session_that_was_never_opened_closes(bootstrap: str, unique: str) -> None:
    source = source_of(bootstrap, [unique])
    await source.close()
    assert isinstance(source._session, Session)
    assert not source.connected
