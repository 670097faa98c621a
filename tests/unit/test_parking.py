import asyncio
import time

from bridge.core.slots import Carrier, Slot
from bridge.core.tally import Tally
from bridge.model import Delivery, Envelope, Stage
from bridge.parking import Parking


def now() -> int:
    return time.time_ns() // 1_000_000


def slot(stage: Stage = Stage.INTAKE) -> Slot:
    carrier = Carrier(Delivery(body=b"", stage=stage), 1)
    return Slot(carrier=carrier, event=Envelope(id="e", name="n"), key=b"k", first_seen=0)


async def test_slots_wake_in_the_order_of_their_times_and_never_early() -> None:
    woken: list[tuple[Slot, int]] = []
    done = asyncio.Event()

    def wake(slots: list[Slot]) -> None:
        woken.extend((one, now()) for one in slots)
        if len(woken) == 3:
            done.set()

    parking = Parking(10, 10, Tally(), now, wake)
    until = {slot(): now() + wait for wait in (90, 30, 60)}
    for one, at in until.items():
        parking.park(one, at)
    await asyncio.wait_for(done.wait(), 5)

    assert [one for one, _ in woken] == sorted(until, key=lambda one: until[one])
    assert all(at >= until[one] for one, at in woken)


async def test_a_timer_that_rings_early_fires_nothing() -> None:
    """uvloop timers may ring 1.3 ms early; the wall clock decides."""
    woken: list[Slot] = []
    clock = [1_000]
    parking = Parking(10, 10, Tally(), lambda: clock[0], woken.extend)
    one = slot()

    parking.park(one, 1_001)
    await asyncio.sleep(0.02)
    assert not woken

    clock[0] = 1_001
    await asyncio.sleep(0.02)
    assert woken == [one]


async def test_the_intake_has_a_lower_limit_than_what_came_due() -> None:
    tally = Tally()
    parking = Parking(3, 1, tally, now, lambda _: None)
    assert parking.room_for([slot()]) == 1

    parking.park(slot(), now() + 60_000)

    assert parking.room_for([slot()]) == 0
    assert parking.room_for([slot(Stage.DUE)]) == 2
    assert tally.parked == 1
    assert len(parking.empty()) == 1
    assert tally.parked == 0


def test_no_slots_need_no_room() -> None:
    assert Parking(3, 1, Tally(), now, lambda _: None).room_for([]) == 0
