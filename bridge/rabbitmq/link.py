"""
One socket that speaks AMQP through `bridge.amqp`: reads become deliveries and answers, commands become writes.

It has no task. Calls wait for their answer in a future each; whatever ends the socket, the channel or the trust in
what is read ends the link, and with it every call that waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Final, TypeVar, cast

from bridge.amqp.connection import Connection
from bridge.amqp.events import (
    Blocked,
    CancelledByServer,
    ChannelClosed,
    Closed,
    CloseOk,
    Delivered,
    Event,
    Opened,
    Refused,
    Unblocked,
)
from bridge.errors import Disconnected
from bridge.rabbitmq import connection as client

log = logging.getLogger(__name__)

A = TypeVar("A")

BEATS: Final = 2  # heartbeats we send in the agreed interval, so that a busy moment makes none late
MISSED: Final = 2  # intervals without a byte after which the broker counts as dead
ANSWERED: Final = 200  # the code of AMQP for a close without a reason


class Objection(Exception):
    """What the broker had against a call. `bridge.rabbitmq.dialing` makes one of our errors of it."""

    def __init__(self, code: int, text: str, during: str) -> None:
        """`during` is the method or the step of the login that it objects to; "" for none in particular."""
        super().__init__(text)
        self.code = code
        self.during = during


class Link(asyncio.Protocol):
    """One connection. `lost` is done, with the reason, once it is of no further use."""

    def __init__(self, amqp: Connection, delivered: Callable[[list[Delivered]], None]) -> None:
        self.amqp = amqp
        self._delivered = delivered
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiting: dict[type[object], deque[asyncio.Future[Event]]] = {}  # what we said is answered in order
        self._over: asyncio.Future[None] = self._loop.create_future()  # done once the socket is gone
        self._garbled = False  # whether what we read was no AMQP
        self._flushing = False  # whether a flush is due in this turn of the loop
        self._heard = self._spoke = True  # anything since the last beat
        self._silent = 0  # beats in a row without a byte from the broker
        self._beating: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None  # runs while the broker does not read what we wrote
        self.lost: asyncio.Future[str] = self._loop.create_future()

    def expect(self, answer: type[A]) -> asyncio.Future[A]:
        """Make a future for the next answer of this kind that nobody waits for. It raises Disconnected or Objection."""
        if self.lost.done():
            raise Disconnected(self.lost.result())
        future = self._loop.create_future()
        self._waiting.setdefault(answer, deque()).append(future)
        return cast("asyncio.Future[A]", future)

    async def call(self, answer: type[A]) -> A:
        """Send what was commanded, and wait for the answer."""
        future = self.expect(answer)
        self._flush()
        return await future

    def flush_soon(self) -> None:
        """Send what was commanded at the end of this turn of the loop, with all that is commanded until then."""
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def lose(self, reason: str) -> None:
        """Give this link up."""
        if not self.lost.done():
            self.lost.set_result(reason)
            self._fail(Disconnected(reason))

    async def close(self) -> None:
        """Say goodbye, which the broker answers when it has taken in all that was sent, and close the socket."""
        self.lose("closed")
        transport = self._transport
        if transport is None or self._over.done():
            return
        try:
            if not self._garbled:
                self.amqp.close(ANSWERED, "closed by the bridge")
                self._flush()
                await asyncio.wait({self._over}, timeout=client.CLOSE_LIMIT)
        finally:
            transport.abort()
        await asyncio.wait({self._over}, timeout=client.CLOSE_LIMIT)

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=1)  # so that `pause_writing` tells at once what is not read
        self._flush()

    def data_received(self, data: bytes) -> None:
        # Reading is never paused: the prefetch bounds what may come, and no heartbeat must wait behind anything.
        self._heard = True
        if self._garbled:
            return
        try:
            events = self.amqp.receive_data(data)
            deliveries = [event for event in events if type(event) is Delivered]
            if deliveries and not self.lost.done():
                self._delivered(deliveries)
            if len(deliveries) != len(events):
                for event in events:
                    if type(event) is not Delivered:
                        self._tell(event)
            self._flush()  # steps of the login are answered without an event
        except Exception as error:  # noqa: BLE001  whatever it is, nothing that comes behind it can be trusted
            self._garbled = True
            self.lose(f"{type(error).__name__}: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        self.lose(f"connection closed: {exc or 'no reason given'}")
        self.resume_writing()
        if self._beating is not None:
            self._beating.cancel()
        self._over.set_result(None)

    def pause_writing(self) -> None:
        reason = f"the broker did not read what was sent within {client.CALL_LIMIT:g} s"
        self._stuck = self._loop.call_later(client.CALL_LIMIT, self.lose, reason)

    def resume_writing(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def _flush(self) -> None:
        self._flushing = False
        if self._transport is None or self._transport.is_closing():
            return
        if data := self.amqp.data_to_send():
            self._spoke = True
            self._transport.write(data)

    def _tell(self, event: Event) -> None:
        """What is no delivery: the answer that a call waits for, or news of the broker."""
        if waiting := self._waiting.get(type(event)):
            future = waiting.popleft()
            if not future.done():  # whoever waited may be gone
                future.set_result(event)
        match event:
            case Opened():
                self._beat_every(event.heartbeat / BEATS)
            case Refused() | Closed() | ChannelClosed():
                self._fail(Objection(event.code, event.text, event.during))
                self.lose(f"{'channel' if isinstance(event, ChannelClosed) else 'connection'} closed: {event.text}")
                if isinstance(event, Refused) and not event.code and self._transport is not None:
                    self._transport.abort()  # it waits for a login that we do not have, and would not close by itself
            case CancelledByServer():
                self.lose("the broker cancelled the consumer: the queue was deleted or moved")
            case Blocked():
                log.info("connection_blocked", extra={"reason": event.reason})
            case Unblocked():
                log.info("connection_unblocked")
            case CloseOk() if self._transport is not None:
                self._transport.abort()

    def _fail(self, error: Exception) -> None:
        """End all calls that wait."""
        for future in [future for waiting in self._waiting.values() for future in waiting if not future.done()]:
            future.set_exception(error)
        self._waiting.clear()

    def _beat_every(self, seconds: float) -> None:
        if seconds:
            self._beating = self._loop.call_later(seconds, self._beat, seconds)

    def _beat(self, seconds: float) -> None:
        """
        Send a heartbeat unless something else was sent, and see whether anything came.

        Beats are counted, not seconds: a process that was stopped for a minute has not missed anything yet.
        """
        self._silent = 0 if self._heard else self._silent + 1
        if self._silent >= MISSED * BEATS:
            self.lose(f"the broker has said nothing for {self._silent * seconds:g} s")
            return
        if not self._spoke:
            self.amqp.heartbeat()
            self._flush()
        self._heard = self._spoke = False
        self._beat_every(seconds)
