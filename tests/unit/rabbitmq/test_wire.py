"""Tickets, burials and properties as AMQP sees them."""

from __future__ import annotations

from typing import Any

import pytest
from aiormq.abc import DeliveredMessage
from hypothesis import given
from hypothesis import strategies as st
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from bridge.model import Burial, Delivery, Hold, Shape, Stage, Ticket
from bridge.rabbitmq import decoders, encoders, wire

decoders.install()
encoders.install()

TICKET = Ticket(route="orders", id="id-1", due_at=1_763_690_000_000, attempt=2, first_seen=1, gen=3, reason="HTTP 503")


def received(properties: Basic.Properties, body: bytes = b"{}") -> DeliveredMessage:
    """What the client would deliver."""
    channel: Any = None  # nothing is asked of it
    deliver = Basic.Deliver(delivery_tag=1, routing_key="the queue's")
    return DeliveredMessage(delivery=deliver, header=ContentHeader(properties=properties), body=body, channel=channel)


def back(delivery: Delivery, ticket: Ticket = TICKET) -> Delivery:
    """A delivery after it was held and came due."""
    body, properties = wire.held(Hold(delivery, delivery.body, ticket))
    return wire.due_delivery_of(received(properties, body), "rabbitmq:due", None)


def test_publishers_cannot_forge_a_ticket() -> None:
    _, properties = wire.held(Hold(Delivery(body=b""), b"", TICKET))
    delivery = wire.delivery_of(received(properties), "rabbitmq:orders", "token")
    assert (delivery.ticket, delivery.stage, delivery.attempt) == (None, Stage.INTAKE, 1)


def test_what_a_publisher_puts_under_our_names_does_not_come_back() -> None:
    forged = {"x-bridge-id": "other", "x-bridge-attempt": 99, "x-bridge-new": 1, "x-bridgehead": 1}
    copy = back(Delivery(body=b"", headers=forged))
    assert copy.ticket == TICKET
    assert copy.headers == {"x-bridgehead": 1}


@pytest.mark.parametrize(
    "name",
    ["x-death", "x-first-death-queue", "x-last-death-reason", "x-delivery-count", "x-acquired-count", "CC", "BCC"],
)
def test_traces_of_an_earlier_trip_are_not_sent_again(name: str) -> None:
    _, properties = wire.held(Hold(Delivery(body=b"", headers={name: "x", "keep": 1}), b"", TICKET))
    assert name not in (properties.headers or {})
    assert (properties.headers or {})["keep"] == 1


def test_each_publish_has_an_id_of_its_own_and_is_persistent() -> None:
    made = [wire.held(Hold(Delivery(body=b"", message_id="same"), b"", TICKET))[1] for _ in range(3)]
    assert len({properties.message_id for properties in made} | {"same"}) == 4
    assert {properties.delivery_mode for properties in made} == {2}


def test_nothing_that_acts_is_sent_again() -> None:
    """An expiration would end the wait, a user id would be refused, a reply-to would be answered."""
    given = {"expiration": "10", "user_id": "somebody", "reply_to": "amq.rabbitmq.reply-to", "correlation_id": "c"}
    for _, properties in (
        wire.held(Hold(Delivery(body=b"", properties=given), b"", TICKET)),
        wire.buried(Burial(Delivery(body=b"", properties=given), b"", "why", "poison"), now=1),
    ):
        assert (properties.expiration, properties.user_id, properties.reply_to) == (None, None, None)
    assert properties.correlation_id == "c"
    assert back(Delivery(body=b"", properties=given)).properties == given


tickets = st.builds(
    Ticket,
    route=st.text(min_size=1, max_size=20),
    id=st.text(min_size=1, max_size=600),
    due_at=st.integers(0, 2**50),
    attempt=st.integers(1, 1_000),
    first_seen=st.integers(0, 2**50),
    gen=st.integers(0, 1_000),
    shape=st.sampled_from(Shape),
    reason=st.text(max_size=1_000),
    origin=st.text(min_size=1, max_size=30),
    event_due=st.none() | st.integers(0, 2**50),
)


@given(tickets)
def test_a_ticket_survives_the_trip(ticket: Ticket) -> None:
    _, properties = wire.held(Hold(Delivery(body=b""), b"", ticket))
    properties.headers = decoders.table(encoders.table(properties.headers))[1]
    assert wire.due_delivery_of(received(properties), "rabbitmq:due", None).ticket == ticket


@pytest.mark.parametrize("spoilt", ["id", "due-at", "attempt", "first-seen", "gen", "shape", "route"])
@pytest.mark.parametrize("value", [None, "NaN", True, b"\xff"])
def test_a_copy_whose_ticket_is_spoilt_has_none(spoilt: str, value: object) -> None:
    _, properties = wire.held(Hold(Delivery(body=b""), b"", TICKET))
    headers: dict[str, Any] = dict(properties.headers or {})
    if value is None:
        del headers[f"x-bridge-{spoilt}"]
    elif spoilt in {"id", "route"}:
        headers[f"x-bridge-{spoilt}"] = 7
    else:
        headers[f"x-bridge-{spoilt}"] = value
    properties.headers = headers
    copy = wire.due_delivery_of(received(properties), "rabbitmq:due", None)
    assert (copy.ticket, copy.stage) == (None, Stage.DUE)


@pytest.mark.parametrize("room", [100_000, 20_000, 3_000])
def test_headers_that_do_not_fit_give_way_to_ours(room: int) -> None:
    theirs = {f"h{number}": "x" * 10 * number for number in range(300)}
    _, properties = wire.held(Hold(Delivery(body=b"", headers=theirs), b"", TICKET))
    dropped = wire.slim(properties, room)
    assert dropped
    assert len(properties.marshal()) <= room
    copy = wire.due_delivery_of(received(properties), "rabbitmq:due", None)
    assert copy.ticket == TICKET
    assert copy.headers == {name: value for name, value in theirs.items() if name not in dropped}


def test_headers_that_fit_are_left_alone() -> None:
    _, properties = wire.held(Hold(Delivery(body=b"", headers={"a": 1}), b"", TICKET))
    before = dict(properties.headers or {})
    assert wire.slim(properties, 100_000) == []
    assert properties.headers == before


def test_more_headers_than_are_read_back_give_way_too() -> None:
    theirs = dict.fromkeys((f"h{number}" for number in range(decoders.MAX_ITEMS)), 1)
    _, properties = wire.held(Hold(Delivery(body=b"", headers=theirs), b"", TICKET))
    wire.slim(properties, 100_000)
    properties.headers = decoders.table(encoders.table(properties.headers))[1]
    assert wire.due_delivery_of(received(properties), "rabbitmq:due", None).ticket == TICKET


def test_a_dead_letter_that_the_broker_brought_is_told_from_ours() -> None:
    found = wire.exhumed(received(Basic.Properties(headers={"x-delivery-count": 101, "a": 1})), "rabbitmq:dead")
    assert (found.kind, found.delivery.headers, found.buried_at) == ("returned", {"a": 1}, None)
    assert "too many returns" in found.reason


def test_a_dead_letter_with_spoilt_facts_can_still_be_read() -> None:
    headers: dict[str, Any] = {
        "x-bridge-dlq-attempts": "many",
        "x-bridge-dlq-shape": 7,
        "x-bridge-dlq-buried-at": b"\xff",
    }
    found = wire.exhumed(received(Basic.Properties(headers=headers)), "rabbitmq:dead")
    assert (found.attempts, found.shape, found.buried_at) == (0, Shape.ORIGINAL, None)
