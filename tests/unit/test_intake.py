import asyncio
from collections import Counter
from typing import cast

import pytest

from bridge import intake as module
from bridge.errors import Unavailable
from bridge.intake import Intake
from bridge.ports import Source


class Tap:
    """The two methods of a source that an intake uses, recorded."""

    def __init__(self) -> None:
        self.paused = False

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False


def made() -> tuple[Intake, Tap, Counter[str]]:
    tap, reasons = Tap(), Counter[str]()
    return Intake([cast(Source, tap)], reasons), tap, reasons


def test_it_stays_closed_until_the_last_reason_is_gone() -> None:
    intake, tap, _ = made()
    intake.hold_back("store")
    intake.hold_back("store")
    intake.hold_back("target")

    intake.let_go("store")
    intake.let_go("target")
    assert tap.paused

    intake.let_go("store")
    assert not tap.paused


def test_whoever_wants_to_know_is_told_when_it_closes_and_when_it_opens() -> None:
    told: list[bool] = []
    intake = Intake([], Counter[str](), told.append)
    for reason in ("store", "target"):
        intake.hold_back(reason)
    for reason in ("store", "target"):
        intake.let_go(reason)
    assert told == [True, False]


async def test_insisting_pauses_meanwhile_and_repeats_until_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT", 0.001)
    intake, tap, reasons = made()
    tries: list[bool] = []

    async def act() -> str:
        tries.append(tap.paused)
        if len(tries) < 3:
            raise Unavailable("away")
        return "done"

    assert await intake.insist("store", act) == "done"

    assert tries == [False, True, True]
    assert not tap.paused
    assert not any(reasons.values())


async def test_insisting_ends_with_the_last_error_at_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT", 0.001)
    intake, tap, _ = made()

    async def act() -> None:
        raise Unavailable("still away")

    with pytest.raises(Unavailable, match="still away"):
        await intake.insist("store", act, 0.02)
    assert not tap.paused


async def test_shutdown_ends_insisting_after_one_last_try() -> None:
    intake, _, _ = made()
    tries = 0

    async def act() -> None:
        nonlocal tries
        tries += 1
        raise Unavailable("away")

    insisting = asyncio.create_task(intake.insist("delay", act))
    await asyncio.sleep(0)
    intake.stop()

    with pytest.raises(Unavailable):
        await asyncio.wait_for(insisting, 5)
    assert tries == 2
