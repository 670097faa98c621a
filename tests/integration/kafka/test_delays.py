"""The delay line on a real Kafka: what waits survives everything, costs no memory, and comes on time."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka.consumer.fetcher import Fetcher

from bridge.core.levels import LEVELS, Levels
from bridge.delays.kafka import KafkaDelayLine
from bridge.errors import ConfigError, EndOfSource
from bridge.kafka import sweeping
from bridge.kafka.outgoing import TooLarge
from bridge.model import Stage
from devtools.kafka import KafkaNode
from devtools.kafka_lab import Lab
from devtools.kafka_rights import Kind, May, Pattern, grant, revoke_all
from devtools.kafka_security import USERS
from devtools.processes import wait_until
from tests.integration.kafka.line import LIMIT, Instance, early, held, insist, levels_of, line_at, settings_of, take

WEEK = str(7 * 86_400_000)  # ms; what brokers keep by default
MEGABYTE = 1 << 20


def fired(instances: Sequence[Instance]) -> list[dict[str, Any]]:
    return [fact for instance in instances for fact in instance.fired()]


async def until_fired(instances: Sequence[Instance], count: int) -> None:
    """Wait until so many different copies were fired."""
    await asyncio.to_thread(
        wait_until, lambda: len({fact["id"] for fact in fired(instances)}) == count, within=LIMIT, what="all are fired"
    )


def assert_never_early(instances: Sequence[Instance]) -> None:
    assert [fact for fact in fired(instances) if fact["at"] < fact["due"]] == []


async def until_swept(line: KafkaDelayLine, failures: int) -> None:
    async with asyncio.timeout(LIMIT):
        while line.sweep.failures < failures:  # noqa: ASYNC110  a counter is looked at
            await asyncio.sleep(0.05)


class TestTopics:
    async def test_levels_that_forget_are_refused_before_anybody_reads_them(
        self, newest_kafka: KafkaNode, unique: str
    ) -> None:
        async with Lab(newest_kafka.bootstrap) as lab:
            await lab.create_topic(Levels(unique).topic(64), 1, {"retention.ms": WEEK})
            line = settings_of(newest_kafka.bootstrap, unique).build("default")
            with pytest.raises(ConfigError, match=r"0000064 has retention.ms=604800000, not -1.*kafka-configs.sh"):
                await line.open()
            await line.close()
            assert Levels(unique).group not in await lab.groups()

    async def test_levels_that_are_missing_are_named_with_the_commands_that_create_them(
        self, newest_kafka: KafkaNode, unique: str
    ) -> None:
        line = settings_of(newest_kafka.bootstrap, unique, topology="verify").build("default")
        with pytest.raises(ConfigError, match=r"there is no topic .*0000000.*kafka-topics.sh --create"):
            await line.open()
        await line.close()

    async def test_levels_are_created_to_keep_what_is_in_them(self, kafka: KafkaNode, unique: str) -> None:
        async with line_at(kafka.bootstrap, unique, partitions=2), Lab(kafka.bootstrap) as lab:
            for level in LEVELS:
                name = Levels(unique).topic(level)
                assert len(await lab.partitions(name)) == 2
                configs = await lab.configs(name)
                assert (configs["retention.ms"], configs["retention.bytes"]) == ("-1", "-1")
                assert configs["max.message.bytes"] == str(8 * MEGABYTE)

    async def test_what_has_left_its_level_is_deleted(
        self, newest_kafka: KafkaNode, unique: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sweeping, "EVERY", 0.3)
        async with line_at(newest_kafka.bootstrap, unique, partitions=1) as line, Lab(newest_kafka.bootstrap) as lab:
            await line.hold([held(number, 1.2) for number in range(20)])
            waits = Levels(unique).topic(1024)
            await line.hold([held(99, 2_000.0)])
            await take(line, 20)
            async with asyncio.timeout(LIMIT):
                while await lab.starts(Levels(unique).topic(1)) != {0: 20}:  # noqa: ASYNC110  the broker is asked
                    await asyncio.sleep(0.1)
            assert await lab.starts(waits) == {0: 0}


class TestReading:
    async def test_what_is_no_copy_is_handed_out_to_be_complained_of(
        self, newest_kafka: KafkaNode, unique: str
    ) -> None:
        async with line_at(newest_kafka.bootstrap, unique) as line, Lab(newest_kafka.bootstrap) as lab:
            await lab.produce(Levels(unique).topic(64), [b"from somebody else"])
            [(_, delivery)] = await take(line, 1)
            assert (delivery.body, delivery.ticket, delivery.stage) == (b"from somebody else", None, Stage.DUE)

    async def test_how_many_wait_can_be_seen(self, newest_kafka: KafkaNode, unique: str) -> None:
        async with line_at(newest_kafka.bootstrap, unique) as line:
            await line.hold([held(number, 100.0) for number in range(70)])
            async with asyncio.timeout(LIMIT):
                while line.due.backlog is None or line.due.backlog.lag != 70:  # noqa: ASYNC110  a counter is looked at
                    await asyncio.sleep(0.05)

    async def test_during_a_pause_nothing_comes(self, newest_kafka: KafkaNode, unique: str) -> None:
        async with line_at(newest_kafka.bootstrap, unique) as line:
            line.due.pause()
            await line.hold([held(0, 0.0), held(1, 8.0)])
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(line.due.receive(1, 0.0), 2.0)
            line.due.resume()
            assert early(await take(line, 2)) == []

    async def test_a_stop_leaves_what_waits_where_it_is(self, newest_kafka: KafkaNode, unique: str) -> None:
        async with line_at(newest_kafka.bootstrap, unique) as line:
            await line.hold([held(number, 0.1 * number) for number in range(100)])
            first = await take(line, 20)
            line.due.stop()
            with pytest.raises(EndOfSource):
                await line.due.receive(1, 0.0)
        async with line_at(newest_kafka.bootstrap, unique) as line:
            rest = await take(line, 100 - len(first))
        assert {copy.body for _, copy in [*first, *rest]} == {b"%d" % number for number in range(100)}


class TestRights:
    async def test_least_rights_suffice_and_what_may_not_be_deleted_is_told_once(
        self, secured_kafka: KafkaNode, unique: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(sweeping, "EVERY", 0.1)
        sasl = {"mechanism": "PLAIN", "username": "alice", "password": USERS["alice"], "allow_plaintext": True}
        group = Levels(unique).group
        async with Lab(secured_kafka.bootstrap) as lab:
            for may in (May.CREATE, May.READ, May.WRITE, May.DESCRIBE_CONFIGS):
                await grant(lab, "User:alice", may, Kind.TOPIC, f"{group}.", Pattern.PREFIXED)
            await grant(lab, "User:alice", May.READ, Kind.GROUP, group)
            async with line_at(secured_kafka.address("SASL_PLAINTEXT"), unique, sasl=sasl) as line:
                await line.hold([held(number, 0.2 * number) for number in range(20)])
                assert early(await take(line, 20)) == []
                await until_swept(line, failures=3)
                [told] = [record for record in caplog.records if record.getMessage() == "levels_not_swept"]
                assert f"ACL Delete on the topics {group}.*" in vars(told)["cure"]
                await grant(lab, "User:alice", May.DELETE, Kind.TOPIC, f"{group}.", Pattern.PREFIXED)
                async with asyncio.timeout(LIMIT):
                    while not any((await lab.starts(Levels(unique).topic(1))).values()):  # noqa: ASYNC110  likewise
                        await asyncio.sleep(0.1)
            await revoke_all(lab, "User:alice")


class TestCrashes:
    @pytest.mark.parametrize("how", ["restart", "kill"])
    async def test_what_waits_survives_its_broker(self, how: str, fresh_newest_kafka: KafkaNode, unique: str) -> None:
        async with line_at(fresh_newest_kafka.bootstrap, unique) as line:
            waits = [0.5, 1.5, 5.0, 9.0, 20.0]
            await line.hold([held(number, waits[number % 5]) for number in range(50)])
            if how == "kill":
                await asyncio.to_thread(fresh_newest_kafka.kill)
                await asyncio.to_thread(fresh_newest_kafka.start)
            else:
                await asyncio.to_thread(fresh_newest_kafka.restart)
            got = await take(line, 50)
            assert early(got) == []
            await insist(line, [held(50, 1.5)])
            assert len(await take(line, 1)) == 1

    async def test_a_frozen_broker_only_delays(self, fresh_newest_kafka: KafkaNode, unique: str) -> None:
        async with line_at(fresh_newest_kafka.bootstrap, unique) as line:
            await line.hold([held(number, random.uniform(0.5, 30.0)) for number in range(100)])
            fresh_newest_kafka.freeze()
            await asyncio.sleep(20)
            fresh_newest_kafka.thaw()
            assert early(await take(line, 100)) == []

    async def test_what_cannot_be_parked_again_comes_when_it_is_due(self, newest_kafka: KafkaNode, unique: str) -> None:
        """While the levels take nothing, parking is tried again in place, and what comes due is handed out."""
        async with line_at(newest_kafka.bootstrap, unique) as line, Lab(newest_kafka.bootstrap) as lab:
            await line.hold([held(0, 7.9), held(1, 12.0)])
            for name in levels_of(unique):
                await lab.configure(name, {"min.insync.replicas": "2", "retention.ms": "-1"})
            [(came, copy)] = await take(line, 1)
            assert copy.ticket is not None
            assert copy.body == b"0"
            assert -3_100 <= came - copy.ticket.due_at < 5_000
            for name in levels_of(unique):
                await lab.configure(name, {"retention.ms": "-1"})
            [(_, copy)] = await take(line, 1)
            assert copy.body == b"1"

    async def test_a_copy_that_no_level_takes_any_more_is_handed_out_to_be_buried(
        self, newest_kafka: KafkaNode, unique: str
    ) -> None:
        """Left where it is, it would hold up its partition for ever."""
        async with (
            line_at(newest_kafka.bootstrap, unique) as filling,
            line_at(newest_kafka.bootstrap, unique, topology="off") as line,
            Lab(newest_kafka.bootstrap) as lab,
        ):
            await filling.hold([held(1, 64.0, size=MEGABYTE)])
            await filling.hold([held(2, 21.0), held(3, 7.0, size=MEGABYTE)])
            await filling.due.close()
            for name in levels_of(unique):
                await lab.configure(name, {"max.message.bytes": "100000", "retention.ms": "-1"})
            [(_, copy)] = await take(line, 1)
            assert copy.body.startswith(b"3")
            [refusal] = await line.hold([held(3, 60.0, size=MEGABYTE)])
            assert isinstance(refusal, TooLarge)

    async def test_one_that_is_too_large_is_refused_and_the_others_are_held(
        self, newest_kafka: KafkaNode, unique: str
    ) -> None:
        async with line_at(newest_kafka.bootstrap, unique, max_record_bytes="100KiB") as line:
            results = await line.hold([held(0, 0.5), held(1, 0.5, size=MEGABYTE), held(2, 1.5)])
            assert [type(result) for result in results] == [type(None), TooLarge, type(None)]
            assert len(await take(line, 2)) == 2


class TestInstances:
    async def test_another_instance_goes_on_where_one_was_killed(
        self, newest_kafka: KafkaNode, unique: str, tmp_path: Path
    ) -> None:
        async with line_at(newest_kafka.bootstrap, unique) as line:
            await line.due.close()  # this one only fills
            first = Instance(tmp_path, newest_kafka.bootstrap, unique)
            await asyncio.to_thread(first.until_open)
            await line.hold([held(number, random.uniform(1.0, 15.0)) for number in range(200)])
            await asyncio.to_thread(wait_until, lambda: len(first.fired()) > 40, within=LIMIT, what="some are fired")
            first.kill()
        second = Instance(tmp_path, newest_kafka.bootstrap, unique)
        await until_fired([first, second], 200)
        second.stop()
        assert_never_early([first, second])

    async def test_instances_that_come_and_go_lose_nothing_and_fire_nothing_early(
        self, newest_kafka: KafkaNode, unique: str, tmp_path: Path
    ) -> None:
        bootstrap = newest_kafka.bootstrap
        instances = [Instance(tmp_path, bootstrap, unique)]
        await asyncio.to_thread(instances[0].until_open)
        async with line_at(bootstrap, unique) as line:
            await line.due.close()
            await line.hold([held(number, random.uniform(0.5, 30.0)) for number in range(500)])
            for _ in range(3):
                instances.append(Instance(tmp_path, bootstrap, unique))
                await asyncio.sleep(3)
                await asyncio.to_thread(instances[-2].stop)
                await asyncio.sleep(2)

        await until_fired(instances, 500)
        instances[-1].stop()
        assert_never_early(instances)
        assert len(fired(instances)) <= 550  # one that was settled and not committed comes again, which is rare


class TestCost:
    async def test_a_hundred_thousand_that_wait_cost_neither_memory_nor_time(
        self, newest_kafka: KafkaNode, unique: str, tmp_path: Path
    ) -> None:
        bootstrap = newest_kafka.bootstrap
        async with line_at(bootstrap, unique) as line:
            await line.due.close()
            empty = Instance(tmp_path, bootstrap, unique)
            idle = await asyncio.to_thread(empty.until_open)
            before = empty.rss()
            for start in range(0, 100_000, 5_000):
                items = [held(n, random.choice([100, 1_000, 10_000, 90_000]), 500) for n in range(start, start + 5_000)]
                assert await line.hold(items) == [None] * 5_000
            await asyncio.sleep(5)
            assert empty.rss() - before < 60 * MEGABYTE
            assert empty.rss() < 80 * MEGABYTE
            empty.stop()
            full = Instance(tmp_path, bootstrap, unique)
            assert await asyncio.to_thread(full.until_open) < idle + 3.0
            await line.hold([held(100_000, 2.0)])
            await asyncio.to_thread(wait_until, lambda: bool(full.fired()), within=30, what="the one that is due")
            assert full.fired()[0]["id"] == "100000"
            await asyncio.sleep(5)
            assert full.rss() < 80 * MEGABYTE
            full.stop()

    async def test_an_idle_line_asks_the_broker_little(
        self, newest_kafka: KafkaNode, unique: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = 0
        fetch = Fetcher._proc_fetch_request  # where the client sends a fetch

        async def counting(self: Fetcher, *arguments: object) -> object:
            nonlocal asked
            asked += 1
            return await fetch(self, *arguments)

        monkeypatch.setattr(Fetcher, "_proc_fetch_request", counting)
        async with line_at(newest_kafka.bootstrap, unique) as line:
            await line.hold([held(0, 0.5)])
            await take(line, 1)
            asked, began = 0, time.monotonic()
            await asyncio.sleep(5)
            assert asked / (time.monotonic() - began) <= 5.0
