"""One producer of the client, which lives once: what it says of each record, and how it is ended for certain."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final, Self

from aiokafka import AIOKafkaProducer, errors

from bridge.errors import ConfigError, Disconnected
from bridge.kafka.connection import client_options, close, limited, start
from bridge.kafka.metadata import never_create
from bridge.kafka.options import KafkaConnection
from bridge.kafka.outgoing import Outgoing

log = logging.getLogger(__name__)

SEND_LIMIT: Final = 12.0  # seconds; a record without an answer by then may still arrive, so it counts as unknown
REQUEST_MS: Final = 5_000  # until the client takes another connection for a request and asks again
BATCH: Final = 65_536  # bytes before compression; some topics take no more
ANY_SIZE: Final = 2**31 - 1  # sizes are checked against the topic, see `bridge.kafka.sizes`


class Feed:
    """An idempotent producer. `lost` is done, with the reason, once it is of no further use."""

    def __init__(self, client: Any, where: str) -> None:
        self._client = client
        self._where = where
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.posting = 0  # calls that wait for answers now

    @classmethod
    async def opened(cls, connection: KafkaConnection, *, where: str, linger: float, compression: str | None) -> Self:
        """Connect. Raises Disconnected or ConfigError."""
        never_create()
        client = AIOKafkaProducer(
            **client_options(connection, where=where, client_id=f"event-bridge {where}"),
            acks="all",
            enable_idempotence=True,
            linger_ms=linger * 1000,
            compression_type=compression,
            max_batch_size=BATCH,
            max_request_size=ANY_SIZE,
            request_timeout_ms=REQUEST_MS,
        )
        feed = cls(client, where)
        try:
            await start(client, where=where)
        except BaseException as error:
            await feed.close()
            if isinstance(error.__cause__, errors.ClusterAuthorizationFailedError):
                cure = "Give this user the ACL Write on the bridge's topics, or IdempotentWrite on the cluster"
                raise ConfigError(where, "sending is forbidden", cure) from None
            raise
        return feed

    @property
    def alive(self) -> bool:
        return not self.lost.done()

    def lose(self, reason: str) -> None:
        """Give this one up."""
        if not self.lost.done():
            self.lost.set_result(reason)

    async def partitions(self, topic: str) -> frozenset[int]:
        """The partitions of a topic. Raises Disconnected or ConfigError."""
        async with limited(f"looking for topic {topic}", where=self._where, needs="Describe"):
            return frozenset(await self._client.partitions_for(topic))

    async def post(self, items: Sequence[Outgoing]) -> list[Exception | None]:
        """
        Send all; None where the brokers have stored it durably, else the client's error.

        Raises Disconnected or ConfigError when one of them has no answer. Then, and when this is cancelled, each of
        them may have been stored or not.
        """
        self.posting += 1
        try:
            async with limited(f"sending to {_names(items)}", SEND_LIMIT, where=self._where, needs="Write"):
                answers = [await self._put(item) for item in items]
                if answers:
                    await asyncio.wait(answers)
            return [_fate(answer) for answer in answers]
        finally:
            self.posting -= 1

    async def _put(self, item: Outgoing) -> asyncio.Future[Any]:
        if item.partition is not None and item.partition not in await self._client.partitions_for(item.topic):
            raise Disconnected(f"topic {item.topic} has no partition {item.partition}")
        answer: asyncio.Future[Any] = await self._client.send(
            item.topic, item.value, item.key, item.partition, headers=list(item.headers)
        )
        answer.add_done_callback(_seen)
        return answer

    async def answers(self) -> bool:
        """Whether any broker answers."""
        try:
            async with limited("asking for the topics", where=self._where):
                return bool(await self._client.client.force_metadata_update())
        except Disconnected:
            return False

    async def close(self) -> None:
        """Close, once what is on its way has its answers or `bridge.kafka.ending.CLOSE_LIMIT` is over."""
        self.lose("closed")
        await close(self._client, where=self._where)


def _fate(answer: asyncio.Future[Any]) -> Exception | None:
    error = answer.exception()
    return error if error is None or isinstance(error, Exception) else Disconnected(type(error).__name__)


def _seen(answer: asyncio.Future[Any]) -> None:
    """Take note of an error that nobody waits for any more, or asyncio complains."""
    if not answer.cancelled():
        answer.exception()


def _names(items: Sequence[Outgoing]) -> str:
    return ", ".join(sorted({item.topic for item in items}))
