"""
What this user may do with topics, groups and the cluster: asked for, not tried out. Nothing is created or changed.

The brokers say it with the descriptions of both (KIP-430, since 2.3), in versions of two requests that the client does
not know or reads wrongly (aiokafka 0.14.0); the client's own ones would also create topics that are merely asked for.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import errors
from aiokafka.protocol.admin import DescribeGroupsRequest_v3, DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

from bridge.kafka.connection import limited

TEXT: Final = String("utf-8")
OFFSETS_TOPIC: Final = "__consumer_offsets"


class Right(enum.IntEnum):
    """An operation, by its code in the protocol (org.apache.kafka.common.acl.AclOperation)."""

    READ = 3
    WRITE = 4
    CREATE = 5
    DELETE = 6
    ALTER = 7
    DESCRIBE = 8
    DESCRIBE_CONFIGS = 10

    @property
    def title(self) -> str:
        """As kafka-acls.sh spells it: "DescribeConfigs"."""
        return "".join(word.capitalize() for word in self.name.split("_"))


Rights = frozenset[Right]


@dataclass(slots=True, frozen=True)
class SeenTopic:
    """A topic as this user sees it. `code` is the broker's: 0, or why there is nothing to be seen."""

    code: int
    partitions: int
    replicas: int  # of the partition that has the fewest
    rights: Rights

    @property
    def there(self) -> bool:
        return self.code in (errors.NoError.errno, errors.LeaderNotAvailableError.errno)

    @property
    def hidden(self) -> bool:
        return bool(self.code == errors.TopicAuthorizationFailedError.errno)


@dataclass(slots=True, frozen=True)
class SeenCluster:
    """Brokers, the topics that were asked for, and what may be done with the cluster as a whole."""

    brokers: int
    topics: Mapping[str, SeenTopic]
    rights: Rights


@dataclass(slots=True, frozen=True)
class SeenGroup:
    """A group of consumers: how many are in it just now."""

    hidden: bool
    members: int
    rights: Rights


class _MetadataResponse(Response):  # type: ignore[misc]  # the client has no types
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", Array(("node_id", Int32), ("host", TEXT), ("port", Int32), ("rack", TEXT))),
        ("cluster_id", TEXT),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", TEXT),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("cluster_authorized_operations", Int32),
    )


class _MetadataQuestion(RequestStruct):  # type: ignore[misc]  # as above
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        ("topics", Array(TEXT)),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class _Metadata(Request[_MetadataQuestion]):  # type: ignore[misc]  # as above
    API_KEY = 3

    def __init__(self, topics: Sequence[str] | None) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_MetadataQuestion]) -> _MetadataQuestion:
        return request_struct_class(None if self._topics is None else list(self._topics), False, True, True)


class _GroupQuestion(DescribeGroupsRequest_v3):  # type: ignore[misc]  # the client has no types
    RESPONSE_TYPE = DescribeGroupsResponse_v3  # the client takes version 2 for the answer, and so drops the rights


class _Group(Request[_GroupQuestion]):  # type: ignore[misc]  # as above
    API_KEY = 15

    def __init__(self, group: str) -> None:
        self._group = group

    def build(self, request_struct_class: type[_GroupQuestion]) -> _GroupQuestion:
        return request_struct_class([self._group], True)


async def of_topics(admin: Any, names: Sequence[str] | None, *, where: str) -> SeenCluster:
    """Look at these topics, or at all that this user may see (None). Raises Disconnected or ConfigError."""
    async with limited("looking for topics", where=where):
        seen = await admin._send_request(_Metadata(names))  # noqa: SLF001  the client has no way of its own
    topics = {
        name: SeenTopic(
            code, len(partitions), min((len(copies) for *_, copies, _, _ in partitions), default=0), _rights(bits)
        )
        for code, name, _, partitions, bits in seen.topics
    }
    return SeenCluster(len(seen.brokers), topics, _rights(seen.cluster_authorized_operations))


async def of_group(admin: Any, group: str, *, where: str) -> SeenGroup | None:
    """
    Look at a group; None where the cluster has never had any.

    A look would then create the topic that all groups share. Who may not see whether it is there does so all the same.
    Raises Disconnected or ConfigError.
    """
    offsets = (await of_topics(admin, [OFFSETS_TOPIC], where=where)).topics[OFFSETS_TOPIC]
    if not offsets.there and not offsets.hidden:
        return None
    async with limited(f"looking at the group {group}", where=where):
        try:
            coordinator = await admin.find_coordinator(group)
        except errors.GroupAuthorizationFailedError:
            return SeenGroup(True, 0, frozenset())
        except errors.GroupCoordinatorNotAvailableError:
            return None
        answer = await admin._send_request(_Group(group), coordinator)  # noqa: SLF001  as above
        ((code, _, _, _, _, members, bits),) = answer.groups
        if code == errors.GroupAuthorizationFailedError.errno:
            return SeenGroup(True, 0, frozenset())
        if code not in (errors.NoError.errno, errors.GroupIdNotFound.errno):
            raise errors.for_code(code)(f"group {group}")
    return SeenGroup(False, len(members), _rights(bits))


def _rights(bits: int) -> Rights:
    """Read a bit for each operation; a negative number says that none was told."""
    return frozenset(right for right in Right if bits >= 0 and bits >> right & 1)
