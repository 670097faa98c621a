"""
The claim protocol, checked exhaustively: no loss, sends within the formula, and every road has an end.

That the checker has teeth is shown too: protocols that are in wide use lose events under it.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.core import claims
from bridge.core.claims import Claimed, Done, Record
from bridge.model import Ask, Claim
from tests.unit.core.claim_model import ALIVE, LAST, NEXT, NOW, Exploration, Faults, Protocol, first_world

PRODUCT = Protocol()
IN_PROCESS = Protocol(
    busy=("claim",), failed=("release", "claim"), failed_anew=("release", "claim")
)  # short waits are parked, unsettled

BUDGETS = [
    Faults(),
    Faults(crash=1),
    Faults(lost_lease=1),
    Faults(failed_send=1),
    Faults(lost_reply=1),
    Faults(crash=2),
    Faults(failed_send=1, lost_reply=1),
    Faults(crash=1, lost_lease=1, failed_send=1),
    Faults(crash=1, lost_lease=1, lost_reply=1),
]


def explore(protocol: Protocol, faults: Faults, *, delayed: bool = False, copies: int = 2) -> Exploration:
    plans = [NEXT if delayed else NOW] * copies
    return Exploration(first_world(plans=plans, workers=2, faults=faults), protocol)


@pytest.mark.parametrize("delayed", [False, True], ids=["now", "delayed"])
@pytest.mark.parametrize("protocol", [PRODUCT, IN_PROCESS], ids=["held", "in-process"])
@pytest.mark.parametrize("faults", BUDGETS, ids=str)
def test_nothing_is_lost_and_sends_stay_within_the_formula(faults: Faults, protocol: Protocol, delayed: bool) -> None:
    worlds = explore(protocol, faults, delayed=delayed)
    assert worlds.find(lambda world: world.is_lost) is None
    assert worlds.too_many_sends() is None
    assert worlds.stuck() is None
    assert worlds.most_sends() == 1 + sum(faults), "the formula is reached, so the faults were really tried"


@pytest.mark.parametrize("delayed", [False, True], ids=["now", "delayed"])
@pytest.mark.parametrize("faults", [Faults(forgotten=1), Faults(crash=1, forgotten=1)], ids=str)
def test_a_store_that_forgets_costs_a_send_and_never_an_event(faults: Faults, delayed: bool) -> None:
    """What a power cut, a damaged file and `max_keys` may do."""
    worlds = explore(PRODUCT, faults, delayed=delayed)
    assert worlds.find(lambda world: world.is_lost) is None
    assert worlds.too_many_sends() is None
    assert worlds.stuck() is None


@pytest.mark.parametrize(
    "faults", [Faults(cancel=1), Faults(cancel=1, crash=1), Faults(cancel=1, failed_send=1)], ids=str
)
def test_what_was_cancelled_is_not_sent_any_more(faults: Faults) -> None:
    worlds = explore(PRODUCT, faults, delayed=True)
    assert worlds.find(lambda world: world.cancelled and world.is_over and not world.sends) is not None
    assert worlds.find(lambda world: world.sent_after_cancel) is None
    assert worlds.find(lambda world: world.is_lost) is None
    assert worlds.stuck() is None


@pytest.mark.parametrize(
    "faults",
    [Faults(move=1), Faults(move=1, crash=1), Faults(move=1, failed_send=1), Faults(move=1, lost_lease=1)],
    ids=str,
)
def test_what_was_moved_is_sent_and_not_before_its_new_time(faults: Faults) -> None:
    worlds = explore(PRODUCT, faults, delayed=True)
    assert worlds.find(lambda world: world.moved and world.accepted) is not None
    if not faults.lost_lease:  # who does not know that its claim is lost sends what it was granted before
        assert worlds.find(lambda world: world.sent_before_move) is None
    assert worlds.find(lambda world: world.is_lost) is None
    assert worlds.too_many_sends() is None
    assert worlds.stuck() is None


@pytest.mark.parametrize("faults", [Faults(move=1, cancel=1), Faults(move=1, cancel=1, crash=1)], ids=str)
def test_what_was_moved_can_be_cancelled(faults: Faults) -> None:
    worlds = explore(PRODUCT, faults, delayed=True, copies=1)
    assert worlds.find(lambda world: world.moved and world.cancelled and world.is_over and not world.sends) is not None
    assert worlds.find(lambda world: world.sent_after_cancel or world.sent_before_move) is None
    assert worlds.find(lambda world: world.is_lost) is None
    assert worlds.stuck() is None


@pytest.mark.parametrize("plans", [(NEXT, LAST), (NOW, NEXT), (NEXT, NEXT)], ids=str)
@pytest.mark.parametrize("protocol", [PRODUCT, IN_PROCESS], ids=["held", "in-process"])
@pytest.mark.parametrize(
    "faults", [Faults(), Faults(crash=1), Faults(lost_lease=1), Faults(failed_send=1), Faults(lost_reply=1)], ids=str
)
def test_a_copy_that_was_replaced_is_not_sent_and_nothing_is_lost(
    faults: Faults, protocol: Protocol, plans: tuple[int, int]
) -> None:
    worlds = Exploration(first_world(plans=plans, workers=2, faults=faults, replaces=True), protocol)
    assert worlds.find(lambda world: world.is_lost) is None
    assert worlds.too_many_sends() is None
    assert worlds.stuck() is None
    if not faults.lost_lease:
        assert worlds.find(lambda world: world.sent_stale) is None


def test_a_copy_is_really_replaced() -> None:
    worlds = Exploration(first_world(plans=(NEXT, LAST), workers=2, faults=Faults(), replaces=True), PRODUCT)
    assert worlds.find(lambda world: bool(world.newest and world.accepted)) is not None


@pytest.mark.parametrize(
    "faults", [Faults(cancel=1), Faults(cancel=1, crash=1), Faults(cancel=1, failed_send=1)], ids=str
)
def test_what_was_replaced_can_be_cancelled(faults: Faults) -> None:
    worlds = Exploration(first_world(plans=(NEXT, LAST), workers=2, faults=faults, replaces=True), PRODUCT)
    assert worlds.find(lambda world: world.sent_after_cancel) is None
    assert worlds.find(lambda world: world.is_lost) is None
    assert worlds.stuck() is None


def mark_first(record: Record | None, _ask: Ask, _bid: Claimed, now: int) -> tuple[Record | None, Claim]:
    """As most peers do: the key is set before the send."""
    return (record, claims.DONE) if record else (claims.commit(record, now, ALIVE), claims.GRANTED)


def look_only(record: Record | None, _ask: Ask, _bid: Claimed, _now: int) -> tuple[Record | None, Claim]:
    """Look before the send, mark after it, and claim nothing in between."""
    return record, claims.DONE if isinstance(record, Done) else claims.GRANTED


def deaf(record: Record | None, ask: Ask, bid: Claimed, now: int) -> tuple[Record | None, Claim]:
    """Whatever rings is sent, whatever the record says of its time."""
    after, claim = claims.claim(record, ask, bid, now)
    return after, replace(claim, due_at=None)


def test_the_checker_sees_what_is_sent_before_its_new_time() -> None:
    worlds = explore(replace(PRODUCT, claim=deaf), Faults(move=1), delayed=True)
    assert worlds.find(lambda world: world.sent_before_move) is not None


LOSING = [
    pytest.param(replace(PRODUCT, claim=mark_first), Faults(failed_send=1), False, 2, id="mark-first-and-fail"),
    pytest.param(replace(PRODUCT, claim=mark_first), Faults(crash=1), False, 2, id="mark-first-and-crash"),
    pytest.param(replace(PRODUCT, busy=("settle",)), Faults(crash=1), False, 2, id="settle-if-busy"),
    pytest.param(
        replace(PRODUCT, later=("settle", "hold", "schedule")), Faults(crash=1), True, 1, id="settle-before-hold"
    ),
    pytest.param(
        replace(PRODUCT, failed=("settle", "hold", "release")),
        Faults(crash=1, failed_send=1),
        False,
        1,
        id="settle-before-retry",
    ),
    pytest.param(
        replace(PRODUCT, later=("schedule", "settle", "hold")), Faults(crash=1), True, 2, id="schedule-before-hold"
    ),
    pytest.param(replace(PRODUCT, tells_stages_apart=False), Faults(), True, 2, id="one-stage-for-all"),
]


@pytest.mark.parametrize(("protocol", "faults", "delayed", "copies"), LOSING)
def test_the_checker_sees_how_other_protocols_lose_events(
    protocol: Protocol, faults: Faults, delayed: bool, copies: int
) -> None:
    assert explore(protocol, faults, delayed=delayed, copies=copies).find(lambda world: world.is_lost) is not None
    assert explore(PRODUCT, faults, delayed=delayed, copies=copies).find(lambda world: world.is_lost) is None


def test_the_checker_sees_how_a_protocol_without_claims_sends_too_often() -> None:
    assert explore(replace(PRODUCT, claim=look_only), Faults()).too_many_sends() is not None


def test_the_checker_sees_a_road_without_end() -> None:
    assert explore(replace(PRODUCT, known=("claim",)), Faults()).stuck() is not None


def test_the_checker_tells_how_it_happened() -> None:
    worlds = explore(replace(PRODUCT, tells_stages_apart=False), Faults(), delayed=True, copies=1)
    story = worlds.find(lambda world: world.is_lost)
    assert story is not None
    assert "worker 0 schedule" in story
    assert story[-2:] == ["worker 0 asks: scheduled", "worker 0 settle"]
