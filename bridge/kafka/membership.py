"""Our place in a consumer group: joining it, what is assigned to us and where that begins, and leaving."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.protocol.metadata import MetadataRequest

from bridge.core.offsets import unpack
from bridge.errors import BridgeError, ConfigError
from bridge.kafka import batches
from bridge.kafka.connection import client_options, close, limited, start
from bridge.kafka.identity import topic_ids
from bridge.kafka.metadata import never_create
from bridge.kafka.namesake import stand_back
from bridge.kafka.options import KafkaConnection
from bridge.kafka.pace import Fetch, Topics

log = logging.getLogger(__name__)

SESSION_MS: Final = 10_000  # without a heartbeat for so long, the group goes on without us
HEARTBEAT_MS: Final = 1_000
REBALANCE_MS: Final = 60_000  # how long the group waits for members that drain
LOOK_ROUND: Final = 1.0  # seconds until the client looks by itself what is to be fetched; whatever changes tells it
STARTS_LIMIT: Final = 30.0  # seconds to find out where partitions begin; a group's coordinator may be moving
OURS: Final = r"(?!.*\.(?:delay|dead)\.v1(?:\.\d+)?$)"  # topics of a bridge are no source for a pattern


@dataclass(slots=True, frozen=True)
class Start:
    """Where a partition begins for us, what is done from there on, and whether that is committed."""

    offset: int
    done: frozenset[int] = frozenset()
    committed: bool = False
    anew: bool = False  # its offsets count from the beginning again
    scope: str = ""  # cluster and partition, which the metadata of its commits is for


class Owner(Protocol):
    """Whoever keeps the books of what is assigned to us."""

    def begin(self, starts: Mapping[TopicPartition, Start]) -> None:
        """Partitions were assigned to us."""

    async def end(self, places: Sequence[TopicPartition]) -> None:
        """Partitions are being taken away; the group waits for this."""

    def fail(self, reason: str) -> None:
        """An assignment could not be taken up: the session is of no further use."""


class Membership(ConsumerRebalanceListener):  # type: ignore[misc]
    """One consumer of the client, and its place in the group."""

    def __init__(self, connection: KafkaConnection, topics: Topics, fetch: Fetch, *, where: str, owner: Owner) -> None:
        self._connection = connection
        self._topics = topics
        self._fetch = fetch
        self._where = where
        self._owner = owner
        self._joined = asyncio.Event()
        self._cluster = ""
        self._begun: set[str] = set()  # topics of which we have had partitions
        self.ids: dict[str, bytes] = {}  # of these topics, as of when their books were opened
        self.consumer: Any = None
        self.rebalances = 0
        self.shared = False  # whether others of the group have partitions too
        self.missed = 0  # records that the brokers deleted before anybody of the group settled them

    async def open(self) -> None:
        """Connect, look whether the topics are there, and join. Raises Disconnected or ConfigError."""
        never_create()
        batches.install()
        client_id = f"event-bridge {self._where}"
        self.consumer = AIOKafkaConsumer(
            **client_options(self._connection, where=self._where, client_id=client_id),
            group_id=self._topics.group_id,
            group_instance_id=self._topics.group_instance_id,
            enable_auto_commit=False,
            auto_offset_reset="earliest",  # for offsets that are gone; where to begin is decided at the assignment
            isolation_level="read_committed",
            fetch_min_bytes=self._fetch.min_bytes,
            fetch_max_wait_ms=self._fetch.max_wait_ms,
            fetch_max_bytes=self._fetch.answer_bytes,
            max_partition_fetch_bytes=self._fetch.partition_bytes,
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=HEARTBEAT_MS,
            rebalance_timeout_ms=REBALANCE_MS,
            request_timeout_ms=REBALANCE_MS + 5_000,  # joining is a request that may take that long
            metadata_max_age_ms=30_000,
        )
        try:
            await start(self.consumer, where=self._where)
            batches.in_runs(self.consumer)
            self.consumer._fetcher._fetcher_timeout = LOOK_ROUND  # noqa: SLF001  the consumer hands no such option on
            stand_back(self.consumer._coordinator, self._topics)  # noqa: SLF001  the client has no option for that
            self._cluster = await self._cluster_id()
            await self._subscribe()
            await self._join()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Leave the group."""
        consumer, self.consumer = self.consumer, None
        if consumer is not None:
            await close(consumer, where=self._where)

    @property
    def known(self) -> bool:
        """Whether the group knows us. The client keeps an assignment that it has lost (aiokafka 0.14.0)."""
        return bool(self.consumer._coordinator.generation > 0)  # noqa: SLF001  the only place where it shows

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """The client's callback."""
        await self._owner.end(list(revoked))

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """The client's callback. It would go on without books, whatever is raised here."""
        try:
            starts = await self._starts(list(assigned))
            for place, begin in starts.items():
                self.consumer.seek(place, begin.offset)
            self._owner.begin(starts)
            self.rebalances += 1
            self.shared = len(assigned) < self._partitions()
        except BridgeError as error:
            self._owner.fail(f"taking up an assignment: {error}")
        except Exception as error:
            if self.consumer is None:
                return  # closed meanwhile: nobody wants the assignment any more
            log.exception("assignment_fault", extra={"part": self._where})
            self._owner.fail(f"{type(error).__name__} while taking up an assignment")
        finally:
            self._joined.set()

    def _partitions(self) -> int:
        """How many partitions all of our topics have."""
        topics = self.consumer.subscription()
        return sum(len(self.consumer.partitions_for_topic(topic) or ()) for topic in topics)

    async def _cluster_id(self) -> str:
        client = self.consumer._client  # noqa: SLF001  the public calls leave it out
        async with limited("asking which cluster this is", where=self._where):
            return str((await client.send(client.get_random_node(), MetadataRequest([]))).cluster_id)

    async def _subscribe(self) -> None:
        """Raises ConfigError for a topic that is not there: subscribing would create it, or wait for ever."""
        topics = self._topics
        if topics.pattern is not None:
            self.consumer.subscribe(pattern=f"{OURS}(?:{topics.pattern})$", listener=self)
            return
        async with limited("looking for the topics", where=self._where):
            metadata = await self.consumer._client.fetch_all_metadata()  # noqa: SLF001  asking for one could create it
        there = metadata.topics()
        if missing := [name for name in topics.names if name not in there]:
            problem = f"there is no topic {', '.join(missing)} that this user may see"
            raise ConfigError(f"{self._where}.topics", problem, "Create it, correct its name, or give the ACL Describe")
        self.consumer.subscribe(topics=list(topics.names), listener=self)

    async def _join(self) -> None:
        """Wait for the first assignment, which may be of nothing."""
        async with limited("joining the group", REBALANCE_MS / 1000 + 5, where=self._where, needs="Read"):
            while not self._joined.is_set():
                self.consumer._coordinator.check_errors()  # noqa: SLF001  else they wait for a poll
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await self._joined.wait()

    async def _starts(self, places: list[TopicPartition]) -> dict[TopicPartition, Start]:
        if not places:
            return {}
        async with limited("reading the committed offsets", STARTS_LIMIT, where=self._where):
            coordinator = self.consumer._coordinator  # noqa: SLF001  the public call leaves the metadata out
            committed = await coordinator.fetch_committed_offsets(places)
            begins = await self.consumer.beginning_offsets(places)
            ends = await self.consumer.end_offsets(places)
            ids = await topic_ids(self.consumer._client, {place.topic for place in places}, where=self._where)  # noqa: SLF001
        anew = {topic for topic, now in ids.items() if self.ids.get(topic, now) != now}
        self.ids |= ids
        begun = self._begun | {place.topic for place in committed}
        self._begun |= {place.topic for place in places}
        return {
            place: self._start_anew(place, begins[place])
            if place.topic in anew
            else self._start(place, committed.get(place), begins[place], ends[place], known=place.topic in begun)
            for place in places
        }

    def _start_anew(self, place: TopicPartition, begin: int) -> Start:
        self.restarted(place, None, begin)
        return Start(begin, anew=True, scope=self._scope(place))

    def _scope(self, place: TopicPartition) -> str:
        return f"{self._cluster}/{place.topic}/{place.partition}"

    def _start(self, place: TopicPartition, committed: Any, begin: int, end: int, *, known: bool) -> Start:
        """
        Where to begin. `latest` is for topics that are new to us: a partition that was added later is read whole.

        The metadata of a commit counts only where it was written: tools that mirror a cluster copy it elsewhere.
        """
        scope = self._scope(place)
        if committed is None:
            return Start(end if self._topics.begin == "latest" and not known else begin, scope=scope)
        if committed.offset > end:
            self.restarted(place, committed.offset, begin)
            return Start(begin, anew=True, scope=scope)
        self.truncated(place, committed.offset, begin)
        found = unpack(committed.offset, committed.metadata, scope)
        done = frozenset(offset for offset in found if offset >= begin)
        return Start(max(committed.offset, begin), done, committed.offset >= begin, scope=scope)

    def truncated(self, place: TopicPartition, expected: int, begin: int) -> None:
        """Say aloud that the brokers deleted what was not read yet, if so."""
        if begin > expected:
            self.missed += begin - expected
            cure = "lengthen the topic's retention"
            log.error("offsets_truncated", extra={**self._facts(place, expected, begin), "cure": cure})

    def restarted(self, place: TopicPartition, expected: int | None, begin: int) -> None:
        """Say aloud that a topic was made anew: its offsets begin again, and all of it is read."""
        cure = "stop the bridge before a topic is made anew"
        log.error("topic_restarted", extra={**self._facts(place, expected, begin), "cure": cure})

    def _facts(self, place: TopicPartition, expected: int | None, begin: int) -> dict[str, object]:
        where = {"part": self._where, "topic": place.topic, "partition": place.partition}
        return {**where, "expected": expected, "found": begin}
