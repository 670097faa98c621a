"""The private Kafka nodes themselves, as the other tests rely on them."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from devtools import scratch
from devtools.kafka import NEWEST, KafkaNode, private_node
from devtools.kafka_lab import Committed, Lab, opened, sweep
from devtools.processes import wait_until

OWNER = f"""
from devtools.kafka import private_node
node = private_node({NEWEST!r})
node.start()
print(node.port, node.logs, flush=True)
input()
"""


async def test_a_topic_takes_records_and_tells_where_it_begins_and_ends(bootstrap: str, unique: str) -> None:
    async with Lab(bootstrap) as lab:
        await lab.create_topic(unique, 2)
        placed = await lab.produce(
            unique, [b"a", None], keys=[b"k"] * 2, headers=[("h", b"1"), ("h", None)], partition=1
        )
        assert placed == [(1, 0), (1, 1)]
        assert await lab.ends(unique) == {0: 0, 1: 2}
        first, second = await lab.records(unique)
        assert (first.key, first.value, first.headers) == (b"k", b"a", (("h", b"1"), ("h", None)))
        assert second.value is None
        await lab.delete_records(unique, {1: 1})
        assert await lab.starts(unique) == {0: 0, 1: 1}


@pytest.mark.parametrize("codec", ["gzip", "lz4", "snappy", "zstd"])
async def test_records_of_every_codec_come_back(newest_kafka: KafkaNode, unique: str, codec: str) -> None:
    async with Lab(newest_kafka.bootstrap) as lab:
        await lab.create_topic(unique)
        await lab.produce(unique, [b"x" * 1000] * 3, compression_type=codec)
        assert [record.value for record in await lab.records(unique)] == [b"x" * 1000] * 3


async def test_a_topic_can_be_looked_at_changed_and_deleted(bootstrap: str, unique: str) -> None:
    async with Lab(bootstrap) as lab:
        await lab.create_topic(unique, configs={"retention.ms": "-1"})
        assert (await lab.configs(unique))["retention.ms"] == "-1"
        await lab.configure(unique, {"retention.ms": "5000"})
        assert (await lab.configs(unique))["retention.ms"] == "5000"
        await lab.add_partitions(unique, 3)
        assert len(await lab.partitions(unique)) == 3
        await lab.delete_topic(unique)
        assert unique not in await lab.topics()


async def test_what_a_group_has_committed_can_be_seen(bootstrap: str, unique: str) -> None:
    async with Lab(bootstrap) as lab:
        await lab.create_topic(unique)
        await lab.produce(unique, [b"x"] * 3)
        consumer = AIOKafkaConsumer(
            unique, bootstrap_servers=bootstrap, group_id=unique, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        async with opened(consumer):
            record = await asyncio.wait_for(consumer.getone(), 20)
            assert record.offset == 0
            (partition,) = consumer.assignment()
            await consumer.commit({partition: (1, "notes")})
            assert await lab.members(unique) == 1
        assert await lab.committed(unique) == {(unique, 0): Committed(1, "notes")}
        await lab.delete_group(unique)
        assert unique not in await lab.groups()


async def test_what_a_broker_acknowledged_survives_kill_and_restart(fresh_kafka: KafkaNode) -> None:
    async with Lab(fresh_kafka.bootstrap) as lab:
        await lab.create_topic("kept")
        await lab.produce("kept", [b"x"])
    await asyncio.to_thread(fresh_kafka.kill)
    assert not fresh_kafka.running
    await asyncio.to_thread(fresh_kafka.start)
    await asyncio.to_thread(fresh_kafka.restart)
    async with Lab(fresh_kafka.bootstrap) as lab:
        assert [record.value for record in await lab.records("kept")] == [b"x"]


async def test_a_fresh_kafka_is_empty_although_another_test_had_it_before(fresh_kafka: KafkaNode) -> None:
    async with Lab(fresh_kafka.bootstrap) as lab:
        assert await lab.topics() == []
        assert await lab.groups() == []


async def test_a_node_whose_group_has_a_member_is_emptied_by_closing_it_alone(fresh_newest_kafka: KafkaNode) -> None:
    node = fresh_newest_kafka
    async with Lab(node.bootstrap) as lab:
        await lab.create_topic("t")
        consumer = AIOKafkaConsumer("t", bootstrap_servers=node.bootstrap, group_id="g", enable_auto_commit=False)
        async with opened(consumer):

            async def joined() -> bool:
                return await lab.members("g") == 1

            await lab.until(joined, "the consumer is a member")
            assert not await asyncio.to_thread(sweep, node.bootstrap)
            assert await lab.topics() == ["t"]
    await asyncio.to_thread(node.close)
    await asyncio.to_thread(node.start)
    async with Lab(node.bootstrap) as lab:
        assert await lab.topics() == await lab.groups() == []
    assert await asyncio.to_thread(sweep, node.bootstrap)


async def test_a_frozen_broker_is_silent_until_it_is_thawed(fresh_newest_kafka: KafkaNode) -> None:
    async with Lab(fresh_newest_kafka.bootstrap) as lab:
        fresh_newest_kafka.freeze()
        asked = asyncio.ensure_future(lab.topics())
        done, _ = await asyncio.wait([asked], timeout=0.5)
        assert not done
        assert fresh_newest_kafka.running
        fresh_newest_kafka.thaw()
        assert await asked == []


def test_nodes_share_nothing(newest_kafka: KafkaNode, fresh_newest_kafka: KafkaNode) -> None:
    assert newest_kafka.bootstrap != fresh_newest_kafka.bootstrap
    assert newest_kafka.logs != fresh_newest_kafka.logs


async def test_a_topic_that_is_merely_looked_for_does_not_come_into_being(bootstrap: str, unique: str) -> None:
    async with Lab(bootstrap) as lab:
        for look in (lab.partitions, lab.ends, lab.records, lab.configs):
            with pytest.raises(UnknownTopicOrPartitionError):
                await look(unique)
        assert unique not in await lab.topics()


async def test_the_settings_of_a_node_can_be_chosen(unique: str) -> None:
    node = private_node(NEWEST, {"auto.create.topics.enable": "false"})
    try:
        await asyncio.to_thread(node.start)
        async with Lab(node.bootstrap) as lab:
            with pytest.raises(UnknownTopicOrPartitionError):
                await lab.produce(unique, [b"x"], request_timeout_ms=1000)
            assert await lab.topics() == []
    finally:
        await asyncio.to_thread(node.close)


async def test_whoever_comes_by_the_wire_can_be_frozen_out_and_cut_off_alone(
    newest_kafka: KafkaNode, unique: str
) -> None:
    async with newest_kafka.wire() as wire, Lab(newest_kafka.bootstrap) as lab, Lab(wire.address) as behind:
        await lab.create_topic(unique)
        await behind.topics()
        connections = wire.accepted
        assert connections > 0
        wire.freeze()
        asked = asyncio.ensure_future(behind.topics())
        assert unique in await lab.topics()
        assert not asked.done()
        wire.thaw()
        assert unique in await asked
        assert wire.accepted == connections
        wire.cut()
        assert unique in await lab.topics()
        await behind.produce(unique, [b"y"])
        assert wire.accepted > connections
        await wire.close()
        with pytest.raises(KafkaError):
            async with Lab(wire.address):
                pass


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


@pytest.mark.usefixtures("newest_kafka_version")
@pytest.mark.parametrize("how", [signal.SIGKILL, None])
def test_a_node_leaves_nothing_behind_however_its_owner_ends(how: signal.Signals | None) -> None:
    command = [sys.executable, "-c", OWNER]
    with subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout
        port, broker_log = owner.stdout.readline().split()
        assert answers(int(port))
        owner.send_signal(how) if how else owner.communicate("\n")
    wait_until(lambda: not answers(int(port)), within=60, what="the node ends")
    scratch.folder("kafka")  # whoever needs a folder sweeps those of the dead
    assert not Path(broker_log).parent.exists()
