"""Commands and what becomes of them; each is read back by another client."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pamqp import commands

from bridge.amqp.connection import Connection, Misplaced
from bridge.amqp.events import (
    Blocked,
    Cancelled,
    CancelledByServer,
    ChannelClosed,
    ChannelOpened,
    Closed,
    CloseOk,
    Consuming,
    Delivered,
    PrefetchSet,
    QueueFound,
    Unblocked,
)
from bridge.amqp.frames import ProtocolError
from tests.unit.amqp import broker
from tests.unit.amqp.test_handshake import said

CAN_ANSWER = broker.short(b"capabilities") + b"F" + broker.long(broker.short(b"accept_consumer_cancel_ok") + b"t\x01")
CANCEL = broker.method(1, 60, 30, broker.short(b"ctag") + b"\x01")
COMMANDS: dict[str, Callable[[Connection], None]] = {
    "ack": lambda connection: connection.ack(1, 1),
    "give_back": lambda connection: connection.give_back(1, 1),
    "qos": lambda connection: connection.qos(1, 1),
    "consume": lambda connection: connection.consume(1, "events"),
    "cancel": lambda connection: connection.cancel(1, "ctag"),
    "declare_passively": lambda connection: connection.declare_passively(1, "events"),
    "close_channel": lambda connection: connection.close_channel(1),
}


def test_a_channel_is_opened() -> None:
    connection = broker.opened()
    connection.open_channel(3)
    assert isinstance(said(connection)[0], commands.Channel.Open)
    assert connection.receive_data(broker.channel_open_ok(3)) == [ChannelOpened(3)]


@pytest.mark.parametrize("channel", [0, 1, 32, 70_000])
def test_a_number_that_is_in_use_or_too_high_opens_no_channel(channel: int) -> None:
    connection = broker.opened(1)
    with pytest.raises(Misplaced, match=f"channel {channel} "):
        connection.open_channel(channel)
    assert connection.data_to_send() == b""


def test_consuming_is_asked_for_and_agreed() -> None:
    connection = broker.opened(1)
    connection.qos(1, 256)
    connection.consume(1, "events", "ctag")
    qos, consume = said(connection)
    assert isinstance(qos, commands.Basic.Qos)
    assert (qos.prefetch_count, qos.prefetch_size, qos.global_) == (256, 0, False)
    assert isinstance(consume, commands.Basic.Consume)
    assert (consume.queue, consume.consumer_tag) == ("events", "ctag")
    assert (consume.no_ack, consume.exclusive, consume.nowait, consume.arguments) == (False, False, False, {})
    agreed = broker.method(1, 60, 11) + broker.method(1, 60, 21, broker.short(b"ctag"))
    assert connection.receive_data(agreed) == [PrefetchSet(1), Consuming(1, "ctag")]


def test_a_consumer_is_cancelled_and_may_get_deliveries_until_then() -> None:
    connection = broker.opened(1)
    connection.cancel(1, "ctag")
    [cancel] = said(connection)
    assert isinstance(cancel, commands.Basic.Cancel)
    assert (cancel.consumer_tag, cancel.nowait) == ("ctag", False)
    last = b"".join(broker.delivery())
    delivered, cancelled = connection.receive_data(last + broker.method(1, 60, 31, broker.short(b"ctag")))
    assert isinstance(delivered, Delivered)
    assert cancelled == Cancelled(1, "ctag")


def test_a_cancel_by_the_broker_is_told_and_not_answered() -> None:
    connection = broker.opened(1)
    assert connection.receive_data(CANCEL) == [CancelledByServer(1, "ctag")]
    assert connection.data_to_send() == b""


def test_a_cancel_is_answered_where_the_broker_waits_for_it() -> None:
    connection = broker.opened(1, properties=CAN_ANSWER)
    assert connection.receive_data(CANCEL) == [CancelledByServer(1, "ctag")]
    [answer] = said(connection)
    assert isinstance(answer, commands.Basic.CancelOk)
    assert answer.consumer_tag == "ctag"


def test_a_queue_is_looked_at() -> None:
    connection = broker.opened(1)
    connection.declare_passively(1, "events")
    [declare] = said(connection)
    assert isinstance(declare, commands.Queue.Declare)
    assert (declare.queue, declare.passive, declare.nowait, declare.arguments) == ("events", True, False, {})
    answer = broker.method(1, 50, 11, broker.short(b"events") + b"\0\0\0\7\0\0\0\2")
    assert connection.receive_data(answer) == [QueueFound(1, "events", ready=7, consumers=2)]


def test_deliveries_are_settled_and_given_back() -> None:
    connection = broker.opened(1)
    connection.ack(1, 2**64 - 1)
    connection.ack(1, 7, multiple=True)
    connection.give_back(1, 8)
    connection.give_back(1, 9, multiple=True)
    one, many, back, many_back = said(connection)
    assert isinstance(one, commands.Basic.Ack)
    assert isinstance(many, commands.Basic.Ack)
    assert isinstance(back, commands.Basic.Nack)
    assert isinstance(many_back, commands.Basic.Nack)
    assert (many.delivery_tag, one.multiple, many.multiple) == (7, False, True)
    assert (back.delivery_tag, back.multiple, back.requeue) == (8, False, True)
    assert (many_back.delivery_tag, many_back.multiple, many_back.requeue) == (9, True, True)


def test_a_heartbeat_is_said_and_one_that_comes_is_no_event() -> None:
    connection = broker.opened()
    connection.heartbeat()
    assert connection.data_to_send() == broker.HEARTBEAT
    assert connection.receive_data(broker.HEARTBEAT * 2) == []


def test_what_is_sent_is_sent_once() -> None:
    connection = broker.opened(1)
    connection.ack(1, 1)
    assert connection.data_to_send()
    assert connection.data_to_send() == b""


def test_a_blocked_connection_is_told() -> None:
    connection = broker.opened()
    blocked = broker.method(0, 10, 60, broker.short(b"low on memory"))
    assert connection.receive_data(blocked + broker.method(0, 10, 61)) == [Blocked("low on memory"), Unblocked()]


def test_flow_is_agreed_to() -> None:
    connection = broker.opened(1)
    assert connection.receive_data(broker.method(1, 20, 20, b"\x01")) == []
    [flow_ok] = said(connection)
    assert isinstance(flow_ok, commands.Channel.FlowOk)
    assert flow_ok.active is True


def test_a_channel_that_the_broker_closes_leaves_the_others() -> None:
    connection = broker.opened(1, 2)
    text = b"NOT_FOUND - no queue 'events' in vhost '/'"
    [closed] = connection.receive_data(broker.close(1, 404, text, 60, 20))
    assert closed == ChannelClosed(1, 404, text.decode(), "basic.consume")
    assert isinstance(said(connection)[0], commands.Channel.CloseOk)
    assert connection.receive_data(b"".join(broker.delivery(2)))
    connection.open_channel(1)


def test_a_channel_may_be_closed_within_a_delivery_and_used_again() -> None:
    connection = broker.opened(1)
    begun = b"".join(broker.delivery()[:-1])
    assert connection.receive_data(begun + broker.close(1, 541, b"queue is gone")) == [
        ChannelClosed(1, 541, "queue is gone")
    ]
    connection.open_channel(1)
    opened, delivered = connection.receive_data(broker.channel_open_ok() + b"".join(broker.delivery()))
    assert opened == ChannelOpened(1)
    assert isinstance(delivered, Delivered)


def test_what_comes_for_a_channel_that_we_are_closing_is_skipped() -> None:
    connection = broker.opened(1)
    connection.receive_data(b"".join(broker.delivery()))
    connection.close_channel(1)
    [closing] = said(connection)
    assert isinstance(closing, commands.Channel.Close)
    assert (closing.reply_code, closing.class_id, closing.method_id) == (200, 0, 0)
    late = b"".join(broker.delivery()) + CANCEL
    assert connection.receive_data(late + broker.method(1, 20, 41)) == [ChannelClosed(1)]
    connection.open_channel(1)


def test_closes_of_a_channel_may_cross() -> None:
    connection = broker.opened(1)
    connection.close_channel(1)
    assert connection.receive_data(broker.close(1, 406, b"too late")) == [ChannelClosed(1, 406, "too late")]
    connection.open_channel(1)
    stale = broker.method(1, 20, 41)
    assert connection.receive_data(stale + broker.channel_open_ok()) == [ChannelOpened(1)]


def test_a_connection_that_the_broker_closes_is_over() -> None:
    connection = broker.opened(1)
    behind = b"".join(broker.delivery())
    text = b"CONNECTION_FORCED - broker forced connection closure"
    found = connection.receive_data(broker.close(0, 320, text, 60, 80) + behind)
    assert found == [Closed(320, text.decode(), "basic.ack")]
    assert isinstance(said(connection)[0], commands.Connection.CloseOk)
    assert connection.receive_data(behind) == []
    connection.close()
    assert connection.data_to_send() == b""


def test_our_close_waits_for_its_answer_and_skips_what_comes_before() -> None:
    connection = broker.opened(1)
    connection.receive_data(b"".join(broker.delivery()))
    connection.close()
    connection.close()
    [closing] = said(connection)
    assert isinstance(closing, commands.Connection.Close)
    late = b"".join(broker.delivery()) + broker.method(0, 10, 61)
    assert connection.receive_data(late) == []
    assert connection.receive_data(broker.CLOSE_OK) == [CloseOk()]


def test_closes_of_the_connection_may_cross() -> None:
    connection = broker.opened()
    connection.close()
    connection.data_to_send()
    assert connection.receive_data(broker.close(0, 320, b"bye")) == [Closed(320, "bye", "")]
    assert isinstance(said(connection)[0], commands.Connection.CloseOk)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_has_no_place_without_its_channel(command: str) -> None:
    never, gone, over = broker.opened(), broker.opened(1), broker.opened(1)
    gone.receive_data(broker.close(1, 404, b""))
    over.close()
    for connection in (broker.connection(), never, gone, over):
        connection.data_to_send()
        with pytest.raises(Misplaced):
            COMMANDS[command](connection)
        assert connection.data_to_send() == b""


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(broker.method(1, 60, 50), id="a return of a publish"),
        pytest.param(broker.method(1, 60, 80, b"\0" * 9), id="a confirmation"),
        pytest.param(broker.method(1, 77, 77), id="a method that does not exist"),
        pytest.param(broker.frame(1, 1, b"\0\x3c"), id="a method without a number"),
        pytest.param(broker.method(1, 60, 21), id="a tag that is not there"),
        pytest.param(broker.method(1, 60, 21, b"\x05ab"), id="a tag cut short"),
        pytest.param(broker.method(0, 60, 11), id="a method of channels outside of them"),
        pytest.param(broker.method(1, 10, 61), id="a method of the connection on a channel"),
        pytest.param(broker.channel_open_ok(), id="a channel opened twice"),
        pytest.param(broker.method(2, 60, 11), id="a channel that nobody opened"),
        pytest.param(broker.frame(8, 1, b""), id="a heartbeat of a channel"),
        pytest.param(broker.frame(8, 0, b"x"), id="a heartbeat with a payload"),
        pytest.param(broker.frame(3, 0, b"x"), id="content outside of channels"),
        pytest.param(broker.frame(8, 0, b"")[:-1] + b"\0", id="a frame without its end"),
        pytest.param(b"\x01\x00\x01\x00\x02\x00\x00", id="a frame of 131,080 bytes"),
    ],
)
def test_what_has_no_place_ends_the_connection(bad: bytes) -> None:
    with pytest.raises(ProtocolError):
        broker.opened(1).receive_data(bad)


def test_a_delivery_before_its_channel_is_open_ends_the_connection() -> None:
    connection = broker.opened()
    connection.open_channel(1)
    with pytest.raises(ProtocolError, match="not open yet"):
        connection.receive_data(broker.deliver())


def test_a_name_that_does_not_fit_is_refused_before_it_is_sent() -> None:
    connection = broker.opened(1)
    with pytest.raises(ValueError, match="longer than 255"):
        connection.consume(1, "q" * 256)
    assert connection.data_to_send() == b""
