"""Topics of the bridge's own on real brokers: created as they must be, and refused where they would lose something."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from bridge.errors import ConfigError
from bridge.kafka.options import KafkaConnection, Sasl, TopologyMode
from bridge.kafka.topics import Topic, administrator, ensure, look
from devtools.kafka_lab import Lab
from devtools.kafka_node import KafkaNode
from devtools.kafka_rights import Kind, May, Pattern, grant, revoke_all

WHERE = "routes.test.delay"
DAY = 86_400_000
ALICE = "User:alice"


@pytest.fixture
async def lab(bootstrap: str) -> AsyncIterator[Lab]:
    async with Lab(bootstrap) as lab:
        yield lab


@pytest.fixture
def cluster(bootstrap: str) -> KafkaConnection:
    return KafkaConnection(bootstrap_servers=(bootstrap,))


async def test_what_is_missing_is_created_to_keep_for_ever(cluster: KafkaConnection, lab: Lab, unique: str) -> None:
    wanted = [
        Topic(name=f"{unique}.a", partitions=4, takes=2_000_000, configs={"segment.bytes": "16777216"}),
        Topic(name=f"{unique}.b", replicas=1),
    ]
    await ensure(cluster, wanted, "declare", where=WHERE)
    await ensure(cluster, wanted, "declare", where=WHERE)
    await ensure(cluster, wanted, "verify", where=WHERE)
    assert len(await lab.partitions(f"{unique}.a")) == 4
    found = await lab.configs(f"{unique}.a")
    said = ("cleanup.policy", "retention.ms", "retention.bytes", "max.message.bytes", "segment.bytes")
    assert [found[name] for name in said] == ["delete", "-1", "-1", "2000000", "16777216"]


async def test_two_instances_may_start_at_once(cluster: KafkaConnection, lab: Lab, unique: str) -> None:
    wanted = [Topic(name=f"{unique}.{number}", partitions=4) for number in range(10)]
    await asyncio.gather(*(ensure(cluster, wanted, "declare", where=WHERE) for _ in range(4)))
    assert {topic.name for topic in wanted} <= set(await lab.topics())


async def test_verifying_creates_nothing_and_says_what_is_missing(
    cluster: KafkaConnection, lab: Lab, unique: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        await ensure(cluster, [Topic(name=unique, partitions=4)], "verify", where=WHERE)
    assert f"there is no topic {unique}" in caught.value.problem
    assert f"kafka-topics.sh --create --topic {unique} --partitions 4" in caught.value.cure
    assert "topology" in caught.value.cure
    assert unique not in await lab.topics()


async def test_looking_creates_nothing(cluster: KafkaConnection, lab: Lab, unique: str) -> None:
    async with administrator(cluster, where=WHERE) as admin:
        for _ in range(3):
            assert await look(admin, [unique], where=WHERE) == {}
    assert unique not in await lab.topics()


async def test_a_name_that_no_topic_can_have_is_told(cluster: KafkaConnection) -> None:
    with pytest.raises(ConfigError, match="no topic's name"):
        await ensure(cluster, [Topic(name="orders and more")], "declare", where=WHERE)


WRONG = {
    "cleanup.policy": ("compact", "delete"),
    "retention.ms": (str(7 * DAY), "-1"),
    "retention.bytes": ("1000000", "-1"),
    "max.message.bytes": ("1000", "at least 2000"),
    "min.insync.replicas": ("2", "at most 1"),
}


@pytest.mark.parametrize("mode", ["declare", "verify"])
@pytest.mark.parametrize("name", WRONG)
async def test_what_would_lose_records_is_refused_with_its_cure(
    cluster: KafkaConnection, lab: Lab, unique: str, name: str, mode: TopologyMode
) -> None:
    was, wanted = WRONG[name]
    good = {"retention.ms": "-1", "max.message.bytes": "2000"}
    await lab.create_topic(unique, configs={**good, name: was})
    topic = Topic(name=unique, takes=2_000)
    with pytest.raises(ConfigError) as caught:
        await ensure(cluster, [topic], mode, where=WHERE)
    assert f"topic {unique} has {name}={was}, not {wanted}" in caught.value.problem
    cure = re.search(rf"--entity-name {unique} --add-config (\S+)=(\S+)$", caught.value.cure)
    assert cure is not None
    assert cure[1] == name
    await lab.configure(unique, {**good, name: cure[2]})

    async def cured() -> bool:
        return (await lab.configs(unique))[name] == cure[2]

    await lab.until(cured, "the cure counts")
    await ensure(cluster, [topic], mode, where=WHERE)


async def test_everything_that_is_wrong_is_told_at_once(cluster: KafkaConnection, lab: Lab, unique: str) -> None:
    await lab.create_topic(f"{unique}.a", configs={"retention.ms": "1000", "cleanup.policy": "compact,delete"})
    await lab.create_topic(f"{unique}.b", configs={"retention.ms": "2000"})
    with pytest.raises(ConfigError) as caught:
        await ensure(cluster, [Topic(name=f"{unique}.{last}") for last in "ab"], "declare", where=WHERE)
    for said in (f"{unique}.a has cleanup.policy=compact,delete", "retention.ms=1000", "retention.ms=2000"):
        assert said in caught.value.problem
    assert "--add-config cleanup.policy=delete,retention.ms=-1;" in caught.value.cure


async def test_a_topic_may_forget_where_that_is_late_enough(
    cluster: KafkaConnection, lab: Lab, unique: str, caplog: pytest.LogCaptureFixture
) -> None:
    await lab.create_topic(unique, configs={"retention.ms": str(8 * DAY)})
    with caplog.at_level(logging.WARNING, "bridge"):
        await ensure(cluster, [Topic(name=unique, keeps_ms=7 * DAY)], "declare", where=WHERE)
    [said] = [record for record in caplog.records if record.message == "topic_forgets"]
    assert vars(said)["topic"] == unique
    with pytest.raises(ConfigError, match=f"not -1 or at least {9 * DAY}"):
        await ensure(cluster, [Topic(name=unique, keeps_ms=9 * DAY)], "declare", where=WHERE)


async def test_more_replicas_than_brokers_are_refused_in_words(cluster: KafkaConnection, unique: str) -> None:
    with pytest.raises(ConfigError, match=f"refuses to create topic {unique}: .*replication factor"):
        await ensure(cluster, [Topic(name=unique, replicas=3)], "declare", where=WHERE)


async def test_who_trusts_does_not_even_ask() -> None:
    nobody = KafkaConnection(bootstrap_servers=("127.0.0.1:1",))
    await ensure(nobody, [Topic(name="any")], "off", where=WHERE)


class TestRights:
    """What a user may not do is told with the right that is missing."""

    @pytest.fixture
    async def lab(self, secured_kafka: KafkaNode) -> AsyncIterator[Lab]:
        async with Lab(secured_kafka.bootstrap) as lab:
            yield lab
            await revoke_all(lab, ALICE)

    @pytest.fixture
    def cluster(self, secured_kafka: KafkaNode) -> KafkaConnection:
        who = Sasl(mechanism="PLAIN", username="alice", password=SecretStr("alice-secret"), allow_plaintext=True)
        return KafkaConnection(bootstrap_servers=(secured_kafka.address("SASL_PLAINTEXT"),), sasl=who)

    async def test_no_right_to_look(self, cluster: KafkaConnection, lab: Lab, unique: str) -> None:
        await lab.create_topic(unique)
        with pytest.raises(ConfigError, match=f"the ACL Describe on topic {unique}"):
            await ensure(cluster, [Topic(name=unique)], "declare", where=WHERE)

    async def test_no_right_to_create(self, cluster: KafkaConnection, lab: Lab, unique: str) -> None:
        await grant(lab, ALICE, May.DESCRIBE, Kind.TOPIC, unique, Pattern.PREFIXED)
        with pytest.raises(ConfigError) as caught:
            await ensure(cluster, [Topic(name=unique)], "declare", where=WHERE)
        assert f"the ACL Create on topic {unique}" in caught.value.cure
        assert f"kafka-topics.sh --create --topic {unique}" in caught.value.cure

    async def test_no_right_to_see_settings(
        self, cluster: KafkaConnection, lab: Lab, unique: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        await lab.create_topic(unique, configs={"retention.ms": "1000"})
        await grant(lab, ALICE, May.DESCRIBE, Kind.TOPIC, unique)
        with caplog.at_level(logging.WARNING, "bridge"):
            await ensure(cluster, [Topic(name=unique)], "declare", where=WHERE)
        [said] = [record for record in caplog.records if record.message == "topic_not_verified"]
        assert vars(said)["cure"] == f"give this user the ACL DescribeConfigs on topic {unique}"

    async def test_the_least_rights_are_enough(self, cluster: KafkaConnection, lab: Lab, unique: str) -> None:
        for right in (May.CREATE, May.DESCRIBE, May.DESCRIBE_CONFIGS):
            await grant(lab, ALICE, right, Kind.TOPIC, f"{unique}.", Pattern.PREFIXED)
        await ensure(cluster, [Topic(name=f"{unique}.a")], "declare", where=WHERE)
        await ensure(cluster, [Topic(name=f"{unique}.a")], "verify", where=WHERE)
