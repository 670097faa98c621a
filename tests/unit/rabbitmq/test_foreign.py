"""Records of Kafka that are held or buried at a RabbitMQ."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.pairs import Pair, Pairs, mapping_of, pairs_of
from bridge.model import Burial, Delivery, Hold
from bridge.rabbitmq import decoders, encoders, wire
from tests.unit.rabbitmq.test_wire import TICKET, received

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=300) | st.sampled_from(["CC", "x-death", "", "a"])
pairs = st.lists(st.tuples(names, st.none() | st.binary(max_size=40)), max_size=8).map(
    lambda found: [pair for pair in found if not pair[0].startswith("x-bridge-")]
)
deliveries = st.builds(
    lambda found, **facts: Delivery(body=b"", headers=mapping_of(found), **facts),
    pairs,
    key=st.none() | st.binary(max_size=40),
    position=st.none() | st.just("orders/3/42"),
    timestamp=st.none() | st.integers(0, 2**62).map(lambda ms: ms / 1000),
    routing_key=st.just("orders"),
)


def sent(properties: Any) -> Any:
    """The properties after they went over the wire."""
    if properties.timestamp is not None:
        assert properties.timestamp.microsecond == 0
    properties.headers = decoders.table(encoders.table(properties.headers))[1]
    return properties


def back(delivery: Delivery) -> Delivery:
    _, properties = wire.held(Hold(delivery, b"", TICKET))
    return wire.due_delivery_of(received(sent(properties)), "rabbitmq:due", None)


def dug_up(delivery: Delivery) -> Delivery:
    _, properties = wire.buried(Burial(delivery, b"", "why", "poison"), now=1)
    return wire.exhumed(received(sent(properties)), "rabbitmq:dead").delivery


def same(found: Delivery, delivery: Delivery) -> bool:
    facts = ("key", "position", "timestamp", "routing_key", "content_type")
    assert [getattr(found, name) for name in facts] == [getattr(delivery, name) for name in facts]
    return list(pairs_of(found.headers)) == list(pairs_of(delivery.headers))


@given(deliveries)
def test_a_record_comes_back_as_it_was(delivery: Delivery) -> None:
    assert same(back(delivery), delivery)
    assert same(back(back(delivery)), delivery)


@given(deliveries)
def test_a_record_is_dug_up_as_it_was(delivery: Delivery) -> None:
    assert same(dug_up(delivery), delivery)


def test_plain_headers_of_a_record_can_be_read_by_people() -> None:
    delivery = Delivery(body=b"", headers={"städte": "Köln".encode(), "raw": b"\xff"}, key=b"k")
    _, properties = wire.held(Hold(delivery, b"", TICKET))
    headers = sent(properties).headers
    assert (headers["städte"], headers["raw"], headers["x-bridge-key"]) == ("Köln", b"\xff", "k")


def test_names_that_make_rabbitmq_act_are_not_sent_as_headers() -> None:
    delivery = Delivery(body=b"", headers={"CC": b"elsewhere", "BCC": b"too", "a": b"1"})
    for properties in (
        wire.held(Hold(delivery, b"", TICKET))[1],
        wire.buried(Burial(delivery, b"", "why", "poison"), now=1)[1],
    ):
        assert not {"CC", "BCC"} & set(properties.headers or {})


def large(count: int, size: int) -> list[Pair]:
    return [("a", b"x" * size if number else b"") for number in range(count)]


@pytest.mark.parametrize(("count", "size"), [(300, 500), (30, 5_000), (3_000, 1), (2, 200_000)])
def test_pairs_that_do_not_fit_give_way_to_ours(count: int, size: int) -> None:
    delivery = Delivery(body=b"", headers=Pairs(large(count, size)), key=b"k")
    _, properties = wire.held(Hold(delivery, b"", TICKET))
    dropped = wire.slim(properties, 100_000)
    assert dropped
    assert len(properties.marshal()) <= 100_000
    copy = wire.due_delivery_of(received(sent(properties)), "rabbitmq:due", None)
    assert (copy.ticket, copy.key) == (TICKET, b"k")
    assert len(pairs_of(copy.headers)) == count - len(dropped)


def test_a_key_goes_last_when_nothing_else_makes_room() -> None:
    delivery = Delivery(body=b"", headers={"a": b"1"}, key=b"k" * 200_000)
    _, properties = wire.held(Hold(delivery, b"", TICKET))
    assert wire.slim(properties, 100_000) == ["a", "x-bridge-key"]
    copy = wire.due_delivery_of(received(sent(properties)), "rabbitmq:due", None)
    assert (copy.ticket, copy.key) == (TICKET, None)


def test_forged_headers_of_ours_give_way_in_dead_letters_too() -> None:
    """A dead letter keeps what a publisher put under our names, and that alone can fill a frame."""
    item = Burial(Delivery(body=b"", headers={"x-bridge-id": "x" * 130_000}), b"", "why", "poison")
    _, properties = wire.buried(item, now=1)
    assert wire.slim(properties, 100_000) == ["x-bridge-id"]
    assert wire.exhumed(received(sent(properties)), "rabbitmq:dead").reason == "why"


@pytest.mark.parametrize("spoilt", ["no list", [1, []], {"a": 1}])
def test_pairs_that_cannot_be_read_are_no_headers(spoilt: object) -> None:
    _, properties = wire.held(Hold(Delivery(body=b"", headers=Pairs([("a", b"1"), ("a", b"2")])), b"", TICKET))
    headers: dict[str, Any] = dict(properties.headers or {})
    headers["x-bridge-pairs"] = spoilt
    properties.headers = headers
    assert wire.due_delivery_of(received(sent(properties)), "rabbitmq:due", None).headers == {}
