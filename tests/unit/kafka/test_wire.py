"""Tickets, burials and deliveries of both brokers, as records of Kafka."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from aiokafka.structs import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.pairs import Pairs, mapping_of
from bridge.kafka import wire
from bridge.model import Burial, Delivery, Hold, Shape, Stage, Ticket
from tests.unit.kafka.records import received

TICKET = Ticket(route="orders", id="id-1", due_at=1_763_690_000_000, attempt=2, first_seen=1, gen=3, reason="HTTP 503")

text = st.text(max_size=30)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).filter(
    lambda name: not name.startswith("x-bridge-")
)
kafka_pairs = st.lists(st.tuples(names, st.none() | st.binary(max_size=40)), max_size=8)
zones = st.just(UTC) | st.just(timezone(timedelta(hours=5, minutes=45)))
moments = st.datetimes(timezones=zones).map(lambda moment: moment.replace(fold=0))
decimals = st.decimals(allow_nan=False)
plain = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.floats(allow_nan=False), text, st.binary(max_size=20),
    decimals, moments,
)  # fmt: skip
amqp_values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=8
)
amqp_headers = st.dictionaries(names, amqp_values, max_size=6)
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


def delivered(record: ConsumerRecord[bytes, bytes], owner: object = None) -> Delivery:
    [delivery] = wire.deliveries_of([record], (record.topic, record.partition), owner)
    return delivery


kafka_deliveries = st.builds(
    lambda key, body, pairs, stamp: delivered(received(key, body, pairs, timestamp=stamp)),
    st.none() | st.binary(max_size=20),
    st.binary(max_size=50),
    kafka_pairs,
    st.integers(0, 2**50),
)
amqp_deliveries = st.builds(
    Delivery,
    body=st.binary(max_size=50),
    headers=amqp_headers,
    message_id=st.none() | st.text(min_size=1, max_size=20),
    content_type=st.none() | st.text(min_size=1, max_size=20),
    routing_key=text,
    timestamp=st.none() | st.floats(0, 2**40),
    properties=st.dictionaries(st.sampled_from(["correlation_id", "priority", "user_id"]), text | st.integers(0, 9)),
)
SAID = ("body", "headers", "message_id", "content_type", "routing_key", "timestamp", "properties", "key", "position")


def said(delivery: Delivery) -> dict[str, object]:
    return {name: getattr(delivery, name) for name in SAID}


def back(delivery: Delivery, ticket: Ticket = TICKET) -> Delivery:
    """A delivery after it was held and came due."""
    record = received(*wire.held(Hold(delivery, delivery.body, ticket)), topic="bridge.delay.v1.0000001")
    return wire.due_delivery_of(record, "kafka:due", None)


def dug_up(delivery: Delivery) -> Burial:
    item = Burial(delivery, delivery.body, "why", "poison")
    return wire.exhumed(received(*wire.buried(item, 7), topic="bridge.dead.v1"))


def test_a_delivery_says_what_its_record_says() -> None:
    pairs = [("content-type", b"application/json"), ("a", b"1"), ("a", None), ("raw", b"\xff")]
    delivery = delivered(received(b"k", b"{}", pairs), owner="books")
    assert delivery == Delivery(
        body=b"{}",
        headers=Pairs(pairs),
        token=("books", 42),
        origin="kafka:orders",
        timestamp=1_763_690_000.123,
        content_type="application/json",
        routing_key="orders",
        key=b"k",
        position="orders/3/42",
    )
    assert (delivery.headers["a"], delivery.headers.get("b")) == (None, None)


def test_a_record_that_says_nothing_is_a_delivery_that_says_nothing() -> None:
    assert delivered(received(None, None, [], timestamp=-1)) == Delivery(
        body=b"", token=(None, 42), origin="kafka:orders", routing_key="orders", position="orders/3/42"
    )


def test_a_record_without_a_value_is_an_empty_body() -> None:
    assert delivered(received(b"k", None, [])).body == b""


@pytest.mark.parametrize("raw", [b"\xff", "\ud83d".encode("utf-8", "surrogatepass")])
def test_a_content_type_that_is_no_text_can_be_sent_on_all_the_same(raw: bytes) -> None:
    delivery = delivered(received(None, b"", [("content-type", raw)]))
    assert (delivery.content_type or "").encode().startswith(b"\\x")


def test_publishers_cannot_forge_a_ticket() -> None:
    record = received(*wire.held(Hold(Delivery(body=b""), b"", TICKET)))
    delivery = delivered(record)
    assert (delivery.ticket, delivery.stage, delivery.attempt) == (None, Stage.INTAKE, 1)


def test_what_a_publisher_puts_under_our_names_does_not_come_back() -> None:
    forged = mapping_of([("x-bridge-id", b"other"), ("x-bridge-attempt", b"99"), ("x-bridgehead", b"1")])
    copy = back(Delivery(body=b"", headers=forged))
    assert copy.ticket == TICKET
    assert copy.headers == {"x-bridgehead": b"1"}


def test_text_of_an_amqp_delivery_can_be_read_by_people() -> None:
    _, _, headers = wire.held(
        Hold(Delivery(body=b"", headers={"städte": "Köln", "n": 7, "at": {"x": [1]}}), b"", TICKET)
    )
    assert {"städte": "Köln".encode(), "n": b"7", "at": b'{"x": [1]}'}.items() <= dict(headers).items()


def test_pairs_of_kafka_travel_as_they_are() -> None:
    pairs = [("b", b"\xff"), ("a", b"1"), ("b", None), ("a", b"1"), ("", b"")]
    delivery = delivered(received(b"k", b"v", pairs))
    for key, value, headers in (
        wire.held(Hold(delivery, b"v", TICKET)),
        wire.buried(Burial(delivery, b"v", "why", "poison"), 1),
    ):
        assert (key, value) == (b"k", b"v")
        assert [pair for pair in headers if not pair[0].startswith("x-bridge-")] == pairs


@given(tickets)
def test_a_ticket_survives_the_trip(ticket: Ticket) -> None:
    record = received(*wire.held(Hold(Delivery(body=b""), b"", ticket)))
    assert wire.ticket_of(record) == ticket
    assert wire.due_at_of(record) == ticket.due_at
    assert wire.due_delivery_of(record, "kafka:due", None).origin == ticket.origin


@given(kafka_deliveries | amqp_deliveries)
def test_what_is_held_comes_back_as_it_was(delivery: Delivery) -> None:
    copy = back(delivery)
    assert said(copy) == said(delivery)
    assert said(back(copy)) == said(delivery)


@given(kafka_deliveries | amqp_deliveries)
def test_what_is_buried_is_dug_up_as_it_was(delivery: Delivery) -> None:
    assert said(dug_up(delivery).delivery) == said(delivery)


@given(amqp_headers)
def test_types_of_amqp_come_back_as_those_types(headers: dict[str, object]) -> None:
    assert repr(back(Delivery(body=b"", headers=headers)).headers) == repr(headers)


@pytest.mark.parametrize(
    "value",
    [
        {"$bytes": "no bytes"},
        {"$table": {"$time": 1}},
        {"a": b"\xff", "b": [bytearray(b"x"), Decimal("1.50"), datetime(2026, 1, 2, tzinfo=UTC)]},
        float("inf"),
        "\ud83d",
        "",
        b"",
        bytearray(b"\x00\xff"),
    ],
    ids=repr,
)
def test_strange_values_come_back(value: object) -> None:
    assert back(Delivery(body=b"", headers={"strange": value})).headers == {"strange": value}


@pytest.mark.parametrize("spoilt", ["id", "due-at", "attempt", "first-seen", "gen", "shape", "route"])
@pytest.mark.parametrize("value", [None, b"", b"1_0", b"\xff", b" 1", b"1e3", b"9" * 30])
def test_a_copy_whose_ticket_is_spoilt_has_none(spoilt: str, value: bytes | None) -> None:
    if spoilt in {"id", "route"} and value not in {None, b"", b"\xff"}:
        value = None
    key, body, headers = wire.held(Hold(Delivery(body=b""), b"", TICKET))
    spoiling = [(name, value if name == f"x-bridge-{spoilt}" else given) for name, given in headers]
    copy = wire.due_delivery_of(received(key, body, spoiling), "kafka:due", None)
    assert (copy.ticket, copy.stage) == (None, Stage.DUE)


def test_a_record_that_was_never_held_has_no_ticket_and_is_never_due() -> None:
    record = received(None, b"?", [("x-bridge-types", b"[1"), ("a", b"1")])
    assert (wire.ticket_of(record), wire.due_at_of(record)) == (None, None)
    assert wire.due_delivery_of(record, "kafka:due", None).headers == {"a": b"1"}


def test_a_header_whose_kind_is_spoilt_stays_bytes() -> None:
    pairs = [("x-bridge-types", b'{"a": "int", "b": "none such", "c": "json", "d": "time"}')]
    pairs += [("a", b"x"), ("b", b"2"), ("c", b'{"$decimal": 5}'), ("d", b"yesterday")]
    copy = wire.due_delivery_of(received(None, b"", pairs), "kafka:due", None)
    assert copy.headers == {"a": b"x", "b": b"2", "c": Decimal(5), "d": b"yesterday"}


def test_a_dead_letter_that_somebody_else_brought_is_told_from_ours() -> None:
    found = wire.exhumed(received(b"k", b"v", [("a", b"1")], topic="bridge.dead.v1"))
    assert (found.kind, found.delivery.headers, found.buried_at, found.body) == ("foreign", {"a": b"1"}, None, b"v")


def test_a_dead_letter_with_spoilt_facts_can_still_be_read() -> None:
    spoilt = [
        ("kind", b"poison"),
        ("attempts", b"many"),
        ("shape", b"\xff"),
        ("buried-at", b"\xff"),
        ("properties", b"7"),
    ]
    spoilt += [("timestamp", b"noon"), ("reason", b"\xff"), ("types", b"{")]
    found = wire.exhumed(received(None, b"", [(wire.DLQ + name, value) for name, value in spoilt]))
    assert (found.attempts, found.shape, found.buried_at, found.reason) == (0, Shape.ORIGINAL, None, "\\xff")
    assert (found.delivery.timestamp, found.delivery.properties) == (None, {})


def test_the_beginning_of_what_is_too_large_says_how_large_it_was() -> None:
    record = received(b"k", b"\x01" * 100_000, [("a", b"1")])
    item = Burial(delivered(record), b"\x01" * 100_000, "too large", "poison", event_id="i")
    found = wire.exhumed(received(*wire.stub(item, 7, 40_000)))
    assert (found.truncated, found.body) == (100_000, b"\x01" * 10_000)
    assert (found.delivery.headers, found.delivery.key, found.delivery.position) == ({"a": b"1"}, b"k", "orders/3/42")
    assert replace(item, delivery=found.delivery, body=found.body, buried_at=7, truncated=100_000) == found


@given(st.integers(0, 300_000), st.integers(0, 300_000), st.integers(0, 300_000))
def test_the_beginning_fits_whatever_is_large(body: int, key: int, header: int) -> None:
    delivery = delivered(received(b"k" * key, b"v" * body, [("h", b"h" * header)]))
    room = 32_768
    got, value, headers = wire.stub(Burial(delivery, delivery.body, "r" * 5_000, "poison"), 7, room)
    assert len(got or b"") + len(value) + sum(len(name) + len(text or b"") + 10 for name, text in headers) < room
    assert value == delivery.body[: len(value)]
