"""What every Target does, whatever stands behind it. Each implementation runs this suite, through a Peer of its own."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncGenerator, Sequence

import pytest

from bridge.model import Accepted, Envelope, Outcome, Rejected, Retryable
from bridge.ports import Target


class Peer(ABC):
    """A target, opened, and the other side of it. Events are told apart by their names."""

    def __init__(self, target: Target) -> None:
        self.target = target

    @abstractmethod
    def refuse(self, name: str) -> None:
        """Refuse this event for ever, however it is sent."""

    @abstractmethod
    def fail(self, name: str) -> None:
        """Fail the next request with this event in it, in a way that may pass later."""

    @abstractmethod
    def arrived(self) -> Counter[str]:
        """How often each event has been taken in."""


def events(count: int) -> list[Envelope]:
    return [Envelope(id=f"id-{n}", name=f"event.{n}", data={"n": n}) for n in range(count)]


async def send(target: Target, batch: Sequence[Envelope]) -> list[Outcome]:
    """All outcomes in order; fails where an index is missing or comes twice."""
    pairs = [pair async for group in target.send(batch, [1] * len(batch)) for pair in group]
    assert sorted(slot for slot, _ in pairs) == list(range(len(batch)))
    return [outcome for _, outcome in sorted(pairs, key=lambda pair: pair[0])]


class TargetContract:
    """Inherit, and define the fixture `peer`."""

    @pytest.mark.parametrize("count", [0, 1, 2, 60])
    async def test_every_event_has_exactly_one_outcome_and_has_arrived(self, peer: Peer, count: int) -> None:
        outcomes = await send(peer.target, events(count))
        assert all(isinstance(outcome, Accepted) for outcome in outcomes)
        assert peer.arrived() == Counter(event.name for event in events(count))

    async def test_no_group_is_empty(self, peer: Peer) -> None:
        groups = [group async for group in peer.target.send(events(10), [1] * 10)]
        assert all(groups)

    async def test_one_poison_among_sixty_ends_alone(self, peer: Peer) -> None:
        peer.refuse("event.37")
        outcomes = await send(peer.target, events(60))
        assert [slot for slot, outcome in enumerate(outcomes) if isinstance(outcome, Rejected)] == [37]
        assert [slot for slot, outcome in enumerate(outcomes) if not isinstance(outcome, Accepted)] == [37]
        assert set(peer.arrived()) == {event.name for event in events(60)} - {"event.37"}

    async def test_poison_first_and_last_end_alone(self, peer: Peer) -> None:
        peer.refuse("event.0")
        peer.refuse("event.6")
        outcomes = await send(peer.target, events(7))
        assert [isinstance(outcome, Rejected) for outcome in outcomes] == [True, *[False] * 5, True]
        assert [isinstance(outcome, Accepted) for outcome in outcomes] == [False, *[True] * 5, False]

    async def test_what_failed_can_be_sent_again(self, peer: Peer) -> None:
        peer.fail("event.0")
        (first,) = await send(peer.target, events(1))
        assert isinstance(first, Retryable)
        assert not peer.arrived()
        (second,) = await send(peer.target, events(1))
        assert isinstance(second, Accepted)
        assert peer.arrived() == {"event.0": 1}

    async def test_a_failure_is_an_outcome_of_its_own_request_only(self, peer: Peer) -> None:
        peer.fail("event.3")
        outcomes = await send(peer.target, events(8))
        assert isinstance(outcomes[3], Retryable)
        accepted = {f"event.{slot}" for slot, outcome in enumerate(outcomes) if isinstance(outcome, Accepted)}
        assert set(peer.arrived()) == accepted

    async def test_sends_run_side_by_side(self, peer: Peer) -> None:
        halves = events(40)[:20], events(40)[20:]
        results = await asyncio.gather(*(send(peer.target, half) for half in halves))
        assert all(isinstance(outcome, Accepted) for outcomes in results for outcome in outcomes)
        assert sum(peer.arrived().values()) == 40

    async def test_an_abandoned_send_leaves_no_task_behind(self, peer: Peer) -> None:
        sending = peer.target.send(events(30), [1] * 30)
        await anext(sending)
        assert isinstance(sending, AsyncGenerator)
        await sending.aclose()
        assert not [task for task in asyncio.all_tasks() if "Exchanges" in repr(task)]
        assert all(isinstance(outcome, Accepted) for outcome in await send(peer.target, events(2)))

    async def test_secrets_can_be_read_again_while_sending(self, peer: Peer) -> None:
        sending = asyncio.create_task(send(peer.target, events(20)))
        peer.target.refresh()
        assert all(isinstance(outcome, Accepted) for outcome in await sending)

    async def test_closing_twice_is_harmless(self, peer: Peer) -> None:
        await peer.target.close()
        await peer.target.close()

    async def test_what_is_due_now_is_not_left_to_the_target(self, peer: Peer) -> None:
        now = time.time_ns() // 1_000_000
        for due_at in (None, now, now - 60_000):
            assert not peer.target.native_delay(Envelope(id="1", name="n", due_at=due_at), now)
        assert not peer.target.native_delay(Envelope(id="1", name="n", due_at=now + 400 * 86_400_000), now)
