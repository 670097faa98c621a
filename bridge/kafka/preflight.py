"""What there is to know about a cluster, topics and groups before anything is consumed; nothing is touched."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from aiokafka import errors
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.protocol.admin import ApiVersionRequest

from bridge.kafka import rights
from bridge.kafka.connection import limited
from bridge.kafka.membership import OURS
from bridge.kafka.rights import Right, SeenTopic
from bridge.kafka.topics import Topic, faults, new_topic, settings_of

FETCH, LIST_TRANSACTIONS = 1, 66  # requests, by their keys in the protocol
NEWEST_FETCH: Final = 18  # since 4.1
FIRST_FETCH_OF_4: Final = 4  # what Kafka 4.0 begins with: older ones were removed (KIP-896)
HEADERS: Final = 1_024  # bytes; what a held copy is larger than its event, if the publisher's headers are small
SHOWN: Final = 5  # topics whose names are given
METADATA: Final = 4_096  # bytes beside a committed offset
DAY: Final = 86_400_000  # ms; whoever keeps records for less has little time to repair a target
USUAL_MAX: Final = 1_048_588  # bytes; max.message.bytes where nothing is said (kafka.apache.org/documentation)

Configs = Mapping[str, str]


@dataclass(slots=True, frozen=True)
class Finding:
    """Something to know, and what to do about it."""

    level: Literal["ok", "warning", "error"]
    text: str
    cure: str = ""


async def of_brokers(admin: Any, *, where: str) -> list[Finding]:
    """What we have reached, and what its settings mean for us as far as this user may see them."""
    async with limited("asking for versions", where=where):
        answer = await admin._send_request(ApiVersionRequest())  # noqa: SLF001  the client has no way of its own
        [described] = await admin.describe_configs(
            [ConfigResource(ConfigResourceType.BROKER, str(admin._client.get_random_node()))]  # noqa: SLF001  any will do
        )
    settings = {name: value for name, value, *_ in described.resources[0][4] if value is not None}
    count = (await rights.of_topics(admin, [], where=where)).brokers
    text = f"{version_of(answer.api_versions, settings)} reached, {_count(count, 'broker')}"
    if any(key == LIST_TRANSACTIONS for key, _, _ in answer.api_versions):
        return [Finding("ok", text), *of_cluster(settings)]
    return [Finding("warning", text, "Upgrade to 3.0 or later: the bridge is not tested with older ones")]


def version_of(requests: Iterable[tuple[int, int, int]], settings: Configs) -> str:
    """Brokers say of themselves no version but which requests they know: keys, each with oldest and newest."""
    oldest, newest = next((low, high) for key, low, high in requests if key == FETCH)
    if newest >= NEWEST_FETCH:
        return "Kafka 4.1 or later"
    if oldest >= FIRST_FETCH_OF_4:
        return "Kafka 4.0"
    return f"Kafka {settings.get('inter.broker.protocol.version', '3.x or older').partition('-')[0]}"


def of_cluster(settings: Configs) -> Iterator[Finding]:
    """What settings of the brokers mean for us."""
    if settings.get("auto.create.topics.enable") == "true":
        text = "the brokers make a topic of any name that a publisher asks for (auto.create.topics.enable)"
        yield Finding("ok", f"{text}, a mistyped one too")
    if int(settings.get("offset.metadata.max.bytes", METADATA)) < METADATA:
        text = "what is settled out of order cannot be noted beside a commit, and is repeated after a crash"
        yield Finding("warning", text, f"Set offset.metadata.max.bytes to {METADATA} or more")
    minutes = int(settings.get("offsets.retention.minutes", DAY // 60_000))
    if minutes * 60_000 < DAY:
        text = f"a group that is away for {_time(minutes * 60_000)} is forgotten (offsets.retention.minutes)"
        yield Finding("warning", f"{text}, and begins anew", "Set it to a week, 10080")


async def of_source(
    admin: Any, topics: Sequence[str], pattern: str | None, *, max_event_bytes: int, where: str
) -> list[Finding]:
    """What there is to know about the publishers' topics. Of those that match a pattern only what is to be changed."""
    seen = (await rights.of_topics(admin, None if pattern else topics, where=where)).topics
    if pattern:
        whole = re.compile(f"{OURS}(?:{pattern})$")
        seen = {name: topic for name, topic in sorted(seen.items()) if whole.match(name)}
        found = [_matching(pattern, list(seen))]
    else:
        found = []
    found += [finding for name, topic in seen.items() for finding in _of_topic(name, topic)]
    there = [name for name, topic in seen.items() if topic.there]
    settings = await settings_of(admin, there, where=where) if there else {}
    for name in there:
        if name in settings:
            found += judged(name, settings[name], max_event_bytes=max_event_bytes)
        else:
            found.append(Finding("ok", f"the settings of {name} cannot be seen without the ACL DescribeConfigs"))
    return found if not pattern else [found[0], *(finding for finding in found[1:] if finding.level != "ok")]


def _matching(pattern: str, names: Sequence[str]) -> Finding:
    if not names:
        cure = "Correct source.topic_pattern, create a topic, or give this user the ACL Describe on those there are"
        return Finding("warning", f"no topic that this user may see matches {pattern} now", cure)
    shown = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    return Finding("ok", f"{_count(len(names), 'topic')} that match {pattern} now: {shown}")


def _of_topic(name: str, seen: SeenTopic) -> Iterator[Finding]:
    if seen.hidden:
        text = f"the topic {name} is not there, or not to be seen by this user"
        yield Finding("error", text, f"Create it, and give this user {acl(Right.READ, 'topic', name)}")
    elif not seen.there:
        yield Finding("error", f"there is no topic {name}", "Create it, or correct its name")
    else:
        yield Finding("ok", f"the topic {name} is there, {_count(seen.partitions, 'partition')}")
        yield from _lacking(seen.rights, {Right.READ}, "topic", name)


def judged(name: str, settings: Configs, *, max_event_bytes: int) -> Iterator[Finding]:
    """What the settings of a publishers' topic mean for events that have to wait: a target may be down for hours."""
    keeps = int(settings.get("retention.ms", "-1"))
    if "compact" in settings.get("cleanup.policy", "delete"):
        text = f"{name} is compacted: of events with one key all but the last may vanish before they are read"
        yield Finding("warning", text, "Set cleanup.policy to delete")
    if keeps >= 0:
        text = f"{name} keeps a record for {_time(keeps)}, read or not (retention.ms): no outage may last longer"
        yield Finding("warning", text, "Give it a week") if keeps < DAY else Finding("ok", text)
    if (size := int(settings.get("retention.bytes", "-1"))) >= 0:
        text = f"{name} drops the oldest of a partition beyond {size:,} bytes, read or not (retention.bytes)"
        yield Finding("warning", text, "Set retention.bytes to -1, or make it large enough for the longest outage")
    takes = int(settings.get("max.message.bytes", USUAL_MAX))
    if takes > max_event_bytes:
        text = (
            f"{name} takes {takes:,} bytes (max.message.bytes), but an event of more than {max_event_bytes:,} is buried"
        )
        yield Finding("warning", text, "Raise limits.max_event_bytes, or lower the topic's limit")


async def of_group(admin: Any, group: str, *, local_store: bool, where: str) -> list[Finding]:
    """Whether this user may consume in the group, and who else does."""
    seen = await rights.of_group(admin, group, where=where)
    if seen is None:
        return [Finding("ok", f"the group {group} is not there yet")]
    if seen.hidden:
        text = f"the group {group} is not for this user"
        return [Finding("error", text, f"Give this user {acl(Right.READ, 'group', group)}")]
    found = [Finding("ok", f"the group {group} has {_count(seen.members, 'member')} now")]
    found += _lacking(seen.rights, {Right.READ}, "group", group)
    if local_store and seen.members > 1:
        found.append(Finding("warning", f"{found[0].text}: {APART}", TOGETHER))
    return found


APART: Final = "each has a key store of its own, so copies of an event are not suppressed when different ones read them"
TOGETHER: Final = "Run one instance, or publish with the event's id as the key, which brings copies to one partition"


async def of_own(
    admin: Any, topics: Sequence[Topic], needs: frozenset[Right], *, declared: bool, where: str
) -> list[Finding]:
    """
    Whether the bridge's own topics are there, or may be created, keep what they get, and may be used.

    `declared` says that the bridge creates those that are missing.
    """
    seen = (await rights.of_topics(admin, [topic.name for topic in topics], where=where)).topics
    there = [topic for topic in topics if seen[topic.name].there]
    missing = [topic for topic in topics if not seen[topic.name].there]
    found = [finding for topic in topics for finding in _usable(topic.name, seen[topic.name], needs)]
    found += await _of_creation(admin, missing, where) if declared else _of_absence(missing)
    settings = await settings_of(admin, [topic.name for topic in there], where=where) if there else {}
    for topic in there:
        found += _kept(topic, settings.get(topic.name), seen[topic.name].replicas)
    if there and not any(finding.level == "error" for finding in found):
        found.insert(0, Finding("ok", f"{_names(there)} {'is' if len(there) == 1 else 'are'} there"))
    return found


def _usable(name: str, seen: SeenTopic, needs: frozenset[Right]) -> Iterator[Finding]:
    if not seen.hidden:  # of what is hidden nothing is known, and its creation is asked about
        yield from _lacking(seen.rights, needs, "topic", name)


def _kept(topic: Topic, settings: Configs | None, replicas: int) -> Iterator[Finding]:
    """Whether records stay in it until they are due or looked at."""
    if settings is None:
        cure = f"Give this user {acl(Right.DESCRIBE_CONFIGS, 'topic', topic.name)}"
        yield Finding("warning", f"whether {topic.name} keeps its records cannot be seen", cure)
        return
    change = f"kafka-configs.sh --alter --entity-type topics --entity-name {topic.name} --add-config"
    for name, (was, wanted, value) in faults(topic, settings, replicas).items():
        yield Finding("error", f"{topic.name} has {name}={was}, not {wanted}", f"Run {change} {name}={value}")


def _of_absence(missing: Sequence[Topic]) -> list[Finding]:
    cure = "Create it, or set topology to declare"
    return [Finding("error", f"there is no topic {topic.name}", cure) for topic in missing]


async def _of_creation(admin: Any, missing: Sequence[Topic], where: str) -> list[Finding]:
    """Whether they may be created, and like that; the brokers only look."""
    if not missing:
        return []
    new = [new_topic(topic) for topic in missing]
    async with limited("asking whether topics may be created", where=where):
        answer = await admin.create_topics(new, validate_only=True)
    refused = {name: _refused(name, code, said) for name, code, said in answer.topic_errors if code}
    made = [topic for topic in missing if topic.name not in refused]
    return [*refused.values(), *([Finding("ok", f"{_names(made)} will be made")] if made else [])]


def _refused(name: str, code: int, said: str | None) -> Finding:
    if code in (errors.TopicAuthorizationFailedError.errno, errors.ClusterAuthorizationFailedError.errno):
        text = f"there is no topic {name} to be seen, and this user may not create it"
        return Finding("error", text, f"Give this user {acl(Right.CREATE, 'topic', name)}, or create it")
    if code == errors.TopicAlreadyExistsError.errno:
        cure = f"Give this user {acl(Right.DESCRIBE, 'topic', name)}"
        return Finding("error", f"the topic {name} is there, but not for this user", cure)
    text = f"the topic {name} cannot be created: {said or errors.for_code(code).__name__}"
    return Finding("error", text, "Create it with settings that the cluster takes")


def of_room(largest: int, room: int) -> Iterator[Finding]:
    """Whether the largest event fits into a record of the line, with its headers and ours."""
    if largest + HEADERS > room:
        text = f"an event of {largest:,} bytes (limits.max_event_bytes) may not fit into a record of {room:,}"
        yield Finding("warning", f"{text}: it could not be held", "Raise delay.max_record_bytes, or lower the other")


def _lacking(has: frozenset[Right], needs: Iterable[Right], kind: str, name: str) -> Iterator[Finding]:
    for right in sorted(set(needs) - has):
        text = f"this user may not {right.title} the {kind} {name}"
        if right is Right.DELETE:
            text = f"this user may not Delete records of {name}: what was done stays on disk"
        yield Finding("warning" if right is Right.DELETE else "error", text, f"Give this user {acl(right, kind, name)}")


def acl(right: Right, kind: str, name: str) -> str:
    """Name a right as operators know it."""
    return f"the ACL {right.title} on {kind} {name}"


def _names(topics: Sequence[Topic]) -> str:
    first, *_, last = [topics[0].name, topics[-1].name]
    return f"the topic {first}" if len(topics) == 1 else f"the topics {first} .. {last}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _time(ms: int) -> str:
    for unit, length in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000)):
        if ms >= length:
            return f"{ms / length:g} {unit}"
    return f"{ms / 1000:g} s"
