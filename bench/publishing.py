"""
Publishers that cost next to nothing, so that the machine is left to whom is measured: events at full speed or in time.

The one for RabbitMQ writes frames to a blocking socket, and reads confirms. The one for Kafka is aiokafka's, which
sends what comes meanwhile as one batch.
"""

from __future__ import annotations

import asyncio
import select
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import unquote, urlsplit

from aiokafka import AIOKafkaProducer
from pamqp import commands, frame, header
from pamqp.body import ContentBody

from devtools.kafka_lab import opened

LIMIT = 60.0  # seconds for whatever the broker is asked
WINDOW = 5_000  # events that may wait for their confirms
CHUNK = 250  # events written at a time
FRAME = 131_072  # bytes; what a frame may have at most is agreed on with the broker
PERSISTENT = 2

T = TypeVar("T")

Pace = Callable[[int], float]
"""Seconds after the beginning at which an event goes out, by its number."""


class RabbitMQPublisher(AbstractContextManager["RabbitMQPublisher"]):
    """A connection and a channel with confirms."""

    def __init__(self, url: str, queue: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 5672), timeout=LIMIT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self._sent = self._confirmed = 0
        self._late: set[int] = set()  # confirmed one by one, ahead of others
        self._head = frame.marshal(commands.Basic.Publish(routing_key=queue), 1)
        self._properties = commands.Basic.Properties(delivery_mode=PERSISTENT)
        self._greet(unquote(parts.username or "guest"), unquote(parts.password or "guest"), unquote(parts.path[1:]))

    def _greet(self, user: str, password: str, vhost: str) -> None:
        self._socket.sendall(frame.marshal(header.ProtocolHeader(), 0))
        self._await(commands.Connection.Start)
        self._write(commands.Connection.StartOk({}, "PLAIN", f"\0{user}\0{password}"), 0)
        tune = self._await(commands.Connection.Tune)
        self._most = min(tune.frame_max or FRAME, FRAME)
        self._write(commands.Connection.TuneOk(tune.channel_max, self._most, 0), 0)
        self._write(commands.Connection.Open(vhost or "/"), 0)
        self._await(commands.Connection.OpenOk)
        self._write(commands.Channel.Open(), 1)
        self._await(commands.Channel.OpenOk)
        self._write(commands.Confirm.Select(), 1)
        self._await(commands.Confirm.SelectOk)

    def publish(self, bodies: Sequence[bytes]) -> None:
        """Publish all, as fast as the broker confirms. Returns when all of them are safe."""
        for start in range(0, len(bodies), CHUNK):
            self._put(bodies[start : start + CHUNK])
            self._settle(WINDOW)
        self._settle(0)

    def publish_paced(self, bodies: Sequence[bytes], pace: Pace) -> list[float]:
        """Publish each at its time. Returns when each went out, in epoch seconds, after all of them are safe."""
        times: list[float] = []
        began = time.monotonic()
        for number, body in enumerate(bodies):
            while (wait := began + pace(number) - time.monotonic()) > 0:
                self._read(wait)
            times.append(time.time())
            self._put([body])
        self._settle(0)
        return times

    def _put(self, bodies: Sequence[bytes]) -> None:
        self._socket.sendall(b"".join(map(self._frames, bodies)))
        self._sent += len(bodies)

    def _frames(self, body: bytes) -> bytes:
        room = self._most - 8  # head and end of a frame
        parts = [body[at : at + room] for at in range(0, len(body), room)]
        head = frame.marshal(header.ContentHeader(0, len(body), self._properties), 1)
        return b"".join((self._head, head, *(frame.marshal(ContentBody(part), 1) for part in parts)))

    def _settle(self, most: int) -> None:
        """Wait until at most so many are unconfirmed. Raises TimeoutError."""
        while self._sent - self._confirmed > most:
            if not self._read(LIMIT):
                raise TimeoutError(f"RabbitMQ has not confirmed {self._sent - self._confirmed} events in {LIMIT} s")

    def _read(self, patience: float) -> bool:
        """Take what comes within so many seconds; say whether something came."""
        if not select.select([self._socket], [], [], patience)[0]:
            return False
        received = self._socket.recv(1 << 16)
        if not received:
            raise ConnectionError("RabbitMQ has closed the connection")
        self._buffer += received
        while (found := self._next()) is not None:
            self._note(found)
        return True

    def _note(self, found: Any) -> None:
        if isinstance(found, commands.Basic.Ack):
            if found.multiple:
                self._confirmed = max(self._confirmed, found.delivery_tag)
                self._late = {tag for tag in self._late if tag > self._confirmed}
            else:
                self._late.add(found.delivery_tag)
            while self._confirmed + 1 in self._late:
                self._confirmed += 1
                self._late.discard(self._confirmed)
        elif isinstance(found, commands.Basic.Nack | commands.Channel.Close | commands.Connection.Close):
            raise ConnectionError(f"RabbitMQ refuses: {found!r}")

    def _next(self) -> Any:
        if len(self._buffer) < 7 or len(self._buffer) < (size := int.from_bytes(self._buffer[3:7], "big") + 8):
            return None
        whole, self._buffer = self._buffer[:size], self._buffer[size:]
        return frame.unmarshal(whole)[2]  # without heartbeats: we have agreed on none

    def _await(self, kind: type[T]) -> T:
        while (found := self._next()) is None:
            received = self._socket.recv(1 << 16)
            if not received:
                raise ConnectionError(f"RabbitMQ has closed the connection ahead of {kind.__name__}")
            self._buffer += received
        if not isinstance(found, kind):
            raise ConnectionError(f"RabbitMQ said {found!r} where {kind.__name__} was due")
        return found

    def _write(self, command: Any, channel: int) -> None:
        self._socket.sendall(frame.marshal(command, channel))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._write(commands.Connection.Close(200, "done", 0, 0), 0)
                self._await(commands.Connection.CloseOk)
        finally:
            self._socket.close()


async def to_kafka(
    bootstrap: str, topic: str, bodies: Sequence[bytes], pace: Pace | None, partitions: int
) -> list[float]:
    """Publish to the partitions in turn. Returns when each went out, in epoch seconds, after all of them are safe."""
    client = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", max_batch_size=1 << 20, max_request_size=1 << 21)
    times: list[float] = []
    sent: list[asyncio.Future[Any]] = []
    async with opened(client) as producer:
        await producer.partitions_for(topic)
        began = time.monotonic()
        for number, body in enumerate(bodies):
            if pace is not None and (wait := began + pace(number) - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            times.append(time.time())
            sent.append(await producer.send(topic, body, partition=number % partitions))
            if len(sent) >= WINDOW:
                await asyncio.wait_for(asyncio.gather(*sent), LIMIT)
                sent.clear()
        await asyncio.wait_for(asyncio.gather(*sent), LIMIT)
    return times
