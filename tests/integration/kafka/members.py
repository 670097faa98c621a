"""Members of a consumer group, what they are handed, and records that no client can decode."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from gzip import compress
from typing import Any

from aiokafka.errors import NoError, NotLeaderForPartitionError, for_code
from aiokafka.protocol.group import LeaveGroupRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from bridge.core.offsets import unpack
from bridge.errors import EndOfSource
from bridge.kafka.session import Session
from bridge.model import Delivery, Verdict
from bridge.reconnecting import Reconnecting
from bridge.sources.kafka import KafkaSourceSettings
from devtools.kafka_lab import Lab

LIMIT = 120.0  # seconds until a test gives up waiting
LENGTH_AT, LENGTH_END = 8, 12  # where a batch says how long it is, from there on (KIP-98)
CRC_AT, CRC_END = 17, 21  # where its checksum stands, which covers what is behind it
ATTRIBUTES_END, RECORDS_AT = 23, 61


def source_of(bootstrap: str, topics: Sequence[str], **more: object) -> Reconnecting:
    """A source of these topics, in a group of the first one's name unless another is given."""
    quick = {"group_id": topics[0], "commit_interval": 0.05, "rebalance_drain": 0.2} if topics else {}
    settings = {"type": "kafka", "bootstrap_servers": bootstrap, "topics": list(topics), **quick, **more}
    return KafkaSourceSettings.model_validate(settings).build("default")


@asynccontextmanager
async def member(bootstrap: str, topics: Sequence[str], **more: object) -> AsyncIterator[Reconnecting]:
    """An open source."""
    source = source_of(bootstrap, topics, **more)
    await source.open()
    try:
        yield source
    finally:
        await source.close()


def session_of(source: Reconnecting) -> Session:
    """The session that stands now."""
    session = source._session
    assert isinstance(session, Session)
    return session


async def take(source: Reconnecting, count: int, limit: int = 1_000) -> list[Delivery]:
    """Receive so many."""
    got: list[Delivery] = []
    async with asyncio.timeout(LIMIT):
        while len(got) < count:
            got += await source.receive(min(limit, count - len(got)), 0.0)
    return got


async def none_comes(source: Reconnecting, seconds: float = 1.0) -> bool:
    """Whether nothing is received in this time."""
    try:
        await asyncio.wait_for(source.receive(100, 0.0), seconds)
    except TimeoutError:
        return True
    return False


async def settle(source: Reconnecting, deliveries: Iterable[Delivery]) -> None:
    batch = list(deliveries)
    await source.settle(batch, [Verdict.SETTLE] * len(batch))


async def consume(source: Reconnecting, into: Counter[bytes], work: float = 0.0) -> None:
    """Settle whatever comes, after so many seconds, until the source ends."""
    while True:
        try:
            batch = await source.receive(50, 0.0)
        except EndOfSource:
            return
        await asyncio.sleep(work)
        into.update(delivery.body for delivery in batch if source.owns(delivery))
        await settle(source, batch)


async def until(condition: Callable[[], object | Awaitable[object]], seconds: float = LIMIT) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if await found if isinstance(found, Awaitable) else found:
                return
            await asyncio.sleep(0.05)


async def undone(lab: Lab, group: str, topic: str) -> list[tuple[int, int]]:
    """The (partition, offset) of all that a group would be handed if it began anew now."""
    starts, ends = await lab.starts(topic), await lab.ends(topic)
    committed = await lab.committed(group)
    left: list[tuple[int, int]] = []
    for number, end in ends.items():
        known = committed.get((topic, number))
        low = max(starts[number], known.offset if known else 0)
        done = unpack(known.offset, known.metadata) if known else frozenset()
        left += [(number, offset) for offset in range(low, end) if offset not in done]
    return left


async def put_out(source: Reconnecting) -> None:
    """As if our heartbeats had not come: the coordinator gives our partitions to others."""
    coordinator = session_of(source)._member.consumer._coordinator
    await coordinator._send_req(LeaveGroupRequest(coordinator.group_id, coordinator.member_id))


def numbered(count: int, first: int = 0) -> list[bytes]:
    return [b"%d" % number for number in range(first, first + count)]


def bodies_of(deliveries: Iterable[Delivery]) -> list[bytes]:
    return [delivery.body for delivery in deliveries]


def batch_of(values: Sequence[bytes], headers: Sequence[tuple[str, bytes]] = (), *, gzip: bool = False) -> bytes:
    """A batch as a publisher would send it, whose last record has these headers."""
    now = time.time_ns() // 1_000_000  # a record that looks old would be deleted at once
    builder = DefaultRecordBatchBuilder(2, int(gzip), 0, -1, -1, -1, 1 << 20)
    for number, value in enumerate(values):
        builder.append(number, now, None, value, list(headers) if number == len(values) - 1 else [])
    return bytes(builder.build())


def sealed(batch: bytes) -> bytes:
    """The batch with its length and its checksum set right."""
    length = (len(batch) - LENGTH_END).to_bytes(4, "big")
    checksum: bytes = calc_crc32c(batch[CRC_END:]).to_bytes(4, "big")
    return batch[:LENGTH_AT] + length + batch[LENGTH_END:CRC_AT] + checksum + batch[CRC_END:]


def strange(good: Sequence[bytes] = (), *, gzip: bool = False) -> bytes:
    """A batch whose last record, `bad`, has a header with a name of eight bytes 255, which are no UTF-8."""
    plain = sealed(batch_of([*good, b"bad"], [("REPLACED", b"1")]).replace(b"REPLACED", b"\xff" * 8))
    if not gzip:
        return plain
    return sealed(
        plain[: ATTRIBUTES_END - 1] + b"\x01" + plain[ATTRIBUTES_END:RECORDS_AT] + compress(plain[RECORDS_AT:])
    )


def misplaced(values: Sequence[bytes]) -> bytes:
    """A batch whose records claim to be a thousand offsets from each other, which brokers do not look at."""
    now = time.time_ns() // 1_000_000
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    for number, value in enumerate(values):
        builder.append(number * 1000, now, None, value, [])
    whole = bytes(builder.build())
    last = (len(values) - 1).to_bytes(4, "big")  # this they do look at
    return sealed(whole[:ATTRIBUTES_END] + last + whole[ATTRIBUTES_END + len(last) :])


def undecodable() -> bytes:
    """A batch of one record, which brokers take and the client cannot read: no gzip ends like this."""
    return sealed(batch_of([b"bad" * 100], gzip=True) + b"garbage")


async def write_raw(lab: Lab, topic: str, batch: bytes, partition: int = 0) -> None:
    """Write a batch as it is, once the partition has its leader. Raises KafkaError where the broker refuses it."""

    async def written() -> bool:
        answer: Any = await lab.ask(ProduceRequest(None, -1, 10_000, [(topic, [(partition, batch)])]))
        [(_, [(_, code, *_)])] = answer.topics
        if code not in (NoError.errno, NotLeaderForPartitionError.errno):
            raise for_code(code)(topic)
        return bool(code == NoError.errno)

    await until(written)
