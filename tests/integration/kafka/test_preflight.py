"""What is found out about a cluster, topics, groups and rights, without touching them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer

from bridge.kafka.options import KafkaConnection
from bridge.kafka.preflight import (
    Finding,
    judged,
    of_brokers,
    of_cluster,
    of_group,
    of_own,
    of_room,
    of_source,
    version_of,
)
from bridge.kafka.rights import Right
from bridge.kafka.topics import Topic, administrator
from devtools.kafka import KafkaNode
from devtools.kafka_lab import Lab, opened
from devtools.kafka_rights import Kind, May, Pattern, grant, revoke_all
from devtools.kafka_security import USERS

WHERE = "routes.default.source"
NEEDS = frozenset({Right.READ, Right.WRITE, Right.DELETE})
WEEK = 7 * 86_400_000


def admin_of(bootstrap: str, **more: Any) -> AbstractAsyncContextManager[Any]:
    connection = KafkaConnection.model_validate({"bootstrap_servers": bootstrap, **more})
    return administrator(connection, where=WHERE)


@pytest.fixture
async def admin(bootstrap: str) -> AsyncIterator[Any]:
    async with admin_of(bootstrap) as admin:
        yield admin


@pytest.fixture
async def lab(bootstrap: str) -> AsyncIterator[Lab]:
    async with Lab(bootstrap) as lab:
        yield lab


async def source(admin: Any, *topics: str, pattern: str | None = None, most: int = 3 << 20) -> list[Finding]:
    return await of_source(admin, topics, pattern, max_event_bytes=most, where=WHERE)


async def own(admin: Any, *topics: Topic, declared: bool = True) -> list[Finding]:
    return await of_own(admin, topics, NEEDS, declared=declared, where=WHERE)


def texts(found: list[Finding], level: str) -> list[str]:
    return [finding.text for finding in found if finding.level == level]


async def test_the_brokers_are_reached_and_their_version_is_told(kafka: KafkaNode, admin: Any) -> None:
    found = await of_brokers(admin, where=WHERE)
    named = {"3.9": "Kafka 3.9", "4.1": "Kafka 4.1 or later"}[kafka.version]
    assert found[0] == Finding("ok", f"{named} reached, 1 broker")
    assert [finding.level for finding in found] == ["ok", "ok"]
    assert "auto.create.topics.enable" in found[1].text


async def test_a_topic_that_is_there_is_described(admin: Any, lab: Lab, unique: str) -> None:
    await lab.create_topic(unique, 3)
    found = await source(admin, unique)
    assert texts(found, "ok")[0] == f"the topic {unique} is there, 3 partitions"
    assert any("keeps a record for 7 d" in text for text in texts(found, "ok"))
    assert not texts(found, "warning") + texts(found, "error")


async def test_a_topic_that_is_missing_is_an_error_and_is_not_created(admin: Any, lab: Lab, unique: str) -> None:
    [found] = await source(admin, unique)
    assert (found.level, found.text) == ("error", f"there is no topic {unique}")
    assert unique not in await lab.topics()


async def test_of_many_topics_that_match_a_pattern_only_what_is_wrong_is_told(
    admin: Any, lab: Lab, unique: str
) -> None:
    await lab.create_topic(f"{unique}.10")
    for number in range(7):
        await lab.create_topic(f"{unique}.{number}", configs={"cleanup.policy": "compact"} if number == 3 else None)
    first, *others = await source(admin, pattern=f"{unique}\\.[0-9]")
    assert first.text.startswith(f"7 topics that match {unique}\\.[0-9] now: {unique}.0, {unique}.1")
    assert first.text.endswith("and 2 more")
    assert [finding.text.partition(" ")[0] for finding in others] == [f"{unique}.3"]


async def test_a_pattern_that_nothing_matches_is_told(admin: Any, unique: str) -> None:
    [found] = await source(admin, pattern=unique)
    assert found.level == "warning"
    assert "no topic" in found.text


async def test_a_look_at_a_group_does_not_even_make_the_topic_of_all_groups(
    fresh_newest_kafka: KafkaNode, unique: str
) -> None:
    fresh_newest_kafka.close()  # what an earlier test has made goes
    fresh_newest_kafka.start()
    async with admin_of(fresh_newest_kafka.bootstrap) as admin:
        [found] = await of_group(admin, unique, local_store=True, where=WHERE)
        assert found == Finding("ok", f"the group {unique} is not there yet")
        assert await admin.list_topics() == []


async def test_a_group_of_several_is_warned_of_where_each_has_a_store_of_its_own(
    admin: Any, lab: Lab, bootstrap: str, unique: str
) -> None:
    await lab.create_topic(unique, 2)
    async with AsyncExitStack() as members:
        for count in (1, 2):
            member = AIOKafkaConsumer(unique, bootstrap_servers=bootstrap, group_id=unique)
            await members.enter_async_context(opened(member))
            found = await of_group(admin, unique, local_store=True, where=WHERE)
            assert found[0].text == f"the group {unique} has {count} member{'s' * (count > 1)} now"
            assert len(texts(found, "warning")) == (count > 1)
            assert not texts(await of_group(admin, unique, local_store=False, where=WHERE), "warning")


async def test_our_own_topics_will_be_made_where_that_is_wanted_and_are_not_yet(
    admin: Any, lab: Lab, unique: str
) -> None:
    line = [Topic(name=f"{unique}.{number}", partitions=4, takes=9 << 20) for number in range(3)]
    assert await own(admin, *line) == [Finding("ok", f"the topics {unique}.0 .. {unique}.2 will be made")]
    missing = await own(admin, *line, declared=False)
    assert texts(missing, "error") == [f"there is no topic {topic.name}" for topic in line]
    assert not [name for name in await lab.topics() if name.startswith(unique)]


async def test_what_the_cluster_would_not_create_is_told(admin: Any, unique: str) -> None:
    [found] = await own(admin, Topic(name=unique, replicas=3))
    assert found.level == "error"
    assert f"the topic {unique} cannot be created" in found.text


async def test_a_topic_of_ours_that_forgets_is_an_error_with_the_command_that_cures_it(
    admin: Any, lab: Lab, unique: str
) -> None:
    await lab.create_topic(unique)
    [found] = await own(admin, Topic(name=unique))
    assert (found.level, found.text) == ("error", f"{unique} has retention.ms={WEEK}, not -1")
    assert found.cure.endswith(f"--entity-name {unique} --add-config retention.ms=-1")
    await lab.configure(unique, {"retention.ms": "-1"})
    assert await own(admin, Topic(name=unique)) == [Finding("ok", f"the topic {unique} is there")]


@pytest.fixture
async def granted(secured_kafka: KafkaNode) -> AsyncIterator[Lab]:
    """Everybody's view; alice loses her rights at the end."""
    async with Lab(secured_kafka.bootstrap) as lab:
        yield lab
        await revoke_all(lab, "User:alice")


@pytest.fixture
def as_alice(secured_kafka: KafkaNode) -> Callable[[], AbstractAsyncContextManager[Any]]:
    sasl = {"mechanism": "PLAIN", "username": "alice", "password": USERS["alice"], "allow_plaintext": True}
    return lambda: admin_of(secured_kafka.address("SASL_PLAINTEXT"), sasl=sasl)


Alice = Callable[[], AbstractAsyncContextManager[Any]]


async def test_each_right_that_lacks_is_named(granted: Lab, as_alice: Alice, unique: str) -> None:
    await granted.create_topic(unique, configs={"retention.ms": "-1"})
    async with as_alice() as admin:
        [hidden] = await source(admin, unique)
        assert (hidden.level, hidden.cure) == ("error", f"Create it, and give this user the ACL Read on topic {unique}")
        [group] = await of_group(admin, unique, local_store=True, where=WHERE)
        assert (group.level, group.cure) == ("error", f"Give this user the ACL Read on group {unique}")
        [creation] = await own(admin, Topic(name=f"{unique}.dead.v1"))
        assert creation.cure == f"Give this user the ACL Create on topic {unique}.dead.v1, or create it"

        await grant(granted, "User:alice", May.DESCRIBE, Kind.TOPIC, unique)
        found = await source(admin, unique)
        assert texts(found, "error") == [f"this user may not Read the topic {unique}"]
        assert any("without the ACL DescribeConfigs" in text for text in texts(found, "ok"))
        found = await own(admin, Topic(name=unique))
        assert [text.split()[4] for text in texts(found, "error")] == ["Read", "Write"]
        assert texts(found, "warning") == [
            f"this user may not Delete records of {unique}: what was done stays on disk",
            f"whether {unique} keeps its records cannot be seen",
        ]


async def test_with_the_least_rights_there_is_nothing_to_say(granted: Lab, as_alice: Alice, unique: str) -> None:
    await granted.create_topic(f"{unique}.source")
    for may in (May.READ, May.DESCRIBE_CONFIGS):
        await grant(granted, "User:alice", may, Kind.TOPIC, f"{unique}.source")
    await grant(granted, "User:alice", May.READ, Kind.GROUP, unique)
    for may in (May.READ, May.WRITE, May.CREATE, May.DELETE, May.DESCRIBE_CONFIGS):
        await grant(granted, "User:alice", may, Kind.TOPIC, f"{unique}.delay", Pattern.PREFIXED)
    async with as_alice() as admin:
        found = [
            *await source(admin, f"{unique}.source"),
            *await of_group(admin, unique, local_store=True, where=WHERE),
            *await own(admin, Topic(name=f"{unique}.delay.v1.0000001", partitions=4)),
        ]
    assert [finding for finding in found if finding.level != "ok"] == []
    assert found[-1].text == f"the topic {unique}.delay.v1.0000001 will be made"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, None),
        ({"retention.ms": "-1", "cleanup.policy": "delete", "retention.bytes": "-1"}, None),
        ({"retention.ms": "3600000"}, "keeps a record for 1 h"),
        ({"retention.ms": "5400000"}, "keeps a record for 1.5 h"),
        ({"retention.bytes": "1000000"}, "drops the oldest of a partition beyond 1,000,000 bytes"),
        ({"cleanup.policy": "compact,delete"}, "is compacted"),
        ({"max.message.bytes": "3145728"}, None),
        ({"max.message.bytes": "3145729"}, "but an event of more than 3,145,728 is buried"),
    ],
)
def test_what_settings_of_a_topic_mean_for_events_that_wait(settings: Mapping[str, str], told: str | None) -> None:
    found = [finding for finding in judged("orders", settings, max_event_bytes=3 << 20) if finding.level != "ok"]
    assert [told] * (told is not None) == [told for finding in found if told and told in finding.text]
    assert len(found) == (told is not None)
    assert all(finding.cure for finding in found)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, None),
        ({"auto.create.topics.enable": "false", "offsets.retention.minutes": "10080"}, None),
        ({"auto.create.topics.enable": "true"}, "a mistyped one too"),
        ({"offset.metadata.max.bytes": "1024"}, "cannot be noted beside a commit"),
        ({"offsets.retention.minutes": "90"}, "away for 1.5 h is forgotten"),
    ],
)
def test_what_settings_of_the_brokers_mean(settings: Mapping[str, str], told: str | None) -> None:
    found = list(of_cluster(settings))
    assert [told] * (told is not None) == [told for finding in found if told and told in finding.text]
    assert len(found) == (told is not None)


@pytest.mark.parametrize(
    ("fetch", "settings", "named"),
    [
        ((4, 18), {}, "Kafka 4.1 or later"),
        ((4, 17), {}, "Kafka 4.0"),
        ((0, 17), {"inter.broker.protocol.version": "3.9-IV0"}, "Kafka 3.9"),
        ((0, 17), {}, "Kafka 3.x or older"),
    ],
)
def test_versions_are_told_by_what_brokers_understand(
    fetch: tuple[int, int], settings: Mapping[str, str], named: str
) -> None:
    assert version_of([(0, 0, 11), (1, *fetch)], settings) == named


@pytest.mark.parametrize(("largest", "told"), [(8 << 20, 1), ((8 << 20) - 1024, 0), (3 << 20, 0)])
def test_an_event_that_may_not_fit_into_the_line_is_warned_of(largest: int, told: int) -> None:
    assert len(list(of_room(largest, 8 << 20))) == told
