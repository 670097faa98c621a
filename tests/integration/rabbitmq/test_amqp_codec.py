"""The codec of the intake against real brokers, over a plain socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar
from urllib.parse import urlsplit

import pytest

from bridge.amqp.connection import Connection
from bridge.amqp.events import (
    Cancelled,
    CancelledByServer,
    ChannelClosed,
    ChannelOpened,
    Closed,
    CloseOk,
    Consuming,
    Delivered,
    Event,
    Opened,
    PrefetchSet,
    QueueFound,
    Refused,
)
from bridge.amqp.handshake import Plain
from devtools.rabbitmq import Node
from tests.integration.rabbitmq.lab import LIMIT, Lab, lab

QUEUE = "events"

E = TypeVar("E")


class Wire:
    """A connection over a socket, to be asked for one event after the other."""

    def __init__(self, amqp: Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.amqp = amqp
        self._reader = reader
        self._writer = writer
        self._events: list[Event] = []

    async def next(self, kind: type[E]) -> E:
        """Write what is to be written, and return the next event, which must be of this kind."""
        async with asyncio.timeout(LIMIT):
            while not self._events:
                self._writer.write(self.amqp.data_to_send())
                data = await self._reader.read(65_536)
                assert data, "the broker cut the socket"
                self._events += self.amqp.receive_data(data)
        event = self._events.pop(0)
        assert isinstance(event, kind), event
        return event

    async def take(self, count: int) -> list[Delivered]:
        return [await self.next(Delivered) for _ in range(count)]

    async def channel(self, number: int = 1) -> None:
        self.amqp.open_channel(number)
        await self.next(ChannelOpened)

    async def consume(self, prefetch: int = 100, tag: str = "one", channel: int = 1) -> None:
        self.amqp.qos(channel, prefetch)
        await self.next(PrefetchSet)
        self.amqp.consume(channel, QUEUE, tag)
        await self.next(Consuming)

    async def close(self) -> None:
        self.amqp.close()
        await self.next(CloseOk)


@asynccontextmanager
async def wire(
    url: str, *, user: str | None = None, password: str | None = None, frame_max: int = 131_072
) -> AsyncIterator[Wire]:
    """A socket to the broker over which nothing has been said."""
    parts = urlsplit(url)
    login = Plain(user or parts.username or "", password or parts.password or "")
    vhost = parts.path.removeprefix("/") or "/"
    amqp = Connection(login, properties={"product": "test"}, heartbeat=60, vhost=vhost, frame_max=frame_max)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        yield Wire(amqp, reader, writer)
    finally:
        writer.transport.abort()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


@asynccontextmanager
async def consumer(url: str, *, frame_max: int = 131_072) -> AsyncIterator[tuple[Wire, Lab]]:
    """A connection with an open channel, a publisher elsewhere, and a queue."""
    async with lab(url) as publisher, wire(url, frame_max=frame_max) as made:
        await publisher.declare(QUEUE)
        await made.next(Opened)
        await made.channel()
        yield made, publisher


async def test_a_connection_opens_and_closes(broker: Node, amqp_url: str) -> None:
    async with wire(amqp_url) as made:
        opened = await made.next(Opened)
        assert (opened.heartbeat, opened.frame_max, opened.channel_max) == (60, 131_072, 31)
        assert str(opened.server_properties["version"]).startswith(broker.version)
        await made.close()


@pytest.mark.parametrize(
    ("cut", "code", "words", "during"),
    [
        (lambda url: url.replace(":guest@", ":wrong@"), 403, "ACCESS_REFUSED - Login was refused", "login"),
        (lambda url: url.rpartition("/")[0] + "/nowhere", 530, "NOT_ALLOWED - vhost nowhere not found", "vhost"),
    ],
    ids=["a wrong password", "no such virtual host"],
)
async def test_a_refusal_is_told(cut: Callable[[str], str], code: int, words: str, during: str, amqp_url: str) -> None:
    async with wire(cut(amqp_url)) as made:
        refused = await made.next(Refused)
        assert (refused.code, refused.during) == (code, during)
        assert words in refused.text


async def test_a_virtual_host_of_others_is_refused(broker: Node, vhost: str, amqp_url: str) -> None:
    broker.eval(f'rabbit_auth_backend_internal:clear_permissions(<<"guest">>, <<"{vhost}">>, <<"tests">>)')
    async with wire(amqp_url) as made:
        refused = await made.next(Refused)
        assert (refused.code, refused.during) == (530, "vhost")
        assert "refused for user 'guest'" in refused.text


async def test_deliveries_are_settled_returned_and_come_again(broker: Node, vhost: str, amqp_url: str) -> None:
    async with consumer(amqp_url) as (made, publisher):
        for number in range(10):
            await publisher.publish(QUEUE, b"%d" % number)
        await made.consume()
        first = await made.take(10)
        assert [delivery.body for delivery in first] == [b"%d" % number for number in range(10)]
        assert [delivery.delivery_tag for delivery in first] == list(range(1, 11))
        assert {delivery[:2] + delivery[3:6] for delivery in first} == {(1, "one", False, "", QUEUE)}
        made.amqp.ack(1, 8, multiple=True)
        made.amqp.ack(1, 10)
        made.amqp.give_back(1, 9)
        again = await made.next(Delivered)
        assert (again.delivery_tag, again.redelivered, again.body) == (11, True, b"8")
        made.amqp.give_back(1, 11, multiple=True)
        assert (await made.next(Delivered)).delivery_tag == 12
        made.amqp.cancel(1, "one")
        await made.next(Cancelled)
        await made.close()
    assert broker.depths(vhost)[QUEUE] == (1, 0)


async def test_large_bodies_come_in_frames_of_the_agreed_size(amqp_url: str) -> None:
    body = bytes(range(256)) * 4_096
    async with consumer(amqp_url, frame_max=8_192) as (made, publisher):
        await publisher.publish(QUEUE, body)
        await publisher.publish(QUEUE, b"")
        await publisher.publish(QUEUE, b"last")
        await made.consume()
        assert [delivery.body for delivery in await made.take(3)] == [body, b"", b"last"]
        await made.close()


async def test_two_channels_share_a_connection(amqp_url: str) -> None:
    async with consumer(amqp_url) as (made, publisher):
        await made.channel(2)
        await made.consume(prefetch=1, tag="one", channel=1)
        await made.consume(prefetch=1, tag="two", channel=2)
        await publisher.publish(QUEUE, b"x" * 200_000)
        await publisher.publish(QUEUE, b"y" * 200_000)
        found = await made.take(2)
        assert {(delivery.channel, delivery.consumer_tag) for delivery in found} == {(1, "one"), (2, "two")}
        assert {delivery.body[:1] for delivery in found} == {b"x", b"y"}
        made.amqp.close_channel(2)
        assert await made.next(ChannelClosed) == ChannelClosed(2)
        await made.close()


async def test_a_queue_is_looked_at_and_missed(amqp_url: str) -> None:
    async with consumer(amqp_url) as (made, publisher):
        await publisher.publish(QUEUE, b"x")
        made.amqp.declare_passively(1, QUEUE)
        assert await made.next(QueueFound) == QueueFound(1, QUEUE, ready=1, consumers=0)
        made.amqp.declare_passively(1, "nowhere")
        closed = await made.next(ChannelClosed)
        assert (closed.channel, closed.code, closed.during) == (1, 404, "queue.declare")
        await made.channel()
        made.amqp.consume(1, "nowhere")
        closed = await made.next(ChannelClosed)
        assert (closed.code, closed.during) == (404, "basic.consume")
        assert "no queue 'nowhere'" in closed.text
        await made.channel()
        await made.close()


async def test_a_right_that_is_missing_closes_the_channel(broker: Node, vhost: str, amqp_url: str) -> None:
    async with lab(amqp_url) as publisher:
        await publisher.declare(QUEUE)
    nothing = f'<<"guest">>, <<"{vhost}">>, <<"^$">>, <<"^$">>, <<"^$">>, <<"tests">>'
    broker.eval(f"rabbit_auth_backend_internal:set_permissions({nothing})")
    async with wire(amqp_url) as made:
        await made.next(Opened)
        await made.channel()
        made.amqp.consume(1, QUEUE)
        closed = await made.next(ChannelClosed)
        assert (closed.code, closed.during) == (403, "basic.consume")
        await made.close()


async def test_a_tag_that_is_settled_twice_closes_the_channel(amqp_url: str) -> None:
    async with consumer(amqp_url) as (made, publisher):
        await publisher.publish(QUEUE, b"x")
        await made.consume()
        [delivery] = await made.take(1)
        made.amqp.ack(1, delivery.delivery_tag)
        made.amqp.ack(1, delivery.delivery_tag)
        closed = await made.next(ChannelClosed)
        assert (closed.code, closed.during) == (406, "basic.ack")
        await made.close()


async def test_a_queue_that_is_deleted_cancels_its_consumer(amqp_url: str) -> None:
    async with consumer(amqp_url) as (made, publisher):
        await made.consume()
        await publisher.channel.queue_delete(QUEUE)
        assert await made.next(CancelledByServer) == CancelledByServer(1, "one")
        await made.close()


async def test_a_connection_that_an_operator_closes_says_why(fresh_broker: Node) -> None:
    async with wire(fresh_broker.url) as made:
        await made.next(Opened)
        await asyncio.to_thread(fresh_broker.close_all_connections)
        closed = await made.next(Closed)
        assert closed.code == 320
        assert "closed on purpose" in closed.text
