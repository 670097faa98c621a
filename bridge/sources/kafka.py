"""Topics of Kafka as a source."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from bridge.core.names import namespace_for
from bridge.kafka.options import KafkaConnection, needs_client
from bridge.reconnecting import Reconnecting
from bridge.units import Duration, Size

if TYPE_CHECKING:
    from aiokafka import TopicPartition

    from bridge.kafka.session import Session

Topic = Annotated[str, Field(min_length=1, max_length=249, pattern=r"^[A-Za-z0-9._-]+$")]


def _split(value: object) -> object:
    """Take "orders, users" for a list."""
    return [name.strip() for name in value.split(",")] if isinstance(value, str) else value


class KafkaSourceSettings(KafkaConnection):
    """Topics of a Kafka 3.0 or later."""

    type: Literal["kafka"] = Field(description="Consume topics of Kafka.")
    topics: Annotated[tuple[Topic, ...], BeforeValidator(_split, json_schema_input_type=str | list[str])] = Field(
        (), description="The topics that publishers fill."
    )
    topic_pattern: str | None = Field(
        None,
        min_length=1,
        max_length=300,
        description="Or a regular expression that the whole name of a topic must match; also later topics. "
        "Those that a bridge made for itself are left out.",
    )
    group_id: str | None = Field(
        None,
        min_length=1,
        max_length=249,
        description="The consumer group, which all instances of this route share; by default `bridge`, and "
        "`bridge.<route>` for a route that is not `default`.",
    )
    group_instance_id: str | None = Field(
        None,
        min_length=1,
        max_length=249,
        pattern=r"^[A-Za-z0-9._-]+$",
        description="A name for this instance that outlives a restart, such as its pod's: a quick restart moves no "
        "partitions. No two instances may have the same.",
    )
    begin: Literal["earliest", "latest"] = Field(
        "earliest",
        description="Where a group begins in a partition that it has never committed an offset of. `latest` leaves out "
        "what was published before.",
    )
    prefetch: int = Field(
        500, ge=1, le=5_000, description="Records of a partition that are worked on before any is settled."
    )
    prefetch_bytes: Size = Field(
        8 << 20, ge=64 << 10, description="Bytes of a partition's records in the process, after which no more are read."
    )
    commit_interval: Duration = Field(
        0.5,
        ge=0.05,
        le=60,
        description="How often offsets are committed; a crash repeats what was settled since.",
    )
    rebalance_drain: Duration = Field(
        5.0, ge=0, le=45, description="How long a rebalance waits for events of partitions that are taken away."
    )
    watchdog: Duration = Field(
        30.0,
        ge=0,
        description="Seconds without an answer from the brokers after which the session is replaced. 0 turns this off.",
    )

    @field_validator("topic_pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from None
        return pattern

    @model_validator(mode="after")
    def _topics_or_pattern(self) -> Self:
        if bool(self.topics) == (self.topic_pattern is not None):
            problem = "give either topics or topic_pattern"
            raise ValueError(problem)
        return self

    def group_of(self, route: str) -> str:
        """The consumer group of this source."""
        return self.group_id or namespace_for(route)

    def build(self, route: str) -> Reconnecting:
        """Raises ConfigError where the client is not installed."""
        where = f"routes.{route}.source"
        try:
            from bridge.kafka import wire
            from bridge.kafka.pace import Bounds, Pace, Topics
            from bridge.kafka.session import Session
        except ImportError:
            raise needs_client(where) from None
        topics = Topics(
            group_id=self.group_of(route),
            names=self.topics,
            pattern=self.topic_pattern,
            group_instance_id=self.group_instance_id,
            begin=self.begin,
        )
        pace = Pace(
            bounds=Bounds(out=self.prefetch, held=2 * self.prefetch, bytes=self.prefetch_bytes),
            commit_every=self.commit_interval,
            drain=self.rebalance_drain,
            watchdog=self.watchdog,
        )
        seen: dict[TopicPartition, int] = {}

        def make(_cautious: bool) -> Session:  # noqa: FBT001  nobody counts how often Kafka hands something out
            return Session(self, topics, read=wire.deliveries_of, where=where, pace=pace, seen=seen)

        return Reconnecting(make, name=f"{route}.source")
