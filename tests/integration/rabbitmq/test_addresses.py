"""A broker whose host has several addresses, of which some lead nowhere."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from bridge.errors import Disconnected
from bridge.rabbitmq import connection
from bridge.rabbitmq.appetite import Appetite
from bridge.rabbitmq.consumer import Consumer
from bridge.rabbitmq.options import Client, ConnectionSettings
from bridge.rabbitmq.subscription import Place
from devtools.rabbitmq import Node
from tests.fakes.hostile_talk import full_backlog
from tests.integration.rabbitmq.lab import lab, settle, take

NAME = "broker.test"
QUEUE = "events"


@pytest.fixture
async def addresses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Those of `NAME`, in the order of the resolver, to be filled in."""
    found: list[str] = []
    loop = asyncio.get_running_loop()
    theirs = loop.getaddrinfo

    async def getaddrinfo(host: str, port: int, **more: int) -> list[object]:
        asked = found if host == NAME else [host]
        return [entry for each in asked for entry in await theirs(each, port, **more)]

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    return found


def consumer_at(url: str, client: Client) -> Consumer:
    settings = ConnectionSettings(url=SecretStr(url.replace("127.0.0.1", NAME)))
    return Consumer(Place(connection=settings, queue=QUEUE, where="source"), appetite=Appetite(256), client=client)


async def passes_one(consumer: Consumer, url: str) -> None:
    async with lab(url) as outside:
        await outside.declare(QUEUE)
        await consumer.open()
        await outside.publish(QUEUE, b"here")
        got = await take(consumer, 1)
        assert [delivery.body for delivery in got] == [b"here"]
        await settle(consumer, got)
    await consumer.close()


async def test_where_an_address_takes_no_connection_the_next_is_taken(
    broker: Node, amqp_url: str, client: Client, addresses: list[str]
) -> None:
    addresses += ["127.0.0.2", "127.0.0.1"]
    with full_backlog("127.0.0.2", broker.port):
        await passes_one(consumer_at(amqp_url, client), amqp_url)


async def test_where_addresses_are_dead_the_next_is_taken(amqp_url: str, client: Client, addresses: list[str]) -> None:
    addresses += ["127.0.0.2", "127.0.0.3", "127.0.0.1"]
    await passes_one(consumer_at(amqp_url, client), amqp_url)


async def test_where_none_answers_it_is_told_in_time(
    broker: Node, client: Client, addresses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CALL_LIMIT", 1.0)
    addresses += ["127.0.0.2", "127.0.0.3"]
    assert urlsplit(broker.url).hostname == "127.0.0.1"
    with full_backlog("127.0.0.2", broker.port), full_backlog("127.0.0.3", broker.port):
        consumer = consumer_at(broker.url, client)
        with pytest.raises(Disconnected, match="no answer"):
            await consumer.open()
        await consumer.close()
