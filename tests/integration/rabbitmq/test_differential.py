"""Two queues get the same publishes, ordinary and hostile; both clients must make the same Deliveries of them."""

from __future__ import annotations

import asyncio
import random
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from aiormq.exceptions import AMQPError
from pamqp.commands import Basic
from pydantic import SecretStr

from bridge.model import Delivery
from bridge.rabbitmq import encoders
from bridge.rabbitmq.options import Client
from bridge.sources.rabbitmq import RabbitMQSourceSettings
from tests.integration.rabbitmq.lab import POISON, RawProperties, lab, settle, take

EXCHANGE = "twins"
QUEUES: dict[Client, str] = {"native": "one", "aio-pika": "other"}
SIZES = (0, 1, 300, 65_535, 131_064, 131_065, 262_144, 1 << 20)  # around the size of a frame too


def properties(chance: random.Random) -> Basic.Properties:
    """Some of all that AMQP knows."""
    texts = ["", "text", "x" * 200, "ünïcödé", "with\x00nothing"]
    values: list[Any] = [
        "text",
        "",
        1,
        -1,
        2**40,
        1.5,
        True,
        None,
        b"\xff\xfe",
        bytearray(b"\x00\x01"),
        Decimal("12.50"),
        datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        [1, "two", [3.0, {}]],
        {"deep": {"deeper": [None, True]}},
    ]
    made = Basic.Properties(delivery_mode=chance.choice([1, 2]))
    for name in (
        "content_type",
        "content_encoding",
        "correlation_id",
        "reply_to",
        "message_id",
        "message_type",
        "app_id",
    ):
        if chance.random() < 0.4:
            setattr(made, name, chance.choice(texts[:4]))
    if chance.random() < 0.3:
        made.priority = chance.choice([0, 1, 9])
    if chance.random() < 0.3:
        made.timestamp = datetime.fromtimestamp(chance.randrange(0, 4_000_000_000), tz=UTC)
    if chance.random() < 0.3:
        made.user_id = "guest"
    if chance.random() < 0.6:
        made.headers = {f"h{number}": chance.choice(values) for number in range(chance.randrange(6))}
    return made


def odd(chance: random.Random) -> Basic.Properties:
    """Ordinary properties with some octets of them changed."""
    raw = bytearray(properties(chance).marshal())
    for _ in range(chance.randrange(1, 4)):
        raw[chance.randrange(2, len(raw))] = chance.randrange(256)
    made = RawProperties()
    made.raw = bytes(raw)
    return made


def shown(delivery: Delivery) -> dict[str, object]:
    """All that can be compared: not the token, nor which queue it came from."""
    values = {field.name: getattr(delivery, field.name) for field in fields(delivery)}
    return {**values, "token": None, "origin": None, "headers": repr(sorted(delivery.headers.items(), key=repr))}


async def received(url: str, client: Client, count: int) -> list[dict[str, object]]:
    settings = RabbitMQSourceSettings(type="rabbitmq", url=SecretStr(url), queue=QUEUES[client], client=client)
    source = settings.build("default")
    await source.open()
    got: list[dict[str, object]] = []
    while len(got) < count:
        deliveries = await take(source, 1)
        got += map(shown, deliveries)
        await settle(source, deliveries)
    assert source.rebuilds == 0
    await source.close()
    return got


async def published(url: str, items: list[tuple[bytes, Basic.Properties]]) -> int:
    """Publish to both queues; return how many the broker let pass. One that it refuses costs the publisher its line."""
    passed = 0
    while items:
        async with lab(url) as outside:
            for queue in QUEUES.values():
                await outside.declare(queue)
                await outside.channel.exchange_declare(EXCHANGE, exchange_type="fanout", durable=True)
                await outside.channel.queue_bind(queue, EXCHANGE)
            while items:
                body, given = items.pop()
                try:
                    await outside.publish("a.key", body, given, exchange=EXCHANGE)
                except (AMQPError, asyncio.CancelledError):
                    break
                passed += 1
    return passed


async def test_both_clients_make_the_same_of_whatever_is_published(amqp_url: str) -> None:
    encoders.install()
    chance = random.Random(20261121)
    items = [(b"x" * size, properties(chance)) for size in SIZES for _ in range(3)]
    items += [(b"%d" % number, properties(chance)) for number in range(300)]
    items += [(name.encode(), given) for name, given in POISON.items()]
    items += [(b"odd %d" % number, odd(chance)) for number in range(60)]
    chance.shuffle(items)
    count = await published(amqp_url, items)
    assert count >= 320
    ours, theirs = [await received(amqp_url, client, count) for client in QUEUES]
    for one, other in zip(ours, theirs, strict=True):
        assert one == other
