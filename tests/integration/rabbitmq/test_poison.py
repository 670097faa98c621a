"""Properties that RabbitMQ passes on and clients choke on: all are received, held and buried like others."""

from __future__ import annotations

import pytest
from aiormq.exceptions import AMQPError

from bridge.core.ladder import Ladder
from bridge.deadletters.rabbitmq import RabbitMQDeadLettersSettings
from bridge.delays.rabbitmq import RabbitMQDelaySettings
from bridge.model import Burial, Hold, Ticket
from bridge.rabbitmq.options import Client
from bridge.sources.rabbitmq import RabbitMQSourceSettings
from devtools.rabbitmq import Node
from tests.integration.rabbitmq.lab import POISON, lab, settle, take

QUEUE = "events"


@pytest.mark.parametrize("poison", POISON)
async def test_a_poison_property_stops_nothing(poison: str, broker: Node, amqp_url: str, client: Client) -> None:
    settings = RabbitMQSourceSettings(type="rabbitmq", url=amqp_url, queue=QUEUE, prefetch=1, client=client)
    source = settings.build("default")
    async with lab(amqp_url) as publisher:
        await publisher.declare(QUEUE)
        await source.open()
        try:
            await publisher.publish(QUEUE, b"poison", POISON[poison])
        except AMQPError:
            assert broker.version == "3.10"
            assert "mode" in poison  # only 3.10 refuses modes that do not exist
            await source.close()
            return
        await publisher.publish(QUEUE, b"good")
    bodies = []
    for _ in range(2):
        [delivery] = await take(source, 1)
        bodies.append(delivery.body)
        await settle(source, [delivery])
    assert bodies == [b"poison", b"good"]
    assert source.rebuilds == 0
    await source.close()


async def test_whatever_was_received_can_be_held_and_buried(broker: Node, amqp_url: str, client: Client) -> None:
    settings = RabbitMQSourceSettings(type="rabbitmq", url=amqp_url, queue=QUEUE, topology="declare", client=client)
    source = settings.build("default")
    delay = RabbitMQDelaySettings(type="rabbitmq").build("default", settings)
    dead = RabbitMQDeadLettersSettings(type="rabbitmq").build("default", settings)
    for part in (source, delay, dead):
        await part.open()
    accepted = [name for name in POISON if "mode" not in name]
    async with lab(amqp_url) as publisher:
        for name in accepted:
            await publisher.publish(QUEUE, name.encode(), POISON[name])
    received = await take(source, len(accepted))
    for delivery in received:
        ticket = Ticket(route="default", id=delivery.body.decode(), due_at=0, attempt=1, first_seen=0)
        assert await delay.hold([Hold(delivery, delivery.body, ticket)]) == [None], delivery.body
        await dead.bury([Burial(delivery, delivery.body, reason="test", kind="poison")])
    copies = await take(delay.due, len(accepted))
    assert sorted(copy.body.decode() for copy in copies) == sorted(accepted)
    by_body = {delivery.body: delivery for delivery in received}
    for copy in copies:
        first = by_body[copy.body]
        assert copy.ticket is not None
        assert copy.ticket.id == copy.body.decode()
        assert (copy.message_id, copy.timestamp) == (first.message_id, first.timestamp)
        if b"125,000" not in copy.body and b"5,000" not in copy.body:
            assert copy.headers == first.headers, copy.body
    assert delay.rebuilds == dead.rebuilds == source.rebuilds == 0
    assert broker.depths(amqp_url.rpartition("/")[2])[Ladder("bridge").dead] == (len(accepted), 0)
    for part in (source, delay, dead):
        await part.close()
