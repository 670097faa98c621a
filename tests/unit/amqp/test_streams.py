"""Streams of frames, whole, cut anywhere and broken anywhere."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bridge.amqp.events import Blocked, CancelledByServer, Delivered, Event
from bridge.amqp.frames import ProtocolError
from tests.unit.amqp import broker

CHANNELS = (1, 2)

names = st.binary(max_size=12) | st.just(b"events")
bodies = st.binary(max_size=40) | st.integers(0, 3_000).map(lambda size: b"x" * size)


@st.composite
def deliveries(draw: st.DrawFn, channel: int) -> tuple[list[bytes], Event]:
    """The frames of one delivery, and what must become of them."""
    tag, exchange, routing_key = draw(st.sampled_from([b"ctag", b"other"])), draw(names), draw(names)
    number, content = draw(st.integers(1, 2**64 - 1)), draw(bodies)
    properties = draw(st.sampled_from([broker.TEXT_ONLY, b"\0\0"]) | st.binary(min_size=2, max_size=40))
    frames = broker.delivery(
        channel,
        number,
        content,
        properties,
        room=draw(st.sampled_from([7, 500, broker.ROOM])),
        tag=tag,
        exchange=exchange,
        routing_key=routing_key,
    )
    exchange_text, key_text = (text.decode("utf-8", "backslashreplace") for text in (exchange, routing_key))
    return frames, Delivered(channel, tag.decode(), number, False, exchange_text, key_text, content, properties)


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[bytes], list[Event]]:
    """Frames of two channels, mixed, with heartbeats and methods between them; and the events in their order."""
    waiting = {channel: draw(st.lists(deliveries(channel), max_size=4)) for channel in CHANNELS}
    frames: list[bytes] = []
    events: list[Event] = []
    cursors = dict.fromkeys(CHANNELS, 0)
    while any(waiting.values()):
        kind = draw(st.sampled_from([*CHANNELS, *CHANNELS, "heartbeat", "cancel", "blocked"]))
        if kind == "heartbeat":
            frames.append(broker.HEARTBEAT)
        elif kind == "blocked":
            frames.append(broker.method(0, 10, 60, broker.short(b"disk")))
            events.append(Blocked("disk"))
        elif kind == "cancel":
            channel = next((each for each in CHANNELS if not cursors[each]), None)
            if channel is not None:
                frames.append(broker.method(channel, 60, 30, broker.short(b"ctag") + b"\x01"))
                events.append(CancelledByServer(channel, "ctag"))
        elif waiting[kind]:  # type: ignore[index]
            _one_frame(waiting, kind, cursors, frames, events)  # type: ignore[arg-type]
    return frames, events


def _one_frame(
    waiting: dict[int, list[tuple[list[bytes], Event]]],
    channel: int,
    cursors: dict[int, int],
    frames: list[bytes],
    events: list[Event],
) -> None:
    parts, event = waiting[channel][0]
    frames.append(parts[cursors[channel]])
    cursors[channel] += 1
    if cursors[channel] == len(parts):
        events.append(event)
        waiting[channel].pop(0)
        cursors[channel] = 0


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The data in reads that end at these places."""
    ends = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(ends)]


def crumbs(data: bytes) -> list[bytes]:
    """The data in the smallest reads that take no ages."""
    step = len(data) // 500 + 1
    return [data[at : at + step] for at in range(0, len(data), step)]


places = st.lists(st.integers(0, 2**20), max_size=20)


@given(streams(), places)
def test_a_stream_means_the_same_however_it_is_cut(stream: tuple[list[bytes], list[Event]], ends: list[int]) -> None:
    frames, events = stream
    data = b"".join(frames)
    for reads in ([data], frames, cut(data, ends), crumbs(data)):
        connection = broker.opened(*CHANNELS)
        assert [event for read in reads for event in connection.receive_data(read)] == events


@given(places)
def test_the_handshake_means_the_same_however_it_is_cut(ends: list[int]) -> None:
    data = broker.start() + broker.tune() + broker.OPEN_OK
    connection, whole = broker.connection(), broker.connection()
    assert [event for read in cut(data, ends) for event in connection.receive_data(read)] == whole.receive_data(data)
    assert connection.data_to_send() == whole.data_to_send()


@given(st.lists(st.binary(max_size=100), max_size=5))
def test_any_bytes_raise_nothing_but_a_protocol_error(reads: list[bytes]) -> None:
    for connection in (broker.connection(), broker.opened(1)):
        with suppress(ProtocolError):
            for read in reads:
                connection.receive_data(read)


@given(streams(), st.lists(st.tuples(st.integers(0, 2**20), st.binary(max_size=3)), min_size=1, max_size=3), places)
def test_a_broken_stream_is_read_alike_however_it_is_cut(
    stream: tuple[list[bytes], list[Event]], breaks: list[tuple[int, bytes]], ends: list[int]
) -> None:
    """Some octets are others. What comes of it is the same from one read as from many, if it ends well."""
    data = bytearray(b"".join(stream[0]) or broker.HEARTBEAT)
    for place, octets in breaks:
        at = place % len(data)
        data[at : at + len(octets)] = octets
    outcomes: list[object] = []
    for reads in ([bytes(data)], cut(bytes(data), ends), crumbs(bytes(data))):
        connection = broker.opened(*CHANNELS)
        try:
            outcomes.append([event for read in reads for event in connection.receive_data(read)])
        except ProtocolError as error:
            outcomes.append(str(error))
    assert outcomes == [outcomes[0]] * 3
