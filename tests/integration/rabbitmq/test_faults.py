"""What brokers suffer, seen from each part: nothing is taken for safe that is not, and nothing stays dead."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import pytest
from pydantic import SecretStr

from bridge.amqp.events import Cancelled
from bridge.core.ladder import Ladder
from bridge.deadletters.rabbitmq import RabbitMQDeadLettersSettings
from bridge.delays.rabbitmq import RabbitMQDelayLine, RabbitMQDelaySettings
from bridge.errors import Unavailable
from bridge.model import Burial, Delivery, Hold, Ticket, Verdict
from bridge.rabbitmq import connection, publisher, topology
from bridge.rabbitmq.appetite import Appetite
from bridge.rabbitmq.consumer import Consumer
from bridge.rabbitmq.native import CHANNEL, NativeSubscription
from bridge.rabbitmq.options import Client, ConnectionSettings
from bridge.rabbitmq.publisher import TooLarge
from bridge.rabbitmq.subscription import Place
from bridge.rabbitmq.throughclient import ClientSubscription
from bridge.sources.rabbitmq import RabbitMQSourceSettings
from devtools.rabbitmq import Node
from tests.integration.rabbitmq.lab import lab, settle, take, until
from tests.integration.rabbitmq.proxy import proxy

QUEUE = "events"
LADDER = Ladder("bridge")


@pytest.fixture(autouse=True)
def _grown_up_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the tests that kill a broker need to wait for new queues to settle in."""
    monkeypatch.setattr(topology, "NEWBORN", 0.0)


def held(number: int, wait: float = 0.0, size: int = 10) -> Hold:
    body = b"%d" % number + b" " * size
    now = time.time_ns() // 1_000_000
    ticket = Ticket(route="default", id=str(number), due_at=now + int(wait * 1000), attempt=1, first_seen=now)
    return Hold(Delivery(body=body), body, ticket)


def numbers(deliveries: list[Delivery]) -> list[int]:
    return sorted(int(delivery.body) for delivery in deliveries)


def delay_line(url: str, client: Client = "native") -> RabbitMQDelayLine:
    return RabbitMQDelaySettings(type="rabbitmq", url=SecretStr(url), client=client).build("default")


def place_of(url: str) -> Place:
    return Place(connection=ConnectionSettings(url=SecretStr(url)), queue=QUEUE, where="source")


async def cancel_unseen(consumer: Consumer) -> None:
    """Take its consumer away from a session, which goes on without it."""
    subscription = consumer._subscription
    if isinstance(subscription, NativeSubscription):
        subscription._standing.amqp.cancel(CHANNEL, subscription._tag)
        await subscription._standing.call(Cancelled)
    else:
        assert isinstance(subscription, ClientSubscription)
        assert subscription._tag
        await subscription._standing.basic_cancel(subscription._tag)


def source_of(url: str, **more: object) -> RabbitMQSourceSettings:
    return RabbitMQSourceSettings.model_validate({"type": "rabbitmq", "url": url, "queue": QUEUE, **more})


async def test_while_the_broker_blocks_publishers_nothing_is_taken_for_held(
    fresh_broker: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does each try leave a copy behind that arrives when the alarm is over."""
    monkeypatch.setattr(publisher, "CONFIRM_LIMIT", 1.0)
    line = delay_line(fresh_broker.url)
    await line.open()
    await asyncio.to_thread(fresh_broker.alarm, True)
    for _ in range(5):
        with pytest.raises(Unavailable):
            await line.hold([held(1)])
    await asyncio.to_thread(fresh_broker.alarm, False)
    async with asyncio.timeout(30):
        while True:
            try:
                assert await line.hold([held(2)]) == [None]
                break
            except Unavailable:
                await asyncio.sleep(0.1)
    assert numbers(await take(line.due, 2)) == [1, 2]
    assert line.rebuilds == 0
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(line.due.receive(1, 0.0), 0.5)
    await line.close()


async def test_an_alarm_and_dropped_connections_leave_no_part_dead(fresh_broker: Node, client: Client) -> None:
    """The client's robust connection deadlocks here for ever."""
    line = delay_line(fresh_broker.url, client)
    source = source_of(fresh_broker.url, client=client).build("default")
    async with lab(fresh_broker.url) as outside:
        await outside.declare(QUEUE)
    await line.open()
    await source.open()
    receiving = asyncio.create_task(take(source, 1))
    coming = asyncio.create_task(take(line.due, 1))
    await asyncio.to_thread(fresh_broker.alarm, True)
    blocked = asyncio.create_task(line.hold([held(0)]))
    await asyncio.sleep(0.5)
    await asyncio.to_thread(fresh_broker.close_all_connections)
    with pytest.raises(Unavailable):
        await blocked
    await asyncio.to_thread(fresh_broker.alarm, False)
    async with lab(fresh_broker.url) as outside:
        await outside.publish(QUEUE, b"after")
    assert [delivery.body for delivery in await receiving] == [b"after"]
    async with asyncio.timeout(30):
        while True:
            try:
                await line.hold([held(1)])
                break
            except Unavailable:
                await asyncio.sleep(0.1)
    assert len(await coming) == 1
    assert source.rebuilds
    await source.close()
    await line.close()


@pytest.mark.parametrize("how", ["restart", "kill"])
async def test_what_waits_survives_the_broker_while_it_expires(
    how: str, fresh_broker: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # queues younger than two seconds may be lost with their broker
    line = delay_line(fresh_broker.url)
    await line.open()
    items = [held(number, 3.0 + number / 20) for number in range(60)]
    assert await line.hold(items) == [None] * 60
    coming = asyncio.create_task(take(line.due, 60))
    if how == "kill":
        await asyncio.to_thread(fresh_broker.kill)
        await asyncio.to_thread(fresh_broker.start)
    else:
        await asyncio.to_thread(fresh_broker.restart)
    assert numbers(await coming) == list(range(60))
    await line.close()


async def test_copies_come_shortly_before_they_are_due(amqp_url: str) -> None:
    """So that the process, which fires them to the millisecond, only has to wait for a moment."""
    line = delay_line(amqp_url)
    await line.open()
    waits = [0.3 + 5.0 * number / 200 for number in range(200)]
    margins: list[int] = []
    assert await line.hold([held(number, wait) for number, wait in enumerate(waits)]) == [None] * 200
    async with asyncio.timeout(30):
        while len(margins) < 200:
            batch = await line.due.receive(1_000, 0.0)
            now = time.time_ns() // 1_000_000
            margins += [delivery.ticket.due_at - now for delivery in batch if delivery.ticket]
            await settle(line.due, batch)
    assert sorted(margins)[100] > 0
    assert max(margins) < 5_000
    await line.close()


async def test_a_publish_that_nobody_takes_is_told_and_the_way_repaired(broker: Node, vhost: str) -> None:
    line = delay_line(broker.url_of(vhost))
    await line.open()
    async with lab(broker.url_of(vhost)) as outside:
        await outside.channel.queue_delete(LADDER.level(1))
    with pytest.raises(Unavailable, match="no queue"):
        await line.hold([held(1, 3.0), held(2, 3.0)])
    assert await line.hold([held(3, 3.0)]) == [None]
    assert numbers(await take(line.due, 1)) == [3]
    await line.close()


async def test_a_deleted_exchange_is_told_and_repaired_too(amqp_url: str) -> None:
    line = delay_line(amqp_url)
    await line.open()
    async with lab(amqp_url) as outside:
        await outside.channel.exchange_delete(LADDER.level(1))
    with pytest.raises(Unavailable):
        await line.hold([held(1, 3.0)])
    async with asyncio.timeout(30):
        assert await line.hold([held(2, 3.0)]) == [None]
    assert numbers(await take(line.due, 1)) == [2]
    await line.close()


async def test_a_publish_that_the_queue_refuses_is_told(amqp_url: str) -> None:
    settings = RabbitMQDeadLettersSettings(type="rabbitmq", url=SecretStr(amqp_url), topology="off")
    dead = settings.build("default")
    burial = Burial(Delivery(body=b"x"), b"x", "why", "poison")
    async with lab(amqp_url) as outside:
        await outside.channel.exchange_declare(LADDER.dead, exchange_type="fanout", durable=True)
        await outside.declare(LADDER.dead, {"x-max-length": 1, "x-overflow": "reject-publish"})
        await outside.channel.queue_bind(LADDER.dead, LADDER.dead)
    await dead.open()

    async def one_by_one() -> None:
        for _ in range(50):  # the limit is soft, but not that soft
            await dead.bury([burial])

    with pytest.raises(Unavailable, match="refused"):
        await one_by_one()
    assert await dead.purge() >= 1
    await dead.bury([burial])
    await dead.close()


async def test_what_the_broker_finds_too_large_is_told_alone(broker: Node, amqp_url: str) -> None:
    """The limit was 128 MiB, and is 16 MiB since 4.0."""
    line = delay_line(amqp_url)
    await line.open()
    size = (129 if broker.version == "3.10" else 17) << 20
    first, second, third = await line.hold([held(1), held(2, size=size), held(3)])
    assert (first, third) == (None, None)
    assert isinstance(second, TooLarge)
    came: set[int] = set()
    while came != {1, 3}:  # the first may have arrived before its channel was closed, and come twice
        came |= set(numbers(await take(line.due, 1)))
    await line.close()


async def test_a_queue_that_is_deleted_and_made_again_is_consumed_again(
    broker: Node, amqp_url: str, client: Client
) -> None:
    source = source_of(amqp_url, client=client).build("default")
    async with lab(amqp_url) as outside:
        await outside.declare(QUEUE)
        await source.open()
        receiving = asyncio.create_task(take(source, 1))
        await asyncio.sleep(0)
        await outside.channel.queue_delete(QUEUE)
        await until(lambda: not source.connected)
        await asyncio.sleep(1.0)
        assert not receiving.done()
        await outside.declare(QUEUE)
        await outside.publish(QUEUE, b"new")
        assert [delivery.body for delivery in await receiving] == [b"new"]
    assert broker.running
    await source.close()


async def test_what_is_returned_too_often_ends_in_the_dead_letters(amqp_url: str, client: Client) -> None:
    dead = RabbitMQDeadLettersSettings(type="rabbitmq", url=SecretStr(amqp_url)).build("default")
    await dead.open()
    settings = source_of(amqp_url, client=client)
    async with lab(amqp_url) as outside:
        arguments = {**settings.queue_to_declare("default").arguments}
        arguments["x-delivery-limit"] = 3
        await outside.declare(QUEUE, arguments)
        await outside.publish(QUEUE, b"unlucky")
    source = settings.build("default")
    await source.open()
    for _ in range(4):
        [delivery] = await take(source, 1)
        await source.settle([delivery], [Verdict.RETURN])
    async with asyncio.timeout(30):
        while not (found := await dead.browse(1)):  # noqa: ASYNC110  the broker is asked
            await asyncio.sleep(0.1)
    assert (found[0].body, found[0].kind) == (b"unlucky", "returned")
    await source.close()
    await dead.close()


async def test_a_frozen_broker_holds_nobody_up(amqp_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls end at their limit, and closing does although much is written that nobody reads."""
    async with proxy(amqp_url) as wire:
        line = delay_line(wire.url)
        await line.open()
        with monkeypatch.context() as hasty:
            hasty.setattr(publisher, "CONFIRM_LIMIT", 1.0)
            hasty.setattr(connection, "CALL_LIMIT", 1.0)
            hasty.setattr(connection, "CLOSE_LIMIT", 0.5)
            wire.freeze()
            before = time.monotonic()
            with pytest.raises(Unavailable):
                await line.hold([held(1, size=8 << 20)])
            await line.close()
            assert time.monotonic() - before < 15
        wire.thaw()
        await line.open()
        await line.hold([held(2)])
        came: set[int] = set()
        while 2 not in came:  # the first was never confirmed, and may have arrived all the same
            came |= set(numbers(await take(line.due, 1)))
        assert came <= {1, 2}
        await line.close()


async def test_a_consumer_that_went_deaf_is_replaced(amqp_url: str, client: Client) -> None:
    made: list[Consumer] = []
    settings = source_of(amqp_url, client=client, watchdog=0.3)
    source = settings.build("default")
    async with lab(amqp_url) as outside:
        await outside.declare(QUEUE)
        await source.open()
        session = source._session
        assert isinstance(session, Consumer)
        await cancel_unseen(session)
        made.append(session)
        await outside.publish(QUEUE, b"heard")
        assert [delivery.body for delivery in await take(source, 1)] == [b"heard"]
    assert source.rebuilds == 1
    await source.close()


async def test_an_idle_or_busy_queue_is_no_reason_to_replace_anything(amqp_url: str, client: Client) -> None:
    source = source_of(amqp_url, client=client, watchdog=0.2, prefetch=2).build("default")
    async with lab(amqp_url) as outside:
        await outside.declare(QUEUE)
        await source.open()
        await asyncio.sleep(1.0)
        for number in range(5):
            await outside.publish(QUEUE, b"%d" % number)
        got = await take(source, 2)
        await asyncio.sleep(2.0)  # three are ready, and none may come
        await settle(source, got)
        await settle(source, await take(source, 2))
    assert source.rebuilds == 0
    await source.close()


async def test_deliveries_are_bounded_in_bytes(amqp_url: str, client: Client) -> None:
    consumer = Consumer(place_of(amqp_url), appetite=Appetite(256, 1 << 20), client=client)
    async with lab(amqp_url) as outside:
        await outside.declare(QUEUE)
        await consumer.open()
        for _ in range(40):
            await outside.publish(QUEUE, b"x" * 300_000)
        got = 0
        while got < 40:
            batch = await take(consumer, 1)
            await settle(consumer, batch)
            got += len(batch)
        for _ in range(20):
            await outside.publish(QUEUE, b"x" * 300_000)
        await take(consumer, 1)
        with suppress(TimeoutError):
            await asyncio.wait_for(take(consumer, 20), 1.0)
        assert 300_000 <= consumer._appetite.bytes <= 4 * 300_000
    await consumer.close()


async def test_a_cautious_consumer_opens_up_after_the_first_settled_delivery(amqp_url: str, client: Client) -> None:
    consumer = Consumer(place_of(amqp_url), appetite=Appetite(256, cautious=True), client=client)
    async with lab(amqp_url) as outside:
        await outside.declare(QUEUE)
        for number in range(20):
            await outside.publish(QUEUE, b"%d" % number)
        await consumer.open()
        first = await take(consumer, 1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(consumer.receive(1, 0.0), 0.5)
        await settle(consumer, first)
        assert len(await take(consumer, 19)) == 19
    await consumer.close()


async def test_deliveries_that_came_back_often_are_warned_of(
    amqp_url: str, caplog: pytest.LogCaptureFixture, client: Client
) -> None:
    source = source_of(amqp_url, client=client).build("default")
    async with lab(amqp_url) as outside:
        await outside.declare(QUEUE, {"x-delivery-limit": 100})
        await outside.publish(QUEUE, b"again")
    await source.open()
    for _ in range(16):
        [delivery] = await take(source, 1)
        await source.settle([delivery], [Verdict.RETURN])
    await take(source, 1)
    assert [record.message for record in caplog.records].count("delivery_returned_often") == 1
    await source.close()
