"""The guide names every header that a dead letter may have, with either broker."""

from __future__ import annotations

import pytest

from bridge.core.pairs import Pairs
from bridge.kafka import wire as kafka
from bridge.model import Burial, Delivery
from bridge.rabbitmq import wire as rabbitmq
from tests.unit.markdown import paper, ticked

GUIDE = paper("docs/operations.md")
NAMED = {name for row in GUIDE.table("header, behind `x-bridge-dlq-`") for name in ticked(row[0])}

FULL = Delivery(
    body=b"{}",
    headers={"text": "of AMQP"},
    origin="rabbitmq:orders",
    message_id="m",
    content_type="text/plain",
    routing_key="orders",
    timestamp=1.5,
    key=b"k",
    position="orders/0/1",
    properties={"expiration": "1", "user_id": "u", "reply_to": "r", "priority": 1},
)
BINARY = Delivery(body=b"", headers={"a": b"1"})
REPEATED = Delivery(body=b"", headers=Pairs([("a", b"1"), ("a", b"2")]))


def written(delivery: Delivery) -> dict[str, set[str]]:
    """The names of our own headers, by broker."""
    item = Burial(
        delivery, b"", "why", "poison", event_id="e", name="n", attempts=1, first_seen=1, route="default", truncated=9
    )
    _, _, pairs = kafka.buried(item, 7)
    _, properties = rabbitmq.buried(item, 7)
    found = {"kafka": {name for name, _ in pairs}, "rabbitmq": set(properties.headers or ())}
    return {
        broker: {name.removeprefix(kafka.DLQ) for name in names if name.startswith(kafka.DLQ)}
        for broker, names in found.items()
    }


@pytest.mark.parametrize("broker", ["kafka", "rabbitmq"])
def test_every_header_is_named(broker: str) -> None:
    for delivery in (FULL, BINARY, REPEATED):
        assert written(delivery)[broker] - NAMED == set()


def test_every_name_is_that_of_a_header() -> None:
    assert {name for each in (FULL, BINARY, REPEATED) for names in written(each).values() for name in names} == NAMED


def test_what_is_left_out_is_named() -> None:
    assert f"`{rabbitmq.DROPPED}`" in GUIDE.text
