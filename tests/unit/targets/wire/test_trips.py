from __future__ import annotations

import asyncio

from bridge.targets.wire.trips import Deadlines, Trip

PATIENCE = 60.0  # seconds


class Ended:
    """What has run out of time, in order, and when."""

    def __init__(self) -> None:
        self.deadlines = Deadlines(self._expire)
        self._ended: asyncio.Queue[tuple[Trip, float]] = asyncio.Queue()

    def _expire(self, trip: Trip) -> None:
        self.deadlines.remove(trip)
        self._ended.put_nowait((trip, asyncio.get_running_loop().time()))

    def begin(self, seconds: float) -> Trip:
        trip = Trip(b"", b"", 0, lambda _: None, asyncio.get_running_loop().time() + seconds)
        self.deadlines.add(trip)
        return trip

    async def next(self) -> Trip:
        trip, when = await asyncio.wait_for(self._ended.get(), PATIENCE)
        assert when >= trip.deadline
        return trip


async def test_trips_end_in_the_order_in_which_they_began_and_never_early() -> None:
    ended = Ended()
    trips = [ended.begin(0.01 * n) for n in range(1, 6)]
    ended.deadlines.remove(trips[2])
    assert [await ended.next() for _ in range(4)] == [trips[0], trips[1], trips[3], trips[4]]
    assert ended.deadlines.trips() == []


async def test_a_trip_that_began_after_all_others_ended_has_its_time_too() -> None:
    ended = Ended()
    for _ in range(3):
        trip = ended.begin(0.01)
        assert await ended.next() is trip


async def test_one_timer_serves_all_and_is_gone_when_stopped() -> None:
    ended = Ended()
    first = ended.begin(3600)
    timer = ended.deadlines._timer
    for _ in range(100):
        ended.deadlines.remove(ended.begin(3600))
    assert ended.deadlines.trips() == [first]
    assert ended.deadlines._timer is timer
    ended.deadlines.stop()
    assert timer is not None
    assert timer.cancelled()
