"""A publisher that is none of ours, and properties as only hand-made clients send them."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiormq
from aiormq.abc import AbstractChannel
from pamqp.commands import Basic

from bridge.model import Delivery, Verdict
from bridge.ports import Source

LIMIT = 90.0  # seconds until a test gives up waiting


class RawProperties(Basic.Properties):
    """Properties as bytes that nobody checked."""

    raw: bytes = b""

    def marshal(self) -> bytes:
        return self.raw


def properties(
    *,
    headers: bytes | None = None,
    delivery_mode: int = 2,
    message_id: bytes | None = None,
    timestamp: int | None = None,
) -> Basic.Properties:
    """Encode properties without looking at them. `headers` is the content of a field table."""
    flags, fields = 0x1000, [bytes([delivery_mode])]
    if headers is not None:
        flags |= 0x2000
        fields.insert(0, struct.pack(">I", len(headers)) + headers)
    if message_id is not None:
        flags |= 0x0080
        fields.append(bytes([len(message_id)]) + message_id)
    if timestamp is not None:
        flags |= 0x0040
        fields.append(struct.pack(">Q", timestamp))
    made = RawProperties()
    made.raw = struct.pack(">H", flags) + b"".join(fields)
    return made


def field(name: bytes, kind: bytes, value: bytes) -> bytes:
    """One field of a table."""
    return bytes([len(name)]) + name + kind + value


def nested(depth: int) -> bytes:
    """A table in a table in a table ..."""
    content = b""
    for _ in range(depth):
        content = field(b"t", b"F", struct.pack(">I", len(content)) + content)
    return content


POISON: dict[str, Basic.Properties] = {
    "timestamp in ms": properties(timestamp=1_760_000_000_000),
    "timestamp in us": properties(timestamp=1_760_000_000_000_000),
    "timestamp in ns": properties(timestamp=1_760_000_000_000_000_000),
    "timestamp of all ones": properties(timestamp=2**64 - 1),
    "message id that is no UTF-8": properties(message_id=b"\xff\xfe\xfd"),
    "message id of 255 bad bytes": properties(message_id=b"\xff" * 255),
    "header key that is no UTF-8": properties(headers=field(b"\xff\xfe", b"t", b"\x01")),
    "header value that is no UTF-8": properties(headers=field(b"k", b"S", struct.pack(">I", 2) + b"\xff\xfe")),
    "header timestamp in us": properties(headers=field(b"k", b"T", struct.pack(">Q", 1_760_000_000_000_000))),
    "header double": properties(headers=field(b"k", b"d", struct.pack(">d", 1e300))),
    "header decimal": properties(headers=field(b"k", b"D", b"\xff" + struct.pack(">I", 2**32 - 1))),
    "table nested 900 deep": properties(headers=nested(900)),
    "table nested 5000 deep": properties(headers=nested(5_000)),
    "array of 120,000 nothings": properties(headers=field(b"k", b"A", struct.pack(">I", 120_000) + b"V" * 120_000)),
    "header table of 125,000 bytes": properties(headers=field(b"k", b"S", struct.pack(">I", 125_000) + b"x" * 125_000)),
    "5,000 headers": properties(headers=b"".join(field(b"k%d" % number, b"V", b"") for number in range(5_000))),
    "delivery mode 0": properties(delivery_mode=0),
    "delivery mode 3": properties(delivery_mode=3),
    "delivery mode 9": properties(delivery_mode=9),
}


@dataclass
class Lab:
    """A connection of a publisher somewhere else."""

    channel: AbstractChannel

    async def publish(
        self,
        queue: str,
        body: bytes,
        properties: Basic.Properties | None = None,
        *,
        exchange: str = "",
    ) -> None:
        await self.channel.basic_publish(
            body,
            exchange=exchange,
            routing_key=queue,
            properties=properties or Basic.Properties(delivery_mode=2),
            mandatory=True,
            timeout=LIMIT,
        )

    async def declare(self, queue: str, arguments: Mapping[str, str | int | bool] | None = None) -> None:
        await self.channel.queue_declare(
            queue, durable=True, arguments={"x-queue-type": "quorum", **(arguments or {})}, timeout=LIMIT
        )


@asynccontextmanager
async def lab(url: str) -> AsyncIterator[Lab]:
    """Connect as a publisher."""
    connection = await asyncio.wait_for(aiormq.connect(f"{url}?heartbeat=30"), LIMIT)
    try:
        yield Lab(await connection.channel())
    finally:
        await connection.close()


async def take(source: Source, count: int, limit: int = 1_000) -> list[Delivery]:
    """Receive so many."""
    got: list[Delivery] = []
    async with asyncio.timeout(LIMIT):
        while len(got) < count:
            got += await source.receive(limit, 0.0)
    return got


async def settle(source: Source, deliveries: Iterable[Delivery]) -> None:
    batch = list(deliveries)
    await source.settle(batch, [Verdict.SETTLE] * len(batch))


async def until(condition: Callable[[], object], seconds: float = LIMIT) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  any condition, of parts that know no events
            await asyncio.sleep(0.02)
