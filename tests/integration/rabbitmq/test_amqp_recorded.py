"""What brokers send, recorded on the wire: the codec reads from it what the other client delivered from it."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import urlsplit

import aiormq
from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic

from bridge.amqp import properties
from bridge.amqp.connection import Connection
from bridge.amqp.events import ChannelOpened, Delivered, Event, Opened
from bridge.amqp.handshake import Plain
from bridge.rabbitmq import decoders, encoders
from devtools.rabbitmq import Node
from tests.integration.rabbitmq.lab import LIMIT, POISON, Lab, field, lab, until
from tests.integration.rabbitmq.lab import properties as by_hand

QUEUE = "events"
LEAD = 7  # octets of a frame before its payload
KEYS = ["orders", "straße", "k" * 255, ""]
SIZES = [0, 1, 300, 131_063, 131_064, 131_065, 400_000]


class Tap:
    """Passes bytes on to a broker and back, and keeps those that came back."""

    def __init__(self, url: str) -> None:
        self._broker = urlsplit(url)
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.heard = bytearray()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._broker.hostname, self._broker.port)
        self._writers += [writer, back]
        self._tasks += [
            asyncio.create_task(self._pass(reader, back, bytearray())),
            asyncio.create_task(self._pass(there, writer, self.heard)),
        ]

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, kept: bytearray) -> None:
        while chunk := await source.read(65_536):
            kept += chunk
            sink.write(chunk)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for writer in self._writers:
            writer.transport.abort()
        closed = [writer.wait_closed() for writer in self._writers]
        await asyncio.gather(*self._tasks, *closed, return_exceptions=True)


@asynccontextmanager
async def tap(url: str) -> AsyncIterator[tuple[Tap, str]]:
    """Listen on a free port of 127.0.0.1 for one client; its address and what it hears."""
    made = Tap(url)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    parts = urlsplit(url)
    try:
        yield made, parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}").geturl()
    finally:
        server.close()
        await made.close()


ORDINARY: list[Basic.Properties] = [
    Basic.Properties(),
    Basic.Properties(delivery_mode=2, content_type="application/json", message_id="0190-é"),
    Basic.Properties(headers={"traceparent": "00-1-2-03", "n": 1, "big": 2**40, "yes": True, "none": None}),
    Basic.Properties(
        headers={
            "when": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            "list": [1, "two", {"three": [4.5]}],
            "decimal": Decimal("12.50"),
            "bytes": bytearray(b"\xff\x00"),
            "leer": "",
        }
    ),
    Basic.Properties(
        content_encoding="gzip",
        priority=9,
        correlation_id="c",
        reply_to="r",
        expiration="3600000",
        timestamp=datetime(2026, 1, 2, tzinfo=UTC),
        message_type="order.created",
        user_id="guest",
        app_id="shop",
    ),
]
KINDS = {
    b"b": b"\xff",
    b"B": b"\xff",
    b"s": b"\xff\xfe",
    b"u": b"\xff\xfe",
    b"I": b"\xff\xff\xff\xfe",
    b"i": b"\xff\xff\xff\xfe",
    b"l": b"\xff" * 8,
    b"f": struct.pack(">f", 1.5),
    b"d": struct.pack(">d", 1e300),
    b"x": struct.pack(">I", 3) + b"\x00\xff\x01",
    b"t": b"\x02",
}


async def publish_all(publisher: Lab, broker: Node) -> int:
    """Publish every shape of delivery once; how many there are."""
    await publisher.declare(QUEUE)
    await publisher.channel.exchange_declare("fan", exchange_type="fanout")
    await publisher.channel.queue_bind(QUEUE, "fan")
    shapes = [POISON[name] for name in POISON if "mode" not in name or broker.version != "3.10"]
    shapes += [by_hand(headers=field(b"k", kind, value)) for kind, value in KINDS.items()]
    for number, shape in enumerate(shapes + ORDINARY):
        await publisher.publish(KEYS[number % len(KEYS)], b"%d" % number, shape, exchange="fan")
    for size in SIZES:
        await publisher.publish(QUEUE, b"x" * size)
    for number in range(300):
        await publisher.publish(QUEUE, b"%d" % number, ORDINARY[1])
    return len(shapes) + len(ORDINARY) + len(SIZES) + 300


def replayed(heard: bytes, vhost: str, step: int) -> list[Delivered]:
    """What the codec makes of a recording: a handshake, a channel, and then deliveries in reads of this size."""
    connection = Connection(Plain("guest", "guest"), properties={}, heartbeat=30, vhost=vhost)
    events: list[Event] = []
    while not any(isinstance(event, Opened) for event in events):
        size = LEAD + int.from_bytes(heard[3:7], "big") + 1
        events += connection.receive_data(heard[:size])
        heard = heard[size:]
    connection.open_channel(1)
    for at in range(0, len(heard), step):
        events += connection.receive_data(heard[at : at + step])
    assert any(isinstance(event, ChannelOpened) for event in events)
    return [event for event in events if isinstance(event, Delivered)]


def check_same(ours: Delivered, theirs: DeliveredMessage) -> None:
    """Check that both clients made the same of one delivery."""
    frame = theirs.delivery
    assert isinstance(frame, Basic.Deliver)
    assert ours[1:7] == (
        frame.consumer_tag,
        frame.delivery_tag,
        frame.redelivered,
        frame.exchange,
        frame.routing_key,
        theirs.body,
    )
    found, read = properties.decode(ours.properties), theirs.header.properties
    stamp = read.timestamp
    assert found.timestamp == (stamp.timestamp() if isinstance(stamp, datetime) else None)
    assert found.type == read.message_type
    for name in Basic.Properties.__slots__:
        if name not in ("headers", "timestamp", "message_type"):
            assert (getattr(found, name) or None) == (getattr(read, name) or None), name
    assert repr(properties.table(found.table)) == repr(read.headers or {})


async def test_the_codec_and_the_other_client_read_the_same(broker: Node, vhost: str, amqp_url: str) -> None:
    decoders.install()
    encoders.install()
    came: list[DeliveredMessage] = []

    async def take_in(received: DeliveredMessage) -> None:
        came.append(received)

    async with lab(amqp_url) as publisher, tap(amqp_url) as (tapped, url):
        count = await publish_all(publisher, broker)
        connection = await asyncio.wait_for(aiormq.connect(f"{url}?heartbeat=30"), LIMIT)
        channel = await connection.channel(publisher_confirms=False)
        await channel.basic_qos(prefetch_count=count)
        await channel.basic_consume(QUEUE, take_in)
        await until(lambda: len(came) == count)
        heard = bytes(tapped.heard)
        await connection.close()
    theirs = sorted(came, key=lambda received: received.delivery_tag or 0)
    for step in (65_536, 1_000, 7):
        ours = replayed(heard, vhost, step)
        assert len(ours) == count
        for one, other in zip(ours, theirs, strict=True):
            check_same(one, other)
