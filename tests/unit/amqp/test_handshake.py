"""How a connection begins, and how a broker says that it does not."""

from __future__ import annotations

import pytest
from pamqp import commands
from pamqp import frame as frames

from bridge.amqp.connection import Connection
from bridge.amqp.events import Opened, Refused
from bridge.amqp.frames import ProtocolError
from bridge.amqp.handshake import External, Limits, Plain
from tests.unit.amqp import broker


def said(connection: Connection) -> list[object]:
    """What the connection wants to write, as another client reads it."""
    data = connection.data_to_send()
    found: list[object] = []
    while data:
        used, _, value = frames.unmarshal(data)
        found.append(value)
        data = data[used:]
    return found


def test_the_client_speaks_first() -> None:
    assert broker.connection().data_to_send() == b"AMQP\x00\x00\x09\x01"


def test_a_connection_is_opened_in_three_steps() -> None:
    connection = broker.connection(vhost="orders")
    connection.data_to_send()
    assert connection.receive_data(broker.start()) == []
    [start_ok] = said(connection)
    assert isinstance(start_ok, commands.Connection.StartOk)
    assert (start_ok.mechanism, start_ok.response) == ("PLAIN", "\0guest\0secret")
    properties = start_ok.client_properties
    assert properties["product"] == "test"
    assert properties["capabilities"] == {
        "authentication_failure_close": True,
        "basic.nack": True,
        "connection.blocked": True,
        "consumer_cancel_notify": True,
    }
    assert connection.receive_data(broker.tune()) == []
    tune_ok, open_vhost = said(connection)
    assert isinstance(tune_ok, commands.Connection.TuneOk)
    assert (tune_ok.channel_max, tune_ok.frame_max, tune_ok.heartbeat) == (31, 131_072, 15)
    assert isinstance(open_vhost, commands.Connection.Open)
    assert open_vhost.virtual_host == "orders"
    assert connection.receive_data(broker.OPEN_OK) == [Opened(15, 131_072, 31, {})]


def test_what_the_broker_says_about_itself_is_passed_on() -> None:
    product = broker.short(b"version") + b"S" + broker.long(b"4.0.5")
    connection = broker.connection()
    [found] = connection.receive_data(broker.start(product) + broker.tune() + broker.OPEN_OK)
    assert isinstance(found, Opened)
    assert found.server_properties == {"version": "4.0.5"}


@pytest.mark.parametrize(
    ("theirs", "agreed"),
    [
        ((2047, 131_072, 60), Limits(31, 131_072, 15)),
        ((0, 0, 0), Limits(31, 131_072, 15)),
        ((10, 8_192, 5), Limits(10, 8_192, 5)),
    ],
)
def test_the_lower_limit_holds_and_nothing_is_no_limit(theirs: tuple[int, int, int], agreed: Limits) -> None:
    assert Limits(31, 131_072, 15).agreed(theirs) == agreed


def test_no_heartbeat_is_agreed_where_nobody_wants_one() -> None:
    assert Limits(31, 131_072, 0).agreed((0, 0, 0)).heartbeat == 0


def test_a_certificate_is_a_login_too() -> None:
    connection = broker.connection(External())
    connection.data_to_send()
    connection.receive_data(broker.start(mechanisms=b"PLAIN EXTERNAL"))
    [start_ok] = said(connection)
    assert isinstance(start_ok, commands.Connection.StartOk)
    assert (start_ok.mechanism, start_ok.response) == ("EXTERNAL", "")


def test_a_broker_that_does_not_take_our_login_is_not_asked() -> None:
    connection = broker.connection(External())
    connection.data_to_send()
    [refused] = connection.receive_data(broker.start(mechanisms=b"PLAIN AMQPLAIN"))
    assert refused == Refused(0, "the broker takes PLAIN AMQPLAIN, not EXTERNAL", "login")
    assert connection.data_to_send() == b""
    assert connection.receive_data(broker.tune()) == []


@pytest.mark.parametrize(
    ("before", "closing", "during"),
    [
        (b"", broker.close(0, 320, b"shutting down"), "login"),
        (broker.start(), broker.close(0, 403, b"ACCESS_REFUSED - Login was refused"), "login"),
        (broker.start() + broker.tune(), broker.close(0, 530, b"NOT_ALLOWED - vhost x not found", 10, 40), "vhost"),
        (broker.start() + broker.tune(), broker.close(0, 530, b"negotiated frame_max is too low", 10, 31), "tune"),
    ],
)
def test_a_refusal_says_at_what(before: bytes, closing: bytes, during: str) -> None:
    connection = broker.connection()
    connection.receive_data(before)
    connection.data_to_send()
    [refused] = connection.receive_data(closing)
    assert isinstance(refused, Refused)
    assert refused.during == during
    assert isinstance(said(connection)[0], commands.Connection.CloseOk)


def test_a_password_is_in_no_print() -> None:
    assert "secret" not in repr(Plain("guest", "secret"))


def test_frames_too_small_to_speak_in_are_refused() -> None:
    with pytest.raises(ProtocolError, match="at most 100 bytes"):
        broker.connection().receive_data(broker.start() + broker.tune(frames=100))


@pytest.mark.parametrize(
    "early",
    [
        broker.tune(),
        broker.OPEN_OK,
        broker.CLOSE_OK,
        broker.start() + broker.start(),
        broker.start() + broker.tune() + broker.tune(),
        broker.start() + broker.tune() + broker.OPEN_OK + broker.OPEN_OK,
        broker.delivery()[0],
    ],
)
def test_nothing_comes_out_of_turn(early: bytes) -> None:
    with pytest.raises(ProtocolError):
        broker.connection().receive_data(early)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"AMQP\x00\x01\x00\x00", "another AMQP"),
        (b"HTTP/1.1 400 Bad Request\r\n", "no AMQP: a frame of type 72"),
        (b"\x15\x03\x01\x00\x02\x02F", "no AMQP: a frame of type 21"),  # a TLS alert
    ],
)
def test_what_is_no_amqp_is_called_that(answer: bytes, words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        broker.connection().receive_data(answer)
