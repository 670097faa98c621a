"""Records of Kafka that are too large for the dead letters of a RabbitMQ."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from bridge.deadletters.rabbitmq import RabbitMQDeadLettersSettings
from bridge.errors import Unavailable
from bridge.model import Burial, Delivery
from bridge.rabbitmq import topology
from devtools.node import Node
from tests.contract.dead_letters import burial


async def test_of_what_kafka_keeps_the_beginning_will_do(
    broker: Node, amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit was 128 MiB, and is 16 MiB since 4.0."""
    monkeypatch.setattr(topology, "NEWBORN", 0.0)  # nobody kills this broker
    body = bytes((129 if broker.version == "3.10" else 17) << 20)
    graves = RabbitMQDeadLettersSettings(type="rabbitmq", url=SecretStr(amqp_url)).build("default")
    await graves.open()
    with pytest.raises(Unavailable, match="do not take an event"):
        await graves.bury([Burial(Delivery(body=body), body, "too large", "poison")])
    record = Delivery(body=body, headers={"a": b"1"}, key=b"k", position="orders/3/42")
    await graves.bury([burial(0), Burial(record, body, "too large", "poison", event_id="large")])
    found = {each.event_id: each for each in await graves.browse(9)}
    cut = found["large"]
    assert (cut.truncated, cut.body) == (len(body), bytes(65_536))
    assert (cut.delivery.position, cut.delivery.key, cut.delivery.headers) == ("orders/3/42", b"k", {"a": b"1"})
    assert found["id-0"].truncated is None
    await graves.close()
