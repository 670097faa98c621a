"""
Which topic a name stands for: each has an id of its own, also one that was deleted and made anew under the same name.

The brokers tell since Kafka 2.8 (KIP-516), in a version of the request that the client does not know (aiokafka 0.14.0).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from io import BytesIO
from typing import Any, Final

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from bridge.kafka.connection import limited

TEXT: Final = CompactString("utf-8")
SIZE: Final = 16  # bytes of an id
NONE: Final = bytes(SIZE)  # what stands there for a topic that is unknown


class _Id(AbstractType[bytes]):  # type: ignore[misc]  # the client has no types
    """A UUID, as its bytes."""

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        return data.read(SIZE)


class _Answer(Response):  # type: ignore[misc]  # as above
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(("node_id", Int32), ("host", TEXT), ("port", Int32), ("rack", TEXT), ("tags", TaggedFields)),
        ),
        ("cluster_id", TEXT),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", TEXT),
                ("topic_id", _Id),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class _Question(RequestStruct):  # type: ignore[misc]  # as above
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Id), ("topic", TEXT), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _Identity(Request[_Question]):  # type: ignore[misc]  # as above
    API_KEY = 3

    def __init__(self, topics: Collection[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_Question]) -> _Question:
        return request_struct_class([(NONE, topic, {}) for topic in self._topics], False, False, False, {})


async def topic_ids(client: Any, topics: Collection[str], *, where: str) -> Mapping[str, bytes]:
    """
    The ids of these topics, without those that are not there; none at all from brokers before 2.8.

    `client` is that of a consumer. Raises Disconnected or ConfigError.
    """
    if not topics:
        return {}
    async with limited("asking which topics these are", where=where):
        try:
            answer = await client.send(client.get_random_node(), _Identity(topics))
        except RuntimeError:  # what the client raises where the brokers do not know this version
            return {}
    return {topic: topic_id for code, topic, topic_id, *_ in answer.topics if not code and topic_id != NONE}
