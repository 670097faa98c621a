"""What dead letters on Kafka do beyond the contract: what does not fit, who may not, and what others leave there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from bridge.deadletters.kafka import KafkaDeadLetters, KafkaDeadLettersSettings
from bridge.errors import ConfigError, Unavailable
from bridge.kafka import sizes
from bridge.kafka.options import KafkaConnection, Sasl
from bridge.model import Burial, Delivery
from devtools.kafka_lab import Lab
from devtools.kafka_node import KafkaNode
from devtools.kafka_rights import Kind, May, Pattern, grant, revoke_all
from tests.contract.dead_letters import bodies, burial

RANDOM = os.urandom(3 << 20)
FROM_KAFKA = Delivery(body=RANDOM, headers={"a": b"1"}, key=b"k", origin="kafka:orders", position="orders/3/42")
ALICE = "User:alice"


@pytest.fixture
async def lab(bootstrap: str) -> AsyncIterator[Lab]:
    async with Lab(bootstrap) as lab:
        yield lab


@pytest.fixture
async def graves(bootstrap: str, unique: str) -> AsyncIterator[KafkaDeadLetters]:
    """They take records of 2 MiB."""
    graves = settings(bootstrap, unique, max_record_bytes=2 << 20).build("default")
    await graves.open()
    yield graves
    await graves.close()


def settings(bootstrap: str, namespace: str, **more: Any) -> KafkaDeadLettersSettings:
    return KafkaDeadLettersSettings(type="kafka", bootstrap_servers=(bootstrap,), namespace=namespace, **more)


def large(delivery: Delivery, body: bytes = RANDOM) -> Burial:
    return Burial(delivery, body, reason="body has more than max_event_bytes", kind="poison", event_id="i", route="r")


async def standing(graves: KafkaDeadLetters) -> None:
    async with asyncio.timeout(60):
        while not graves.connected:  # noqa: ASYNC110  it tells nobody
            await asyncio.sleep(0.05)


async def test_the_topic_is_the_routes_own_and_keeps_for_ever(graves: KafkaDeadLetters, lab: Lab, unique: str) -> None:
    assert graves.connected
    found = await lab.configs(f"{unique}.dead.v1")
    assert (found["retention.ms"], found["max.message.bytes"]) == ("-1", str(2 << 20))
    assert len(await lab.partitions(f"{unique}.dead.v1")) == 1


def test_a_route_uses_the_cluster_of_its_source(unique: str) -> None:
    source = KafkaConnection(bootstrap_servers=("kafka.example:9092",))
    KafkaDeadLettersSettings(type="kafka", namespace=unique).build("orders", source)
    with pytest.raises(ConfigError, match=r"routes\.orders\.dead_letters\.bootstrap_servers"):
        KafkaDeadLettersSettings(type="kafka").build("orders", None)


async def test_key_value_and_headers_lie_there_untouched(graves: KafkaDeadLetters, lab: Lab, unique: str) -> None:
    await graves.bury([large(FROM_KAFKA, b"\xff body")])
    [record] = await lab.records(f"{unique}.dead.v1")
    assert (record.key, record.value) == (b"k", b"\xff body")
    headers = dict(record.headers)
    assert headers["a"] == b"1"
    assert headers["x-bridge-dlq-reason"] == b"body has more than max_event_bytes"
    assert headers["x-bridge-dlq-position"] == b"orders/3/42"


async def test_a_large_body_is_compressed(graves: KafkaDeadLetters) -> None:
    body = b'{"event": "large"}' * 1_000_000
    await graves.bury([large(Delivery(body=body), body)])
    [found] = await graves.browse(1)
    assert (found.body == body, found.truncated) == (True, None)


async def test_of_what_kafka_keeps_elsewhere_the_beginning_will_do(graves: KafkaDeadLetters) -> None:
    await graves.bury([burial(0), large(FROM_KAFKA), burial(2)])
    found = {each.event_id: each for each in await graves.browse(9)}
    assert set(found) == {"id-0", "i", "id-2"}
    cut = found["i"]
    assert (cut.truncated, len(cut.body), RANDOM.startswith(cut.body)) == (len(RANDOM), 65_536, True)
    assert (cut.delivery.position, cut.delivery.key, cut.delivery.headers) == ("orders/3/42", b"k", {"a": b"1"})


async def test_headers_that_do_not_fit_are_left_where_the_original_is(graves: KafkaDeadLetters) -> None:
    await graves.bury([large(replace(FROM_KAFKA, headers={"a": RANDOM}), b"small")])
    [found] = await graves.browse(1)
    assert (found.body, found.delivery.headers, found.truncated) == (b"small", {}, 5)


async def test_what_is_nowhere_else_waits_until_there_is_room(
    graves: KafkaDeadLetters, lab: Lab, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "DOUBT", 0.0)
    item = large(Delivery(body=RANDOM, origin="rabbitmq:orders"))
    with pytest.raises(Unavailable, match=f"more than the {2 << 20} that topic {unique}.dead.v1 takes"):
        await graves.bury([item])
    assert await graves.browse(1) == []
    await lab.configure(f"{unique}.dead.v1", {"retention.ms": "-1", "max.message.bytes": "9000000"})
    async with asyncio.timeout(20):
        while True:
            try:
                await graves.bury([item])
            except Unavailable:
                await asyncio.sleep(0.1)
            else:
                break
    [found] = await graves.browse(1)
    assert found.body == RANDOM


async def test_a_topic_that_takes_too_little_is_refused_at_the_start(bootstrap: str, lab: Lab, unique: str) -> None:
    await lab.create_topic(f"{unique}.dead.v1", configs={"retention.ms": "-1"})
    graves = settings(bootstrap, unique).build("default")
    with pytest.raises(ConfigError, match=f"has max.message.bytes=1048588, not at least {8 << 20}"):
        await graves.open()
    await graves.close()


async def test_several_partitions_are_read_by_their_time(bootstrap: str, lab: Lab, unique: str) -> None:
    await lab.create_topic(f"{unique}.dead.v1", 3, {"retention.ms": "-1", "max.message.bytes": str(8 << 20)})
    graves = settings(bootstrap, unique).build("default")
    await graves.open()
    try:
        for number in range(9):
            await graves.bury([burial(number)])
        async with graves.take(4) as taken:
            assert bodies(taken) == [b"body %d" % number for number in range(4)]
        assert bodies(await graves.browse(9)) == [b"body %d" % number for number in range(4, 9)]
        assert await graves.purge() == 5
    finally:
        await graves.close()


async def test_what_others_leave_there_can_be_read_too(graves: KafkaDeadLetters, lab: Lab, unique: str) -> None:
    await lab.produce(f"{unique}.dead.v1", [b"?", None], keys=[None, b"k"], headers=[("a", b"1")])
    found = await graves.browse(9)
    assert [(each.kind, each.body) for each in found] == [("foreign", b"?"), ("foreign", b"")]


async def test_a_broker_that_was_away_keeps_what_was_buried(fresh_kafka: KafkaNode, unique: str) -> None:
    graves = settings(fresh_kafka.bootstrap, unique).build("default")
    await graves.open()
    await graves.bury([burial(1)])
    await asyncio.to_thread(fresh_kafka.kill)
    with pytest.raises(Unavailable):
        await graves.bury([burial(2)])
    assert not graves.connected
    await asyncio.to_thread(fresh_kafka.start)
    await standing(graves)
    await graves.bury([burial(2)])
    assert {each.event_id for each in await graves.browse(9)} == {"id-1", "id-2"}
    assert graves.rebuilds >= 1
    await graves.close()


class TestRights:
    @pytest.fixture
    async def lab(self, secured_kafka: KafkaNode) -> AsyncIterator[Lab]:
        async with Lab(secured_kafka.bootstrap) as lab:
            yield lab
            await revoke_all(lab, ALICE)

    @pytest.fixture
    def graves(self, secured_kafka: KafkaNode, unique: str) -> KafkaDeadLetters:
        who = Sasl(mechanism="PLAIN", username="alice", password=SecretStr("alice-secret"), allow_plaintext=True)
        return settings(secured_kafka.address("SASL_PLAINTEXT"), unique, sasl=who).build("default")

    async def test_without_the_right_to_write_nothing_begins(
        self, graves: KafkaDeadLetters, lab: Lab, unique: str
    ) -> None:
        for right in (May.CREATE, May.DESCRIBE, May.DESCRIBE_CONFIGS):
            await grant(lab, ALICE, right, Kind.TOPIC, f"{unique}.", Pattern.PREFIXED)
        with pytest.raises(ConfigError, match="the ACL Write"):
            await graves.open()
        await graves.close()

    async def test_a_right_to_write_elsewhere_is_none_here(
        self, graves: KafkaDeadLetters, lab: Lab, unique: str
    ) -> None:
        for right in (May.CREATE, May.DESCRIBE, May.DESCRIBE_CONFIGS):
            await grant(lab, ALICE, right, Kind.TOPIC, f"{unique}.", Pattern.PREFIXED)
        await grant(lab, ALICE, May.WRITE, Kind.TOPIC, "elsewhere")
        await graves.open()
        with pytest.raises(Unavailable, match=f"the ACL Write on topic {unique}.dead.v1"):
            await graves.bury([burial(1)])
        await grant(lab, ALICE, May.WRITE, Kind.TOPIC, f"{unique}.", Pattern.PREFIXED)
        await graves.bury([burial(1)])
        await graves.close()

    async def test_without_the_right_to_delete_none_is_handed_out_for_good(
        self, graves: KafkaDeadLetters, lab: Lab, unique: str
    ) -> None:
        for right in (May.CREATE, May.DESCRIBE, May.DESCRIBE_CONFIGS, May.WRITE, May.READ):
            await grant(lab, ALICE, right, Kind.TOPIC, f"{unique}.", Pattern.PREFIXED)
        await graves.open()
        await graves.bury([burial(1)])
        with pytest.raises(ConfigError, match=f"the ACL Delete on topic {unique}.dead.v1"):
            async with graves.take(1):
                raise AssertionError("handed out")
        with pytest.raises(ConfigError, match=f"the ACL Delete on topic {unique}.dead.v1"):
            await graves.purge()
        await grant(lab, ALICE, May.DELETE, Kind.TOPIC, f"{unique}.", Pattern.PREFIXED)
        async with graves.take(1) as taken:
            assert bodies(taken) == [b"body 1"]
        await graves.close()
