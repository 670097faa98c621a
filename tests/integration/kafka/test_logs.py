"""What happens to a log under a session: bytes that turn bad and good again, offsets that go, topics made anew."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from bridge.kafka import reading
from devtools.kafka_lab import Lab
from devtools.kafka_node import KafkaNode
from devtools.wire import CHUNK_BYTES, Wire
from tests.integration.kafka.members import (
    bodies_of,
    consume,
    member,
    none_comes,
    numbered,
    settle,
    take,
    undone,
    until,
)

SOUND, SPOILED = b"a sound record", b"a spoilt recor"
BEFORE, AFTER = numbered(3), numbered(3, first=4)


class SpoilingWire(Wire):
    """A wire that hands `SOUND` on as `SPOILED` while it is `bad`, so that the checksum of its batch is wrong."""

    bad = True

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        spoiled = asyncio.StreamReader()
        passing = asyncio.create_task(super()._pass(spoiled, sink))
        try:
            while chunk := await source.read(CHUNK_BYTES):
                spoiled.feed_data(chunk.replace(SOUND, SPOILED) if self.bad else chunk)
        except OSError:
            pass
        finally:
            spoiled.feed_eof()
            await passing


@pytest.fixture
async def lab(newest_kafka: KafkaNode) -> AsyncIterator[Lab]:
    async with Lab(newest_kafka.bootstrap) as lab:
        yield lab


@pytest.fixture
async def wire(newest_kafka: KafkaNode) -> AsyncIterator[SpoilingWire]:
    plain = newest_kafka.wire()
    async with SpoilingWire(plain.port, plain._there) as wire:
        yield wire


def logged(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, object]]:
    return [record.__dict__ for record in caplog.records if record.getMessage() == event]


async def produce_around_a_bad_one(lab: Lab, topic: str) -> None:
    """A batch, the one that turns bad, and another batch in partition 0; many in partition 1."""
    await lab.create_topic(topic, 2)
    for bodies in (BEFORE, [SOUND], AFTER):
        await lab.produce(topic, bodies, partition=0)
    await lab.produce(topic, numbered(100, first=1_000), partition=1)


async def test_bytes_that_turned_bad_stop_their_partition_and_nothing_is_skipped_when_they_are_good_again(
    lab: Lab,
    wire: SpoilingWire,
    unique: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reading, "RETRY_STUCK", 1.0)
    await produce_around_a_bad_one(lab, unique)
    others, got = numbered(100, first=1_000), Counter[bytes]()
    async with member(wire.address, [unique]) as source:
        consuming = asyncio.create_task(consume(source, got))
        await until(lambda: logged(caplog, "partition_stuck"))
        await until(lambda: set(others) <= set(got))
        await lab.produce(unique, [b"flows on"], partition=1)
        await until(lambda: got[b"flows on"])
        assert not {SOUND, SPOILED, *AFTER} & set(got)
        assert [left for left in await undone(lab, unique, unique) if left[1] >= len(BEFORE)] == [
            (0, offset) for offset in range(3, 7)
        ]
        wire.bad = False
        await until(lambda: {SOUND, *BEFORE, *AFTER} <= set(got))
        await until(lambda: _all_done(lab, unique))
        source.stop()
        await consuming
        assert source.rebuilds == 0
    assert set(got.values()) == {1}
    assert SPOILED not in got


async def test_records_before_a_bad_one_are_delivered_and_the_bad_one_is_named(
    lab: Lab, wire: SpoilingWire, unique: str, caplog: pytest.LogCaptureFixture
) -> None:
    await produce_around_a_bad_one(lab, unique)
    got = Counter[bytes]()
    async with member(wire.address, [unique]) as source:
        consuming = asyncio.create_task(consume(source, got))
        await until(lambda: logged(caplog, "partition_stuck"))
        source.stop()
        await consuming
    line = logged(caplog, "partition_stuck")[0]
    assert set(BEFORE) <= set(got)
    assert (line["topic"], line["partition"], line["offset"]) == (unique, 0, len(BEFORE))
    assert "CRC" in str(line["reason"])


async def test_what_was_left_alone_is_read_by_the_next_session(
    lab: Lab, wire: SpoilingWire, unique: str, caplog: pytest.LogCaptureFixture
) -> None:
    await produce_around_a_bad_one(lab, unique)
    got = Counter[bytes]()
    async with member(wire.address, [unique]) as source:
        consuming = asyncio.create_task(consume(source, got))
        await until(lambda: logged(caplog, "partition_stuck"))
        source.stop()
        await consuming
    wire.bad = False
    async with member(wire.address, [unique]) as source:
        consuming = asyncio.create_task(consume(source, got))
        await until(lambda: _all_done(lab, unique))
        source.stop()
        await consuming
    assert set(got) == {SOUND, *BEFORE, *AFTER, *numbered(100, first=1_000)}


async def test_offsets_that_go_while_a_session_waits_are_counted_and_the_rest_is_delivered(
    lab: Lab, newest_kafka: KafkaNode, unique: str, caplog: pytest.LogCaptureFixture
) -> None:
    await lab.create_topic(unique)
    await lab.produce(unique, numbered(20))
    async with member(newest_kafka.bootstrap, [unique], prefetch=5) as source:
        got = await take(source, 5)
        source.pause()
        await lab.produce(unique, numbered(30, first=20))
        await lab.delete_records(unique, {0: 40})
        await settle(source, got)
        source.resume()
        seen = Counter[bytes]()
        consuming = asyncio.create_task(consume(source, seen))
        await until(lambda: set(numbered(10, first=40)) <= set(seen))
        await until(lambda: _all_done(lab, unique))
        source.stop()
        await consuming
        [line] = logged(caplog, "offsets_truncated")
        assert source.backlog is not None
        assert source.backlog.missed == 40 - int(str(line["expected"]))
        assert line["found"] == 40


@pytest.mark.parametrize("count", [3, 10, 25])
async def test_a_topic_made_anew_while_nobody_was_there_is_read_from_its_beginning(
    lab: Lab, newest_kafka: KafkaNode, unique: str, count: int
) -> None:
    """Also where the new log is as long as the old one was, or longer: the committed offset is none of its own."""
    await lab.create_topic(unique)
    await lab.produce(unique, numbered(10))
    async with member(newest_kafka.bootstrap, [unique]) as source:
        await settle(source, await take(source, 10))
    await lab.delete_topic(unique)
    await lab.create_topic(unique)
    new = [b"new %d" % number for number in range(count)]
    await lab.produce(unique, new)
    async with member(newest_kafka.bootstrap, [unique]) as source:
        got = await take(source, count)
        assert bodies_of(got) == new
        await settle(source, got)
        await until(lambda: _all_done(lab, unique))


async def test_a_group_whose_offset_an_operator_moved_back_gets_all_of_it_again(
    lab: Lab, newest_kafka: KafkaNode, unique: str
) -> None:
    """What was done above the old offset says nothing about the new one."""
    await lab.create_topic(unique)
    await lab.produce(unique, numbered(6))
    async with member(newest_kafka.bootstrap, [unique]) as source:
        await settle(source, (await take(source, 6))[1:])
    await lab.delete_group(unique)
    async with member(newest_kafka.bootstrap, [unique]) as source:
        assert bodies_of(await take(source, 6)) == numbered(6)
        assert await none_comes(source)


async def _all_done(lab: Lab, topic: str) -> bool:
    return not await undone(lab, topic, topic)
