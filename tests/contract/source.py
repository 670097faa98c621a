"""
What every source has to do, wherever its deliveries come from.

A binding subclasses `SourceContract` and provides the fixture `peer`: an open source and the other side of it.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence

import pytest

from bridge.errors import EndOfSource
from bridge.model import Delivery, Verdict
from bridge.ports import Source

LIMIT = 90.0  # seconds until a test gives up waiting


class SourcePeer(ABC):
    """The other side: publishes, looks, and breaks the connection."""

    source: Source
    prefetch = 8

    @abstractmethod
    async def publish(self, *bodies: bytes) -> None: ...

    @abstractmethod
    async def waiting(self) -> int:
        """How many deliveries the broker still has, handed out or not."""

    @abstractmethod
    async def lose_connection(self) -> None:
        """End the session under the source."""

    async def take(self, count: int, linger: float = 0.0) -> list[Delivery]:
        got: list[Delivery] = []
        async with asyncio.timeout(LIMIT):
            while len(got) < count:
                got += await self.source.receive(count - len(got), linger)
        return got

    async def settle(self, batch: Sequence[Delivery], verdict: Verdict = Verdict.SETTLE) -> None:
        await self.source.settle(batch, [verdict] * len(batch))

    async def until_waiting(self, count: int) -> None:
        async with asyncio.timeout(LIMIT):
            while await self.waiting() != count:  # noqa: ASYNC110  the broker is asked
                await asyncio.sleep(0.02)

    async def none_comes(self, seconds: float = 0.5) -> bool:
        """Whether nothing is received in this time."""
        try:
            await asyncio.wait_for(self.source.receive(100, 0.0), seconds)
        except TimeoutError:
            return True
        return False


def bodies_of(deliveries: Sequence[Delivery]) -> list[bytes]:
    return [delivery.body for delivery in deliveries]


def numbered(count: int, first: int = 0) -> list[bytes]:
    return [b"%d" % number for number in range(first, first + count)]


class SourceContract:
    async def test_hands_out_what_was_published_in_order(self, peer: SourcePeer) -> None:
        await peer.publish(*numbered(5))
        assert bodies_of(await peer.take(5)) == numbered(5)

    async def test_a_receive_takes_at_most_its_limit(self, peer: SourcePeer) -> None:
        await peer.publish(*numbered(5))
        assert len(await peer.source.receive(2, 5.0)) == 2

    async def test_a_lonely_delivery_waits_for_nobody(self, peer: SourcePeer) -> None:
        await peer.publish(b"one")
        async with asyncio.timeout(LIMIT):
            assert bodies_of(await peer.source.receive(100, 0.0)) == [b"one"]

    async def test_lingering_gathers_what_comes_meanwhile(self, peer: SourcePeer) -> None:
        receiving = asyncio.create_task(peer.source.receive(2, LIMIT))
        await peer.publish(b"one")
        await peer.publish(b"two")
        assert bodies_of(await receiving) == [b"one", b"two"]

    async def test_a_receive_that_is_cancelled_loses_nothing(self, peer: SourcePeer) -> None:
        for linger in (0.0, LIMIT):
            receiving = asyncio.create_task(peer.source.receive(2, linger))
            await asyncio.sleep(0.05)
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)
        await peer.publish(b"one")
        lingering = asyncio.create_task(peer.source.receive(2, LIMIT))
        await asyncio.sleep(0.2)
        lingering.cancel()
        await asyncio.gather(lingering, return_exceptions=True)
        await peer.lose_connection()
        assert bodies_of(await peer.take(1)) == [b"one"]

    async def test_what_is_settled_is_gone(self, peer: SourcePeer) -> None:
        await peer.publish(*numbered(5))
        await peer.settle(await peer.take(5))
        await peer.until_waiting(0)

    async def test_what_is_not_settled_stays_with_the_broker(self, peer: SourcePeer) -> None:
        await peer.publish(*numbered(3))
        first, second, third = await peer.take(3)
        await peer.settle([second])
        await peer.until_waiting(2)
        await peer.settle([third, first])
        await peer.until_waiting(0)

    async def test_any_order_and_grouping_of_settling_ends_with_none_left(self, peer: SourcePeer) -> None:
        await peer.publish(*numbered(8))
        got = await peer.take(8)
        for group in ([7, 1], [0], [3, 2], [5], [6, 4]):
            await peer.settle([got[number] for number in group])
        await peer.until_waiting(0)
        await peer.publish(b"next")
        assert bodies_of(await peer.take(1)) == [b"next"]

    async def test_a_straggler_does_not_use_up_the_prefetch(self, peer: SourcePeer) -> None:
        await peer.publish(*numbered(3 * peer.prefetch))
        [_straggler] = await peer.take(1)
        for _ in range(3 * peer.prefetch - 1):
            await peer.settle(await peer.take(1))
        await peer.until_waiting(1)

    async def test_no_more_than_the_prefetch_is_out_at_once(self, peer: SourcePeer) -> None:
        await peer.publish(*numbered(2 * peer.prefetch))
        await peer.take(peer.prefetch)
        assert await peer.none_comes()

    async def test_what_is_returned_comes_again_and_says_so(self, peer: SourcePeer) -> None:
        await peer.publish(b"one")
        [delivery] = await peer.take(1)
        assert not delivery.redelivered
        await peer.settle([delivery], Verdict.RETURN)
        [again] = await peer.take(1)
        assert (again.body, again.redelivered) == (b"one", True)

    async def test_after_a_lost_connection_everything_unsettled_comes_again(self, peer: SourcePeer) -> None:
        await peer.publish(*numbered(4))
        got = await peer.take(4)
        await peer.settle(got[:1])
        await peer.until_waiting(3)
        await peer.lose_connection()
        again = await peer.take(3)
        assert sorted(bodies_of(again)) == numbered(3, first=1)
        assert all(delivery.redelivered for delivery in again)

    async def test_settling_for_an_older_session_does_nothing(self, peer: SourcePeer) -> None:
        await peer.publish(b"one")
        [old] = await peer.take(1)
        await peer.lose_connection()
        [new] = await peer.take(1)
        await peer.settle([old])
        await peer.settle([old], Verdict.RETURN)
        assert await peer.waiting() == 1
        await peer.settle([new])
        await peer.until_waiting(0)

    async def test_a_delivery_is_owned_until_its_session_is_lost(self, peer: SourcePeer) -> None:
        await peer.publish(b"one")
        [old] = await peer.take(1)
        assert peer.source.owns(old)
        await peer.lose_connection()
        [new] = await peer.take(1)
        assert not peer.source.owns(old)
        assert peer.source.owns(new)

    async def test_nothing_is_taken_in_during_a_pause(self, peer: SourcePeer) -> None:
        peer.source.pause()
        peer.source.pause()
        assert await peer.none_comes()
        await peer.publish(b"one")
        assert await peer.none_comes()
        peer.source.resume()
        peer.source.resume()
        assert bodies_of(await peer.take(1)) == [b"one"]

    async def test_a_pause_outlives_the_session(self, peer: SourcePeer) -> None:
        peer.source.pause()
        assert await peer.none_comes()
        await peer.lose_connection()
        assert await peer.none_comes(2.0)
        await peer.publish(b"one")
        assert await peer.none_comes()
        peer.source.resume()
        assert bodies_of(await peer.take(1)) == [b"one"]

    async def test_pausing_in_quick_turns_changes_nothing(self, peer: SourcePeer) -> None:
        await peer.publish(*numbered(20))
        got: list[Delivery] = []
        while len(got) < 20:
            peer.source.pause()
            await asyncio.sleep(0)
            peer.source.resume()
            more = await peer.take(1)
            await peer.settle(more)
            got += more
        assert bodies_of(got) == numbered(20)
        await peer.until_waiting(0)

    async def test_a_stop_ends_the_source_and_leaves_the_rest_with_the_broker(self, peer: SourcePeer) -> None:
        await peer.publish(*numbered(5))
        [delivery] = await peer.take(1)
        peer.source.stop()
        async with asyncio.timeout(LIMIT):
            with pytest.raises(EndOfSource):
                await peer.source.receive(1, 0.0)
        await peer.settle([delivery])
        await peer.source.close()
        await peer.until_waiting(4)

    async def test_after_a_stop_what_is_out_can_still_be_settled(self, peer: SourcePeer) -> None:
        """The rest is free for others at once, although the source is not closed yet."""
        await peer.publish(*numbered(5))
        got = await peer.take(2)
        peer.source.stop()
        await asyncio.sleep(0.5)
        await peer.settle(got)
        await peer.until_waiting(3)

    async def test_a_stop_wakes_a_receive_that_waits(self, peer: SourcePeer) -> None:
        receiving = asyncio.create_task(peer.source.receive(1, 0.0))
        await asyncio.sleep(0.05)
        peer.source.stop()
        async with asyncio.timeout(LIMIT):
            with pytest.raises(EndOfSource):
                await receiving

    async def test_a_stop_wakes_a_receive_that_looks_for_a_connection(self, peer: SourcePeer) -> None:
        receiving = asyncio.create_task(peer.source.receive(1, 0.0))
        await peer.lose_connection()
        peer.source.stop()
        async with asyncio.timeout(LIMIT):
            with pytest.raises(EndOfSource):
                await receiving

    async def test_closing_twice_is_fine_and_gives_back_what_is_out(self, peer: SourcePeer) -> None:
        await peer.publish(*numbered(2))
        await peer.take(2)
        await peer.source.close()
        await peer.source.close()
        await peer.until_waiting(2)
