"""The gate on the real event loop, with waits of milliseconds."""

import asyncio

from bridge.core.breaker import BreakerPolicy, State
from bridge.gate import Admission, Gate
from bridge.model import Retryable

FAST = BreakerPolicy(consecutive=3, probe_base=0.05, probe_cap=0.1, probe_timeout=0.2)


def gate() -> tuple[Gate, list[str]]:
    """A gate, and what happened at it: "refresh", "shut", "open"."""
    events: list[str] = []
    made = Gate(FAST, refresh=lambda: events.append("refresh"))
    made.on_shut = lambda shut: events.append("shut" if shut else "open")
    return made, events


def soon(seconds: float = 5.0) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_closed_lets_everything_through() -> None:
    door, _ = gate()

    assert await door.admit(soon()) is Admission.ALL
    assert door.healthy
    assert door.may_send()


async def test_misconfigured_shuts_and_one_probe_with_fresh_secrets_opens_again() -> None:
    door, events = gate()
    door.misconfigured("401")
    assert not door.may_send()

    assert await door.admit(soon()) is Admission.ONE
    assert door.may_send()
    door.passed(1)

    assert await door.admit(soon()) is Admission.ALL
    assert events == ["shut", "open", "refresh"]


async def test_only_one_of_many_waiters_is_the_probe() -> None:
    door, _ = gate()
    door.misconfigured("401")
    waiters = [asyncio.create_task(door.admit(soon())) for _ in range(5)]
    done, rest = await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
    assert [task.result() for task in done] == [Admission.ONE]

    door.passed(1)

    assert [await task for task in rest] == [Admission.ALL] * 4


async def test_a_failed_probe_shuts_again() -> None:
    door, _ = gate()
    door.misconfigured("401")
    assert await door.admit(soon()) is Admission.ONE

    door.failed("503", 1)

    assert door.state is State.OPEN
    assert await door.admit(soon()) is Admission.ONE


async def test_a_pause_shuts_without_opening_the_breaker() -> None:
    door, events = gate()
    door.pause(0.1)
    began = asyncio.get_running_loop().time()
    assert not door.may_send()
    assert not door.healthy

    assert await door.admit(soon()) is Admission.ALL

    assert asyncio.get_running_loop().time() - began >= 0.1
    assert door.state is State.CLOSED
    assert events == ["shut", "open"]


async def test_the_deadline_ends_the_wait() -> None:
    door, _ = gate()
    door.pause(60)

    assert await door.admit(soon(0.05)) is Admission.LATE


async def test_shutdown_ends_the_wait() -> None:
    door, _ = gate()
    door.pause(60)
    waiter = asyncio.create_task(door.admit(soon(60)))
    await asyncio.sleep(0)

    door.stop()

    assert await waiter is Admission.STOPPED


async def test_the_door_opens_for_the_sources_even_when_nobody_waits() -> None:
    door, events = gate()
    door.failed("503", 3)
    opened = asyncio.Event()
    door.on_shut = lambda shut: None if shut else opened.set()

    await asyncio.wait_for(opened.wait(), 5)

    assert events == ["shut"]
    assert door.state is State.OPEN
    assert await door.admit(soon()) is Admission.ONE


async def test_a_target_gets_no_longer_pause_than_the_longest() -> None:
    for asked, waited in ((0.02, 0.0), (3_600.0, 0.05)):
        door = Gate(FAST, refresh=lambda: None, longest_pause=0.1)
        door.hear(Retryable("429", after=asked, pause=True))
        began = asyncio.get_running_loop().time()
        assert await door.admit(soon()) is Admission.ALL
        assert waited <= asyncio.get_running_loop().time() - began < 4
