"""Deliveries, one by one: what they carry, and what is refused."""

from __future__ import annotations

import tracemalloc

import pytest

from bridge.amqp.connection import Connection
from bridge.amqp.deliveries import MAX_BODY
from bridge.amqp.events import Delivered
from bridge.amqp.frames import Inbox, ProtocolError
from tests.unit.amqp import broker


def fed(connection: Connection, data: bytes, step: int) -> list[object]:
    """All events of this data, in reads of this size."""
    return [event for at in range(0, len(data), step) for event in connection.receive_data(data[at : at + step])]


@pytest.mark.parametrize("step", [1, 10_000])
def test_a_delivery_is_as_it_was_sent(step: int) -> None:
    key = "straße".encode()
    sent = b"".join(broker.delivery(1, 7, b"body", broker.TEXT_ONLY, exchange=b"events", routing_key=key))
    expected = Delivered(1, "ctag", 7, False, "events", "straße", b"body", broker.TEXT_ONLY)
    assert fed(broker.opened(1), sent * 3, step) == [expected] * 3


@pytest.mark.parametrize("step", [1, 10_000])
def test_a_redelivery_says_so(step: int) -> None:
    parts = b"".join([broker.deliver(redelivered=1), broker.header(1, 1), *broker.body(1, b"x")])
    found = fed(broker.opened(1), parts * 2, step)
    assert [event.redelivered for event in found if isinstance(event, Delivered)] == [True, True]


def test_names_that_are_no_utf_8_are_kept_escaped() -> None:
    sent = b"".join(broker.delivery(tag=b"\xfe", exchange=b"\xff", routing_key=b"a\x80"))
    for found in fed(broker.opened(1), sent * 2, 10_000):
        assert isinstance(found, Delivered)
        assert (found.consumer_tag, found.exchange, found.routing_key) == ("\\xfe", "\\xff", "a\\x80")


def test_a_body_may_be_empty() -> None:
    sent = b"".join(broker.delivery(content=b"")) + b"".join(broker.delivery(content=b"next"))
    assert [event.body for event in fed(broker.opened(1), sent, 10_000) if isinstance(event, Delivered)] == [
        b"",
        b"next",
    ]


def test_a_body_may_come_in_many_frames() -> None:
    content = bytes(range(256)) * 2_000
    sent = b"".join(broker.delivery(content=content, room=1_000))
    [found] = fed(broker.opened(1), sent, 4_096)
    assert isinstance(found, Delivered)
    assert found.body == content


def test_frames_of_two_channels_may_alternate() -> None:
    one, two = broker.delivery(1, 1, b"one" * 10, room=10), broker.delivery(2, 1, b"two" * 10, room=10)
    sent = b"".join(part for pair in zip(one, two, strict=True) for part in pair)
    assert [event.body for event in fed(broker.opened(1, 2), sent, 10_000) if isinstance(event, Delivered)] == [
        b"one" * 10,
        b"two" * 10,
    ]


def test_more_routing_keys_than_are_remembered_are_all_right_and_not_kept() -> None:
    keys = [b"key.%d" % number for number in range(3_000)]
    sent = b"".join(part for key in keys for part in broker.delivery(routing_key=key))
    connection = broker.opened(1)
    found = fed(connection, sent, 65_536)
    assert [event.routing_key.encode() for event in found if isinstance(event, Delivered)] == keys
    assert len(connection._deliveries._backs) <= 1_024


def test_more_consumers_than_are_remembered_are_all_right_and_not_kept() -> None:
    tags = [b"ctag-%d" % number for number in range(3_000)]
    sent = b"".join(part for tag in tags for part in broker.delivery(tag=tag))
    connection = broker.opened(1)
    found = fed(connection, sent, 65_536)
    assert len(connection._deliveries._fronts) <= 1_024
    assert [event.consumer_tag.encode() for event in found if isinstance(event, Delivered)] == tags


@pytest.mark.parametrize("step", [1, 10_000])
def test_a_body_above_the_limit_ends_the_connection(step: int) -> None:
    known = b"".join(broker.delivery(content=b"x" * 10))
    connection = broker.opened(1, max_body=10)
    assert len(fed(connection, known * 2, step)) == 2
    with pytest.raises(ProtocolError, match="11 bytes is announced, more than 10"):
        fed(connection, b"".join(broker.delivery(content=b"x" * 11)), step)


def test_what_is_announced_takes_no_memory() -> None:
    connection = broker.opened(1)
    begun = broker.deliver() + broker.header(1, MAX_BODY)
    lead = b"\x03\x00\x01\x00\x01\xff\xf8"
    tracemalloc.start()
    try:
        assert connection.receive_data(begun + lead) == []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000


@pytest.mark.parametrize("step", [100, 1_000, 70_000])
def test_each_octet_is_looked_at_a_few_times_however_small_the_reads(
    step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body of 4 MiB in reads of 100 bytes must not be joined again with each of them."""
    joined = 0
    take = Inbox.take

    def counted(inbox: Inbox, data: bytes) -> bytes:
        nonlocal joined
        whole = take(inbox, data)
        joined += len(whole)
        return whole

    monkeypatch.setattr(Inbox, "take", counted)
    connection = broker.opened(1)
    sent = b"".join(broker.delivery(content=b"x" * 4_194_304))
    joined = 0
    assert len(fed(connection, sent, step)) == 1
    assert joined <= 3 * len(sent)


KNOWN = b"".join(broker.delivery())
REST = broker.header(1, 1) + broker.frame(3, 1, b"x")
BAD = {
    "a delivery within another": broker.deliver() + KNOWN,
    "properties without a delivery": broker.header(1, 1),
    "properties twice": broker.deliver() + broker.header(1, 1) * 2,
    "a body without a delivery": broker.frame(3, 1, b"x"),
    "a body without properties": broker.deliver() + broker.frame(3, 1, b"x"),
    "a body in place of properties": broker.deliver() + b"\x03" + REST[1:],
    "a body that is too long": broker.deliver() + broker.header(1, 1) + broker.frame(3, 1, b"xx"),
    "a method within a delivery": broker.deliver() + broker.method(1, 60, 11),
    "properties of another class": broker.deliver() + broker.header(1, 1, of_class=50) + broker.frame(3, 1, b"x"),
    "properties cut short": broker.deliver() + broker.frame(2, 1, b"\x00\x3c\x00\x00"),
    "properties without flags": broker.deliver() + broker.header(1, 1, b"") + broker.frame(3, 1, b"x"),
    "a basic.deliver cut short": broker.method(1, 60, 60, b"\x04ctag\x00\x00"),
    "a basic.deliver without a routing key": broker.method(1, 60, 60, b"\x04ctag" + b"\0" * 8 + b"\0\0") + REST,
    "a basic.deliver with a key cut short": broker.method(1, 60, 60, b"\x04ctag" + b"\0" * 9 + b"\0\x09event") + REST,
    "a basic.deliver that goes on": broker.method(1, 60, 60, b"\x04ctag" + b"\0" * 9 + b"\0\x04events") + REST,
    "a basic.deliver that ends twice": broker.method(1, 60, 60, b"\x04ctag" + b"\0" * 9 + b"\0\x04even\xces") + REST,
    "a basic.deliver without its end": broker.deliver()[:-1] + b"\x00" + REST,
    "properties without their end": broker.deliver() + broker.header(1, 1)[:-1] + b"\x00" + broker.frame(3, 1, b"x"),
    "a body without its end": broker.deliver() + broker.header(1, 1) + broker.frame(3, 1, b"x")[:-1] + b"\x00",
    "properties for another channel": broker.deliver() + broker.header(2, 1) + broker.frame(3, 1, b"x"),
    "a body for another channel": broker.deliver() + broker.header(1, 1) + broker.frame(3, 2, b"x"),
}
"""Each in the rest of a whole delivery where that matters: the fast way must not take it either."""


@pytest.mark.parametrize("before", [b"", KNOWN], ids=["first", "behind a good one"])
@pytest.mark.parametrize("bad", BAD)
def test_what_is_no_delivery_ends_the_connection(bad: str, before: bytes) -> None:
    for step in (1, 100_000):
        with pytest.raises(ProtocolError):
            fed(broker.opened(1, 2), before + BAD[bad], step)


def test_larger_frames_than_agreed_end_the_connection_in_every_place() -> None:
    big = b"x" * (broker.ROOM + 1)
    for bad in (
        broker.deliver() + broker.header(1, 1, broker.TEXT_ONLY + big) + broker.frame(3, 1, b"x"),
        broker.deliver() + broker.header(1, len(big)) + broker.frame(3, 1, big),
    ):
        with pytest.raises(ProtocolError, match="more than the 131,072 agreed"):
            broker.opened(1).receive_data(KNOWN + bad)
