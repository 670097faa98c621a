"""
Brings the topics about that the bridge owns, and looks whether they keep what is put into them.

A topic that a client creates by merely asking for it forgets after a week (`auto.create.topics.enable`, on by default).
So topics are created here before anything else names them, and what is there already is never trusted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import errors
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.protocol.metadata import MetadataRequest

from bridge.errors import ConfigError, Disconnected
from bridge.kafka.connection import client_options, close, limited, start
from bridge.kafka.options import KafkaConnection, TopologyMode

log = logging.getLogger(__name__)

REQUEST_MS: Final = 9_000  # the client's own limit of a request, within the one of every call
APPEARING: Final = 20.0  # seconds until a new topic must have leaders
LOOK_EVERY: Final = 0.1  # seconds
FOR_EVER: Final = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
DAY_MS: Final = 86_400_000
BROKERS_DEFAULT: Final = -1  # as a number of replicas


@dataclass(slots=True, frozen=True, kw_only=True)
class Topic:
    """A topic of the bridge's own. Records stay for ever in one that it creates, until it deletes them itself."""

    name: str
    partitions: int = 1  # at its creation; one that has others is taken as it is
    configs: Mapping[str, str] = field(default_factory=dict)  # further ones, at its creation
    keeps_ms: int = -1  # how long records must at least stay in one that is there already; -1: for ever
    takes: int = 0  # bytes that its max.message.bytes must at least be
    replicas: int = BROKERS_DEFAULT

    def settings(self) -> dict[str, str]:
        """What it is created with."""
        room = {"max.message.bytes": str(self.takes)} if self.takes else {}
        return {**FOR_EVER, **room, **self.configs}


@dataclass(slots=True, frozen=True)
class Found:
    """A topic that is there: how many partitions it has, how many of them can be used, and its fewest replicas."""

    partitions: int
    led: int
    replicas: int


@asynccontextmanager
async def administrator(connection: KafkaConnection, *, where: str) -> AsyncIterator[Any]:
    """An AIOKafkaAdminClient for a few questions. Raises Disconnected or ConfigError."""
    options = client_options(connection, where=where, client_id=f"event-bridge {where} (admin)")
    admin = AIOKafkaAdminClient(**options, request_timeout_ms=REQUEST_MS)
    await start(admin, where=where)
    try:
        yield admin
    finally:
        await close(admin, where=where)


async def ensure(connection: KafkaConnection, topics: Sequence[Topic], mode: TopologyMode, *, where: str) -> None:
    """`establish`, over a connection of its own."""
    if mode != "off":
        async with administrator(connection, where=where) as admin:
            await establish(admin, topics, mode, where=where)


async def establish(admin: Any, topics: Sequence[Topic], mode: TopologyMode, *, where: str) -> None:
    """
    Create what is missing (`declare`), and verify what is there (`declare` and `verify`).

    Raises ConfigError for what is missing, forbidden or set wrongly, with the cure, Disconnected when a new topic does
    not appear.
    """
    if mode == "off":
        return
    found = await look(admin, [topic.name for topic in topics], where=where)
    missing = [topic for topic in topics if topic.name not in found]
    if missing and mode == "verify":
        names = ", ".join(topic.name for topic in missing)
        raise ConfigError(where, f"there is no topic {names}", f"Set topology to declare, or {_by_hand(missing)}")
    if missing:
        await _create(admin, missing, where)
        found |= await _appeared(admin, [topic.name for topic in missing], where)
        log.info("topics_created", extra={"part": where, "topics": [topic.name for topic in missing]})
    await _verify(admin, topics, found, where)


async def look(admin: Any, names: Sequence[str], *, where: str) -> dict[str, Found]:
    """
    What is there of these topics. Creates none, as the client's own `describe_topics` would.

    Raises ConfigError for a name that is no topic's, and where looking is forbidden.
    """
    async with limited("looking for topics", where=where):
        answer = await admin._send_request(MetadataRequest(list(names), False))  # noqa: SLF001  no public one will do
        found: dict[str, Found] = {}
        for code, name, _, partitions in answer.topics:
            if code == errors.UnknownTopicOrPartitionError.errno:
                continue
            if code == errors.TopicAuthorizationFailedError.errno:
                raise ConfigError(
                    where, f"looking at topic {name} is forbidden", f"Give this user {_acl('Describe', name)}"
                )
            if code == errors.InvalidTopicError.errno:
                raise ConfigError(
                    where, f"{name!r} is no topic's name", "Use letters, digits, dots, - and _, up to 249"
                )
            if code != errors.LeaderNotAvailableError.errno:
                _raise_for(code, f"topic {name}")
            led = sum(leader >= 0 for _, _, leader, *_ in partitions)
            replicas = min((len(copies) for _, _, _, copies, *_ in partitions), default=0)
            found[name] = Found(len(partitions), led, replicas)
        return found


async def settings_of(admin: Any, names: Iterable[str], *, where: str) -> dict[str, Mapping[str, str]]:
    """The settings of each topic; none of those that this user may not see, or that are not there."""
    async with limited("reading settings of topics", where=where):
        answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
        settings: dict[str, Mapping[str, str]] = {}
        for code, _, _, name, entries in (resource for answer in answers for resource in answer.resources):
            if code == errors.NoError.errno:
                settings[name] = {key: value for key, value, *_ in entries if value is not None}
            elif code not in _UNSEEN:
                _raise_for(code, f"topic {name}")
        return settings


_UNSEEN: Final = (
    errors.TopicAuthorizationFailedError.errno,
    errors.ClusterAuthorizationFailedError.errno,
    errors.UnknownTopicOrPartitionError.errno,
)


async def _create(admin: Any, topics: Sequence[Topic], where: str) -> None:
    async with limited("creating topics", where=where):
        answer = await admin.create_topics([new_topic(topic) for topic in topics], timeout_ms=REQUEST_MS)
        wanted = {topic.name: topic for topic in topics}
        for name, code, said in answer.topic_errors:
            if code == errors.TopicAlreadyExistsError.errno:
                continue  # another instance was quicker
            if code in (errors.TopicAuthorizationFailedError.errno, errors.ClusterAuthorizationFailedError.errno):
                cure = f"Give this user {_acl('Create', name)}, or {_by_hand(topics)}"
                raise ConfigError(where, f"creating topic {name} is forbidden", cure)
            if code != errors.NoError.errno and not errors.for_code(code).retriable:
                problem = f"the cluster refuses to create topic {name}: {said or errors.for_code(code).__name__}"
                raise ConfigError(
                    where, problem, f"Create it with settings that it takes; wanted: {_by_hand([wanted[name]])}"
                )
            _raise_for(code, f"creating topic {name}")


def new_topic(topic: Topic) -> NewTopic:
    """What the client wants to know of a topic that it is to create."""
    # The client takes the brokers' own number of replicas for an assignment of them, and wants to see one.
    assignments: dict[int, list[int]] | None = {} if topic.replicas == BROKERS_DEFAULT else None
    return NewTopic(topic.name, topic.partitions, topic.replicas, assignments, topic.settings())


async def _appeared(admin: Any, names: Sequence[str], where: str) -> dict[str, Found]:
    """Wait until every partition has a leader. The brokers learn of a new topic one after the other."""
    deadline = asyncio.get_running_loop().time() + APPEARING
    while True:
        found = await look(admin, names, where=where)
        if all(name in found and found[name].led == found[name].partitions > 0 for name in names):
            return found
        if asyncio.get_running_loop().time() > deadline:
            raise Disconnected(f"new topics have no leaders after {APPEARING:g} s: {', '.join(names)}")
        await asyncio.sleep(LOOK_EVERY)


async def _verify(admin: Any, topics: Sequence[Topic], found: Mapping[str, Found], where: str) -> None:
    settings = await settings_of(admin, found, where=where)
    problems: list[str] = []
    cures: list[str] = []
    for topic in topics:
        if topic.name not in settings:
            log.warning(
                "topic_not_verified",
                extra={
                    "part": where,
                    "topic": topic.name,
                    "cure": f"give this user {_acl('DescribeConfigs', topic.name)}",
                },
            )
            continue
        if (kept := int(settings[topic.name].get("retention.ms", "-1"))) >= 0:
            log.warning("topic_forgets", extra={"part": where, "topic": topic.name, "after_days": kept / DAY_MS})
        wrong = faults(topic, settings[topic.name], found[topic.name].replicas)
        problems += [f"topic {topic.name} has {name}={was}, not {wanted}" for name, (was, wanted, _) in wrong.items()]
        if wrong:
            better = ",".join(f"{name}={value}" for name, (_, _, value) in wrong.items())
            cures.append(
                f"kafka-configs.sh --alter --entity-type topics --entity-name {topic.name} --add-config {better}"
            )
    if problems:
        raise ConfigError(where, "; ".join(problems), f"Change it, or name another namespace: {'; '.join(cures)}")


def faults(topic: Topic, settings: Mapping[str, str], replicas: int) -> dict[str, tuple[str, str, str]]:
    """What would lose records or refuse them: setting -> what it is, what is wanted in words, and a value to set."""
    wrong: dict[str, tuple[str, str, str]] = {}
    policy = settings.get("cleanup.policy", "delete")
    if policy != "delete":
        wrong["cleanup.policy"] = (policy, "delete", "delete")
    retention = int(settings.get("retention.ms", "-1"))
    if retention >= 0 and not 0 <= topic.keeps_ms <= retention:
        wanted = "-1" if topic.keeps_ms < 0 else f"-1 or at least {topic.keeps_ms}"
        wrong["retention.ms"] = (str(retention), wanted, "-1")
    size = int(settings.get("retention.bytes", "-1"))
    if size >= 0:
        wrong["retention.bytes"] = (str(size), "-1", "-1")
    takes = int(settings.get("max.message.bytes", topic.takes))
    if takes < topic.takes:
        wrong["max.message.bytes"] = (str(takes), f"at least {topic.takes}", str(topic.takes))
    insync = int(settings.get("min.insync.replicas", "1"))
    if 0 < replicas < insync:
        wrong["min.insync.replicas"] = (str(insync), f"at most {replicas}, the number of its replicas", str(replicas))
    return wrong


def _by_hand(topics: Sequence[Topic]) -> str:
    """The commands that create them."""
    return "; ".join(
        f"kafka-topics.sh --create --topic {topic.name} --partitions {topic.partitions}"
        + "".join(f" --config {name}={value}" for name, value in topic.settings().items())
        for topic in topics
    )


def _acl(operation: str, name: str) -> str:
    return f"the ACL {operation} on topic {name}"


def _raise_for(code: int, what: str) -> None:
    """Raise the client's error for a code that an answer carries."""
    if code != errors.NoError.errno:
        raise errors.for_code(code)(what)
