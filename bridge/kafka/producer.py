"""Sends records, and says of each whether the brokers have it for good."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from aiokafka import errors

from bridge.errors import ConfigError, Disconnected, Unavailable
from bridge.kafka.connection import translated
from bridge.kafka.feed import Feed
from bridge.kafka.options import KafkaConnection
from bridge.kafka.outgoing import Outgoing, Refused, TooLarge
from bridge.kafka.sizes import Sizes
from bridge.kafka.topics import administrator, settings_of
from bridge.tasks import end

__all__ = ["Outgoing", "Producer", "Refused", "TooLarge"]

log = logging.getLogger(__name__)

FIRST_WAIT: Final = 0.5  # seconds before a lost session is replaced; doubles up to LAST_WAIT
LAST_WAIT: Final = 30.0
PROBE: Final = 15.0  # seconds between two looks whether the brokers still answer, while nothing is sent
FRESH: Final = 1.0  # seconds that a failure to connect speaks for those who come next

SIZE: Final = (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError)
NUMBERING: Final = (  # what befalls records behind a refused one, or after the broker forgot this producer
    errors.OutOfOrderSequenceNumber,
    errors.UnknownProducerId,
    errors.InvalidProducerEpoch,
    errors.ProducerFenced,
)


class Producer:
    """
    Owns one producer of the client at a time, and the way back when that is lost.

    The client's idempotent producer is wedged for ever on a partition where one record was refused (aiokafka 0.14.0).
    So it is replaced after any refusal, and what was refused gets a second chance, each record by itself, before it is
    blamed. A lost session is replaced in the background, and at the next call, which raises Unavailable until that
    works: the caller knows best how long to wait. `prepare` creates and verifies topics, over an admin client, for each
    new session. `linger` is how many seconds a batch waits for more records, `compression` gzip, zstd or None.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        *,
        where: str,
        prepare: Callable[[Any], Awaitable[None]] | None = None,
        linger: float = 0.0,
        compression: str | None = None,
    ) -> None:
        self._connection = connection
        self._where = where
        self._prepare = prepare
        self._linger = linger
        self._compression = compression
        self._feed: Feed | None = None
        self._sizes = Sizes(self._settings_of, compression=compression)
        self._opening = asyncio.Lock()
        self._apart = asyncio.Lock()  # one at a time gives second chances
        self._failed: tuple[float, str] | None = None  # loop time and reason of the last failure to connect
        self._retiring: set[asyncio.Task[None]] = set()
        self._keeping: asyncio.Task[None] | None = None
        self.rebuilds = -1

    @property
    def connected(self) -> bool:
        return self._feed is not None and self._feed.alive

    async def open(self) -> None:
        """Connect. Raises Disconnected or ConfigError."""
        await self._ready()
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep())

    async def close(self) -> None:
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            await end(keeping)
        self._retire()
        if self._retiring:
            await asyncio.wait(self._retiring)

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has. Raises Unavailable."""
        try:
            return len(await (await self._ready()).partitions(topic))
        except ConfigError as error:
            raise Unavailable(str(error)) from error

    async def send(self, items: Sequence[Outgoing]) -> list[Exception | None]:
        """
        Send all; None where the brokers have it for good, TooLarge or Refused where they never will.

        Raises Unavailable when anything else kept one of them from being stored: then none of them counts, although
        some may have been. The same is true of a call that is cancelled.
        """
        if not items:
            return []
        try:
            feed = await self._ready()
            results: list[Exception | None] = list(await self._sizes.refusals(items))
            sent = [index for index, refusal in enumerate(results) if refusal is None]
            fates = await self._posted(feed, [items[index] for index in sent])
            suspects = [index for index, fate in zip(sent, fates, strict=True) if fate is not None]
            if suspects:
                verdicts = await self._each_alone([items[index] for index in suspects])
                for index, verdict in zip(suspects, verdicts, strict=True):
                    results[index] = verdict
        except ConfigError as error:
            # At the start this ends the process; later it means that an operator is at work, and nothing is lost.
            raise Unavailable(str(error)) from error
        return results

    async def _posted(self, feed: Feed, items: Sequence[Outgoing]) -> list[Exception | None]:
        """Send over this feed; None or what the brokers refused each with. Raises Disconnected or ConfigError."""
        try:
            fates = await feed.post(items)
            for item, fate in zip(items, fates, strict=True):
                if fate is not None and not _blames_the_record(fate):
                    raise _told(fate, item, self._where)
        except (Disconnected, ConfigError) as error:
            feed.lose(str(error))
            raise
        if any(fates):
            feed.lose("a record was refused")
        return fates

    async def _each_alone(self, items: Sequence[Outgoing]) -> list[Refused | None]:
        """Send each where it can be refused for nobody's sake but its own."""
        async with self._apart:
            self._sizes.forget()
            verdicts: list[Refused | None] = []
            feed: Feed | None = None
            try:
                for item in items:
                    if feed is None or not feed.alive:
                        await self._close(feed)
                        feed = await self._connect(0.0)
                    [fate] = await self._posted(feed, [item])
                    if isinstance(fate, NUMBERING):
                        raise Disconnected(f"topic {item.topic}: a new producer is refused")
                    verdicts.append(None if fate is None else await self._verdict(item, fate))
            finally:
                await self._close(feed)
            return verdicts

    async def _verdict(self, item: Outgoing, fate: Exception) -> Refused:
        if not isinstance(fate, SIZE):
            return Refused(f"topic {item.topic} refuses it: {type(fate).__name__}")
        [refusal] = await self._sizes.refusals([item])
        return refusal or self._sizes.too_large(item)

    async def _ready(self) -> Feed:
        """The feed to send over. Raises Disconnected or ConfigError."""
        async with self._opening:
            if self._feed is None or not self._feed.alive:
                self._retire()
                now = asyncio.get_running_loop().time()
                if self._failed is not None and now - self._failed[0] < FRESH:
                    raise Disconnected(self._failed[1])
                try:
                    self._feed = await self._prepared()
                except Disconnected as error:
                    self._failed = (asyncio.get_running_loop().time(), str(error))
                    raise
                self.rebuilds += 1
            return self._feed

    async def _prepared(self) -> Feed:
        if self._prepare is not None:
            async with administrator(self._connection, where=self._where) as admin:
                await self._prepare(admin)
        return await self._connect(self._linger)

    async def _connect(self, linger: float) -> Feed:
        return await Feed.opened(self._connection, where=self._where, linger=linger, compression=self._compression)

    async def _settings_of(self, topics: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        async with administrator(self._connection, where=self._where) as admin:
            return await settings_of(admin, topics, where=self._where)

    def _retire(self) -> None:
        """Close the present feed in the background: others may still wait for answers over it."""
        feed, self._feed = self._feed, None
        if feed is not None:
            task = asyncio.create_task(feed.close())
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    @staticmethod
    async def _close(feed: Feed | None) -> None:
        if feed is not None:
            await feed.close()

    async def _keep(self) -> None:
        """Have a session ready before it is needed; until then the bridge says that it is not."""
        wait = FIRST_WAIT
        while True:
            if self._feed is not None and self._feed.alive:
                await self._watch(self._feed)
                wait = FIRST_WAIT
            await asyncio.sleep(random.uniform(0, wait))  # noqa: S311  full jitter, protects nothing
            wait = min(LAST_WAIT, wait * 2)
            try:
                await self._ready()
            except Exception as error:  # noqa: BLE001  whatever it is, this loop must not end before its producer
                log.warning("producer_not_rebuilt", extra={"part": self._where, "reason": str(error)})

    @staticmethod
    async def _watch(feed: Feed) -> None:
        """Return when the feed is lost. The client itself does not say when the brokers are away."""
        while feed.alive:
            lost, _ = await asyncio.wait({feed.lost}, timeout=PROBE)
            if not lost and not feed.posting and not await feed.answers():
                feed.lose("no broker answers")


def _blames_the_record(fate: Exception) -> bool:
    """Whether the brokers are there and take records, only not this one, or not behind another that they refused."""
    if not isinstance(fate, errors.KafkaError) or fate.retriable:
        return False
    if isinstance(fate, errors.ProducerClosed | errors.InvalidTimestampError):
        return False
    return not isinstance(translated(fate, "", ""), ConfigError)


def _told(fate: Exception, item: Outgoing, where: str) -> Exception:
    """Our name for an error that no record is to blame for."""
    if isinstance(fate, errors.InvalidTimestampError):
        return Disconnected(f"topic {item.topic}: the brokers' clock and ours are too far apart")
    if isinstance(fate, errors.TopicAuthorizationFailedError):
        cure = f"Give this user the ACL Write on topic {item.topic}"
        return ConfigError(where, f"sending to topic {item.topic} is forbidden", cure)
    return translated(fate, f"sending to topic {item.topic}", where, needs="Write")
