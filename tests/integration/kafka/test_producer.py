"""What the producer promises, on real brokers that refuse, go away and come back."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bridge.errors import ConfigError, Disconnected, Unavailable
from bridge.kafka import feed, sizes, topics
from bridge.kafka.options import KafkaConnection
from bridge.kafka.producer import Outgoing, Producer, Refused, TooLarge
from bridge.kafka.topics import Topic
from devtools.kafka import KafkaNode
from devtools.kafka_lab import Lab

RECOVERY = 60.0  # seconds until a producer must have found its way back


@pytest.fixture
async def lab(bootstrap: str) -> AsyncIterator[Lab]:
    async with Lab(bootstrap) as lab:
        yield lab


def connection(bootstrap: str) -> KafkaConnection:
    return KafkaConnection(bootstrap_servers=(bootstrap,))


@asynccontextmanager
async def producing(bootstrap: str, **options: Any) -> AsyncIterator[Producer]:
    producer = Producer(connection(bootstrap), where="routes.test.delay", **options)
    try:
        await producer.open()
        yield producer
    finally:
        await producer.close()


def record(topic: str, value: bytes, **more: Any) -> Outgoing:
    return Outgoing(topic, more.pop("key", None), value, **more)


async def limit(lab: Lab, topic: str, most: int) -> None:
    """Let a topic take no larger records than that, and wait until it counts."""
    await lab.configure(topic, {"max.message.bytes": str(most)})

    async def counts() -> bool:
        return (await lab.configs(topic))["max.message.bytes"] == str(most)

    await lab.until(counts, f"{topic} takes {most} bytes")


async def values(lab: Lab, topic: str) -> list[bytes]:
    return [found.value for found in await lab.records(topic)]


async def sent(producer: Producer, items: Sequence[Outgoing]) -> None:
    """Send, as often as it takes."""
    async with asyncio.timeout(RECOVERY):
        while True:
            try:
                assert await producer.send(items) == [None] * len(items)
            except Unavailable:
                await asyncio.sleep(0.2)
            else:
                return


async def standing(producer: Producer) -> None:
    async with asyncio.timeout(RECOVERY):
        while not producer.connected:  # noqa: ASYNC110  it tells nobody
            await asyncio.sleep(0.05)


async def strays() -> set[asyncio.Task[Any]]:
    """Tasks that nobody has ended, after a moment in which they may end by themselves."""
    own = {asyncio.current_task()}
    if left := asyncio.all_tasks() - own:
        await asyncio.wait(left, timeout=2.0)
    return asyncio.all_tasks() - own


async def test_what_is_sent_is_there_as_it_was_given(bootstrap: str, lab: Lab, unique: str) -> None:
    await lab.create_topic(unique, 3)
    headers = [("a", b"1"), ("a", None), ("b", b"\xff")]
    async with producing(bootstrap) as producer:
        assert await producer.send([]) == []
        assert await producer.partitions(unique) == 3
        given = [record(unique, b"x", key=b"k", headers=headers, partition=2), record(unique, b"y", partition=1)]
        assert await producer.send(given) == [None, None]
    second, first = await lab.records(unique)
    assert (first.key, first.value, list(first.headers), first.partition) == (b"k", b"x", headers, 2)
    assert (second.key, second.value, list(second.headers), second.partition) == (None, b"y", [], 1)
    assert abs(first.timestamp / 1000 - time.time()) < 60


async def test_records_of_one_call_stay_in_their_order(bootstrap: str, lab: Lab, unique: str) -> None:
    await lab.create_topic(unique)
    given = [b"%d" % number + bytes(2_000) for number in range(500)]
    async with producing(bootstrap, linger=0.02) as producer:
        assert await producer.send([record(unique, value) for value in given]) == [None] * 500
    assert await values(lab, unique) == given


async def test_what_is_too_large_is_refused_before_it_is_sent(bootstrap: str, lab: Lab, unique: str) -> None:
    await lab.create_topic(unique, configs={"max.message.bytes": "5000"})
    async with producing(bootstrap) as producer:
        large, fits = await producer.send([record(unique, bytes(5_000)), record(unique, bytes(4_900))])
        assert isinstance(large, TooLarge)
        assert (large.limit, large.size > 5_000, unique in str(large)) == (5_000, True, True)
        assert (fits, producer.rebuilds, producer.connected) == (None, 0, True)
    assert await values(lab, unique) == [bytes(4_900)]


async def test_a_limit_that_is_raised_counts_without_a_restart(
    bootstrap: str, lab: Lab, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "DOUBT", 0.0)
    await lab.create_topic(unique, configs={"max.message.bytes": "5000"})
    async with producing(bootstrap) as producer:
        [refusal] = await producer.send([record(unique, bytes(6_000))])
        assert isinstance(refusal, TooLarge)
        await limit(lab, unique, 9_000)
        assert await producer.send([record(unique, bytes(6_000))]) == [None]


async def test_a_refused_record_does_not_wedge_its_partition(bootstrap: str, lab: Lab, unique: str) -> None:
    """The limit is lowered behind the producer's back, so that the broker itself has to refuse."""
    await lab.create_topic(unique)
    async with producing(bootstrap) as producer:
        assert await producer.send([record(unique, b"first")]) == [None]
        await limit(lab, unique, 5_000)
        [refusal] = await producer.send([record(unique, bytes(6_000))])
        assert isinstance(refusal, TooLarge)
        assert refusal.limit == 5_000
        for number in range(3):
            assert await producer.send([record(unique, b"%d" % number)]) == [None]
        assert producer.rebuilds == 1
    assert await values(lab, unique) == [b"first", b"0", b"1", b"2"]


async def test_nobody_is_blamed_for_another_record_of_the_batch(bootstrap: str, lab: Lab, unique: str) -> None:
    """A topic that is compacted refuses records without a key, and with them the whole batch."""
    await lab.create_topic(unique, configs={"cleanup.policy": "compact"})
    given = [record(unique, b"%d" % number, key=None if number % 10 == 7 else b"k%d" % number) for number in range(30)]
    async with producing(bootstrap, linger=0.05) as producer:
        results = await producer.send(given)
        assert [isinstance(result, Refused) for result in results] == [item.key is None for item in given]
        assert [result for result in results if not isinstance(result, Refused)] == [None] * 27
        assert await producer.send([record(unique, b"later", key=b"k")]) == [None]
    stored = {found.value for found in await lab.records(unique)}
    assert stored == {item.value for item in given if item.key is not None} | {b"later"}


async def test_two_calls_at_once_do_not_spoil_each_other(bootstrap: str, lab: Lab, unique: str) -> None:
    await lab.create_topic(unique, configs={"cleanup.policy": "compact"})
    async with producing(bootstrap, linger=0.02) as producer:
        good = [producer.send([record(unique, b"%d" % number, key=b"k%d" % number)]) for number in range(20)]
        bad = [producer.send([record(unique, b"bad")]) for _ in range(5)]
        results = await asyncio.gather(*good[:10], *bad, *good[10:])
    assert [type(result) for [result] in results] == [type(None)] * 10 + [Refused] * 5 + [type(None)] * 10
    assert {found.value for found in await lab.records(unique)} == {b"%d" % number for number in range(20)}


async def test_two_producers_write_to_one_partition(bootstrap: str, lab: Lab, unique: str) -> None:
    await lab.create_topic(unique)
    async with producing(bootstrap) as one, producing(bootstrap) as other:
        for number in range(10):
            results = await asyncio.gather(
                one.send([record(unique, b"one %d" % number)]), other.send([record(unique, b"other %d" % number)])
            )
            assert list(results) == [[None], [None]]
    assert len(await values(lab, unique)) == 20


async def test_what_cannot_be_written_at_all_is_refused_alone(bootstrap: str, lab: Lab, unique: str) -> None:
    await lab.create_topic(unique)
    async with producing(bootstrap) as producer:
        results = await producer.send([record(unique, b"x", headers=[("half \ud83d", b"")]), record(unique, b"y")])
        assert isinstance(results[0], Refused)
        assert (results[1], producer.rebuilds) == (None, 0)


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
async def test_compression_lets_more_through(bootstrap: str, lab: Lab, unique: str, codec: str) -> None:
    await lab.create_topic(unique)
    random = os.urandom(2 << 20)
    async with producing(bootstrap, compression=codec) as producer:
        fits, large = await producer.send([record(unique, bytes(20 << 20)), record(unique, random)])
        assert fits is None
        assert isinstance(large, TooLarge)
    assert await values(lab, unique) == [bytes(20 << 20)]


async def test_a_call_that_is_cancelled_harms_no_other(bootstrap: str, lab: Lab, unique: str) -> None:
    await lab.create_topic(unique)
    async with producing(bootstrap, linger=0.5) as producer:
        call = asyncio.create_task(producer.send([record(unique, b"cancelled")]))
        await asyncio.sleep(0.2)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await producer.send([record(unique, b"x")]) == [None]
        assert producer.rebuilds == 0
    assert b"x" in await values(lab, unique)


async def test_a_topic_that_is_missing_is_not_created_by_the_way(
    bootstrap: str, lab: Lab, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The brokers would create it with settings that forget after a week."""
    monkeypatch.setattr(feed, "SEND_LIMIT", 2.0)
    async with producing(bootstrap) as producer:
        with pytest.raises(Unavailable):
            await producer.send([record(unique, b"x")])
    assert unique not in await lab.topics()


async def test_a_topic_that_is_deleted_is_made_again_as_it_should_be(
    bootstrap: str, lab: Lab, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "SEND_LIMIT", 3.0)

    async def prepare(admin: Any) -> None:
        await topics.establish(admin, [Topic(name=unique)], "declare", where="routes.test.delay")

    async with producing(bootstrap, prepare=prepare) as producer:
        await sent(producer, [record(unique, b"lost with its topic")])
        await lab.delete_topic(unique)
        await sent(producer, [record(unique, b"x")])
    assert set(await values(lab, unique)) == {b"x"}  # the try that had no answer in time may have come through too
    assert (await lab.configs(unique))["retention.ms"] == "-1"


async def test_a_partition_that_is_not_there_is_no_records_fault(bootstrap: str, lab: Lab, unique: str) -> None:
    await lab.create_topic(unique, 2)
    async with producing(bootstrap) as producer:
        with pytest.raises(Disconnected, match="no partition 5"):
            await producer.send([record(unique, b"x", partition=5)])
        assert await producer.send([record(unique, b"x", partition=1)]) == [None]


async def test_what_is_wrong_at_the_start_ends_it_and_later_it_does_not(
    bootstrap: str, lab: Lab, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "SEND_LIMIT", 2.0)

    async def prepare(admin: Any) -> None:
        await topics.establish(admin, [Topic(name=unique)], "verify", where="routes.test.delay")

    with pytest.raises(ConfigError, match=f"no topic {unique}"):
        async with producing(bootstrap, prepare=prepare):
            pass
    await lab.create_topic(unique, configs={"retention.ms": "-1"})
    async with producing(bootstrap, prepare=prepare) as producer:
        await lab.delete_topic(unique)
        for _ in range(2):
            with pytest.raises(Unavailable):
                await producer.send([record(unique, b"x")])
        await lab.create_topic(unique, configs={"retention.ms": "-1"})
        await sent(producer, [record(unique, b"x")])


async def test_a_broker_that_goes_and_comes_back_is_found_again(fresh_kafka: KafkaNode, unique: str) -> None:
    async with Lab(fresh_kafka.bootstrap) as lab:
        await lab.create_topic(unique)
    async with producing(fresh_kafka.bootstrap) as producer:
        await sent(producer, [record(unique, b"before")])
        await asyncio.to_thread(fresh_kafka.kill)
        for _ in range(2):
            begun = time.monotonic()
            with pytest.raises(Unavailable):
                await producer.send([record(unique, b"meanwhile")])
            assert time.monotonic() - begun < 25
            assert not producer.connected
        await asyncio.to_thread(fresh_kafka.start)
        await standing(producer)
        await sent(producer, [record(unique, b"after")])
        assert producer.rebuilds >= 1
    async with Lab(fresh_kafka.bootstrap) as lab:
        found = await values(lab, unique)
    assert (found[0], found[-1]) == (b"before", b"after")
    assert await strays() == set()


async def test_a_broker_that_stands_still_holds_nobody_for_long(fresh_kafka: KafkaNode, unique: str) -> None:
    async with Lab(fresh_kafka.bootstrap) as lab:
        await lab.create_topic(unique)
    async with producing(fresh_kafka.bootstrap) as producer:
        await sent(producer, [record(unique, b"before")])
        fresh_kafka.freeze()
        begun = time.monotonic()
        calls = [producer.send([record(unique, b"%d" % number)]) for number in range(5)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(result, Unavailable) for result in results)
        with pytest.raises(Unavailable):
            await producer.send([record(unique, b"again")])
        assert time.monotonic() - begun < 40
        fresh_kafka.thaw()
        await sent(producer, [record(unique, b"after")])
    async with Lab(fresh_kafka.bootstrap) as lab:
        assert {b"before", b"after"} <= set(await values(lab, unique))


async def test_closing_ends_everything_even_where_no_broker_answers(fresh_kafka: KafkaNode, unique: str) -> None:
    async with Lab(fresh_kafka.bootstrap) as lab:
        await lab.create_topic(unique)
    producer = Producer(connection(fresh_kafka.bootstrap), where="routes.test.delay")
    await producer.open()
    await sent(producer, [record(unique, b"before")])
    fresh_kafka.freeze()
    call = asyncio.create_task(producer.send([record(unique, b"x")]))
    await asyncio.sleep(0.5)
    begun = time.monotonic()
    await producer.close()
    assert time.monotonic() - begun < 15
    with pytest.raises(Unavailable):
        await call
    await producer.close()
    assert await strays() == set()


async def test_a_restart_that_is_short_is_not_even_noticed(fresh_kafka: KafkaNode, unique: str) -> None:
    """A frozen broker that goes on within the limit of a call stores each record once."""
    async with Lab(fresh_kafka.bootstrap) as lab:
        await lab.create_topic(unique)
    async with producing(fresh_kafka.bootstrap) as producer:
        await sent(producer, [record(unique, b"before")])
        fresh_kafka.freeze()
        calls = [asyncio.create_task(producer.send([record(unique, b"%d" % number)])) for number in range(20)]
        await asyncio.sleep(6.5)
        fresh_kafka.thaw()
        assert await asyncio.gather(*calls) == [[None]] * 20
        assert producer.rebuilds == 0
    async with Lab(fresh_kafka.bootstrap) as lab:
        assert sorted(await values(lab, unique)) == sorted([b"before", *(b"%d" % number for number in range(20))])


async def test_a_quiet_producer_notices_that_nobody_is_there(
    fresh_kafka: KafkaNode, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bridge.kafka import producer as module

    monkeypatch.setattr(module, "PROBE", 0.2)
    async with Lab(fresh_kafka.bootstrap) as lab:
        await lab.create_topic(unique)
    async with producing(fresh_kafka.bootstrap) as producer:
        await sent(producer, [record(unique, b"x")])
        await asyncio.to_thread(fresh_kafka.kill)
        async with asyncio.timeout(RECOVERY):
            while producer.connected:  # noqa: ASYNC110  it tells nobody
                await asyncio.sleep(0.05)
        await asyncio.to_thread(fresh_kafka.start)
        await standing(producer)
