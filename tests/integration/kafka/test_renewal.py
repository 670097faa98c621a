"""A topic that is deleted and made anew under a session: nothing of the new one is skipped, however long it is."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from devtools.kafka import KafkaNode
from devtools.kafka_lab import Lab
from tests.integration.kafka.members import consume, member, numbered, settle, take, until

OLD = 10  # records of the old topic, all read before it is deleted


@pytest.mark.parametrize("count", [OLD - 7, OLD, OLD + 15])
@pytest.mark.parametrize("how", ["running", "paused", "settled late", "never settled"])
async def test_a_topic_made_anew_is_read_from_its_beginning(
    newest_kafka: KafkaNode, unique: str, caplog: pytest.LogCaptureFixture, count: int, how: str
) -> None:
    async with Lab(newest_kafka.bootstrap) as lab:
        await lab.create_topic(unique)
        await lab.produce(unique, numbered(OLD))
        await _renewed_under_a_session(newest_kafka.bootstrap, unique, lab, count, how)
    assert "topic_restarted" in [record.message for record in caplog.records]


async def _renewed_under_a_session(bootstrap: str, topic: str, lab: Lab, count: int, how: str) -> None:
    async with member(bootstrap, [topic]) as source:
        old = await take(source, OLD)
        if how in {"running", "paused"}:
            await settle(source, old)
        if how == "running":
            await asyncio.sleep(0.3)
        else:
            source.pause()
        await lab.delete_topic(topic)
        await lab.create_topic(topic)
        new = [b"new %d" % number for number in range(count)]
        await lab.produce(topic, new)
        if how == "settled late":
            await settle(source, old)
        source.resume()
        seen: Counter[bytes] = Counter()
        consuming = asyncio.create_task(consume(source, seen))
        await until(lambda: set(new) <= seen.keys())
        if how == "never settled":
            assert all(map(source.owns, old)), "nobody else gets these: they are still to be sent"
        source.stop()
        await consuming
