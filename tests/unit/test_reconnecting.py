"""The reconnect loop around sessions that do as they are told."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence

import pytest

from bridge import reconnecting
from bridge.errors import ConfigError, Disconnected, EndOfSource
from bridge.model import Delivery, Verdict
from bridge.reconnecting import BARREN, Reconnecting

WRONG = ConfigError("source.queue", "does not exist", "Create it")


class FakeSession:
    """Lives once. `errors` are what opening it raises."""

    def __init__(self, *, cautious: bool, error: Exception | None) -> None:
        self.cautious = cautious
        self.calls: list[str] = []
        self.settled = self.forgotten = 0
        self._error = error
        self._up = False
        self._changed = asyncio.Event()
        self._ready: list[Delivery] = []
        self._stopped = False

    @property
    def connected(self) -> bool:
        return self._up

    def deliver(self, body: bytes) -> None:
        self._ready.append(Delivery(body=body, token=self))
        self._changed.set()

    def die(self) -> None:
        self._up = False
        self._changed.set()

    async def open(self) -> None:
        if self._error:
            raise self._error
        self._up = True

    async def close(self) -> None:
        self._up = False
        self.calls.append("close")

    async def receive(self, limit: int, linger: float) -> list[Delivery]:
        del linger
        while True:
            if self._stopped:
                raise EndOfSource
            if not self._up:
                raise Disconnected("gone")
            if self._ready:
                taken, self._ready = self._ready[:limit], self._ready[limit:]
                return taken
            self._changed.clear()
            await self._changed.wait()

    async def settle(self, batch: Sequence[Delivery], verdicts: Sequence[Verdict]) -> None:
        for delivery, _ in zip(batch, verdicts, strict=True):
            if delivery.token is self and self._up:
                self.settled += 1
            else:
                self.forgotten += 1

    def owns(self, delivery: Delivery) -> bool:
        return delivery.token is self and self._up

    def pause(self) -> None:
        self.calls.append("pause")

    def resume(self) -> None:
        self.calls.append("resume")

    def stop(self) -> None:
        self._stopped = True
        self._changed.set()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  any condition, of parts that know no events
            await asyncio.sleep(0)


class World:
    """Makes the sessions, and remembers them."""

    def __init__(self, *errors: Exception | None) -> None:
        self.errors = list(errors)
        self.sessions: list[FakeSession] = []
        self.source = Reconnecting(self._make, name="test")

    def _make(self, cautious: bool) -> FakeSession:
        session = FakeSession(cautious=cautious, error=self.errors.pop(0) if self.errors else None)
        self.sessions.append(session)
        return session

    @property
    def now(self) -> FakeSession:
        return self.sessions[-1]

    async def receive(self) -> list[bytes]:
        return [delivery.body for delivery in await asyncio.wait_for(self.source.receive(10, 0.0), 10)]

    async def next_session(self, *, settling: bool = False) -> None:
        """Let the session die and wait for the one after it."""
        receiving = asyncio.create_task(self.source.receive(1, 0.0))
        count = self.source.rebuilds
        if settling:
            await self.source.settle([Delivery(body=b"", token=self.now)], [Verdict.SETTLE])
        self.now.die()
        await until(lambda: self.source.rebuilds > count)
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnecting, "FIRST_WAIT", 0.0)
    monkeypatch.setattr(reconnecting, "LAST_WAIT", 0.0)


async def test_a_lost_session_is_replaced_without_the_caller_noticing() -> None:
    world = World()
    await world.source.open()
    receiving = asyncio.create_task(world.receive())
    await asyncio.sleep(0)
    world.now.die()
    await until(lambda: len(world.sessions) == 2 and world.now.connected)
    world.now.deliver(b"one")
    assert await receiving == [b"one"]
    assert world.source.rebuilds == 1
    assert "close" in world.sessions[0].calls


async def test_what_fails_at_the_start_is_told_and_can_be_tried_again() -> None:
    world = World(Disconnected("refused"), WRONG)
    with pytest.raises(Disconnected):
        await world.source.open()
    with pytest.raises(ConfigError):
        await world.source.open()
    await world.source.open()
    assert world.source.connected
    assert world.source.rebuilds == 0


async def test_what_fails_later_is_tried_until_it_works(caplog: pytest.LogCaptureFixture) -> None:
    world = World(None, Disconnected("refused"), WRONG)
    await world.source.open()
    world.now.die()
    receiving = asyncio.create_task(world.receive())
    await until(lambda: world.source.connected)
    world.now.deliver(b"one")
    assert await receiving == [b"one"]
    assert len(world.sessions) == 4
    assert sum(record.message == "session_not_rebuilt" for record in caplog.records) == 2


async def test_waits_between_tries_grow_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnecting, "FIRST_WAIT", 0.5)
    monkeypatch.setattr(reconnecting, "LAST_WAIT", 30.0)
    bounds: list[float] = []

    def note(low: float, high: float) -> float:
        assert low == 0
        bounds.append(high)
        return 0.0

    monkeypatch.setattr(random, "uniform", note)
    world = World(None, *[Disconnected("refused")] * 9)
    await world.source.open()
    await world.next_session()
    assert bounds == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0, 30.0]


async def test_a_pause_is_applied_to_the_next_session_too() -> None:
    world = World()
    await world.source.open()
    world.source.pause()
    await world.next_session()
    assert [session.calls for session in world.sessions] == [["pause", "close"], ["pause"]]
    world.source.resume()
    await world.next_session()
    assert world.sessions[1].calls == ["pause", "resume", "close"]
    assert world.now.calls == []


async def test_a_pause_from_before_the_start_counts() -> None:
    world = World()
    world.source.pause()
    await world.source.open()
    assert world.now.calls == ["pause"]


async def test_each_delivery_of_a_lost_session_is_counted_as_forgotten_once() -> None:
    world = World()
    await world.source.open()
    old = [Delivery(body=b"", token=world.now) for _ in range(3)]
    world.now.die()
    await world.source.settle(old[:1], [Verdict.SETTLE])
    await world.next_session()
    await world.source.settle(old[1:], [Verdict.SETTLE, Verdict.RETURN])
    assert world.source.forgotten == 3
    await world.next_session()
    assert world.source.forgotten == 3


async def test_sessions_that_settle_nothing_make_the_next_ones_cautious(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    await world.source.open()
    for _ in range(BARREN + 1):
        await world.next_session()
    assert [session.cautious for session in world.sessions] == [False] * BARREN + [True] * 2
    assert "sessions_die_unsettled" in {record.message for record in caplog.records if record.levelno == logging.ERROR}


async def test_one_settled_delivery_ends_the_caution() -> None:
    world = World()
    await world.source.open()
    for _ in range(BARREN):
        await world.next_session()
    assert world.now.cautious
    await world.next_session(settling=True)
    assert not world.now.cautious


async def test_sessions_that_lived_long_are_no_reason_for_caution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnecting, "SHORT", 0.0)
    world = World()
    await world.source.open()
    for _ in range(2 * BARREN):
        await world.next_session()
    assert not any(session.cautious for session in world.sessions)


async def test_a_stop_ends_the_search_for_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnecting, "FIRST_WAIT", 1_000.0)
    monkeypatch.setattr(reconnecting, "LAST_WAIT", 1_000.0)
    monkeypatch.setattr(random, "uniform", lambda _, high: high)
    world = World()
    await world.source.open()
    world.now.die()
    receiving = asyncio.create_task(world.receive())
    await asyncio.sleep(0.05)
    world.source.stop()
    with pytest.raises(EndOfSource):
        await asyncio.wait_for(receiving, 10)


async def test_after_a_stop_no_session_is_made() -> None:
    world = World()
    await world.source.open()
    world.source.stop()
    world.now.die()
    with pytest.raises(EndOfSource):
        await world.receive()
    assert len(world.sessions) == 1
