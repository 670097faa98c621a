"""The table of the claim protocol, one rule a test."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core import claims
from bridge.core.claims import Cancelled, Claimed, Done, Record, Scheduled
from bridge.model import Answer, Ask, Claim, Move, Schedule, Stage, Standing, State

KEY = b"k" * 16
NOW, TTL = 1_000_000, 86_400_000
LATER = NOW + 40_000
DUE_AT = NOW + 3_600_000
BID = Claimed("me", LATER)
PLANNED = Scheduled(gen=3, due_at=DUE_AT, until=DUE_AT + TTL)
STOPPED = Cancelled(gen=3, until=DUE_AT + TTL)

records = st.one_of(
    st.none(),
    st.builds(Done, st.integers(0, 100)),
    st.builds(Cancelled, st.integers(0, 3), st.integers(0, 100)),
    st.builds(Scheduled, st.integers(0, 3), st.integers(0, 100), st.integers(0, 100)),
    st.builds(
        Claimed,
        st.sampled_from(["me", "you"]),
        st.integers(0, 100),
        st.none()
        | st.builds(Scheduled, st.integers(0, 3), st.integers(0, 100), st.integers(0, 100))
        | st.builds(Cancelled, st.integers(0, 3), st.integers(0, 100)),
    ),
)
asks = st.builds(Ask, st.just(KEY), st.sampled_from(Stage), st.integers(0, 4))


def intake() -> Ask:
    return Ask(KEY)


def due(gen: int) -> Ask:
    return Ask(KEY, Stage.DUE, gen)


@pytest.mark.parametrize(
    ("record", "ask", "answer"),
    [
        (None, intake(), Answer.GRANTED),
        (Claimed("you", LATER), intake(), Answer.BUSY),
        (Claimed("you", NOW), intake(), Answer.GRANTED),
        (Claimed("you", NOW, PLANNED), intake(), Answer.SCHEDULED),
        (Done(LATER), intake(), Answer.DONE),
        (Done(NOW), intake(), Answer.GRANTED),
        (PLANNED, intake(), Answer.SCHEDULED),
        (STOPPED, intake(), Answer.CANCELLED),
        (None, due(0), Answer.GRANTED),
        (Claimed("you", LATER, PLANNED), due(3), Answer.BUSY),
        (Claimed("you", NOW, PLANNED), due(3), Answer.GRANTED),
        (Claimed("you", NOW, PLANNED), due(2), Answer.CANCELLED),
        (Done(LATER), due(9), Answer.DONE),
        (PLANNED, due(2), Answer.CANCELLED),
        (PLANNED, due(3), Answer.GRANTED),
        (PLANNED, due(4), Answer.GRANTED),
        (STOPPED, due(2), Answer.CANCELLED),
        (STOPPED, due(3), Answer.CANCELLED),
        (STOPPED, due(4), Answer.CANCELLED),
    ],
)
def test_the_answer_depends_on_the_record_and_the_stage(record: Record | None, ask: Ask, answer: Answer) -> None:
    assert claims.claim(record, ask, BID, NOW)[1].answer is answer


def test_a_busy_answer_says_how_long_the_other_claim_may_last() -> None:
    assert claims.claim(Claimed("you", NOW + 1_500), intake(), BID, NOW)[1] == Claim(Answer.BUSY, 1.5)


def test_only_a_grant_changes_the_record() -> None:
    for record in (Claimed("you", LATER), Done(LATER), PLANNED, STOPPED):
        assert claims.claim(record, intake(), BID, NOW)[0] == record


def test_a_granted_copy_from_the_delay_line_remembers_where_it_came_from() -> None:
    assert claims.claim(PLANNED, due(3), BID, NOW)[0] == Claimed("me", LATER, PLANNED)


def test_release_and_the_end_of_the_lease_bring_the_scheduled_record_back() -> None:
    claimed, _ = claims.claim(PLANNED, due(3), BID, NOW)
    assert claims.release(claimed, "me", NOW) == PLANNED
    assert claims.current(claimed, LATER) == PLANNED


def test_a_newer_copy_makes_the_older_one_stale_even_after_its_release() -> None:
    claimed, _ = claims.claim(PLANNED, due(4), BID, NOW)
    released = claims.release(claimed, "me", NOW)
    assert claims.claim(released, due(3), BID, NOW)[1].answer is Answer.CANCELLED
    assert claims.claim(released, due(4), BID, NOW)[1].answer is Answer.GRANTED


@pytest.mark.parametrize("record", [None, Claimed("you", LATER), Claimed("me", NOW), Done(LATER), PLANNED, STOPPED])
def test_release_renew_and_schedule_leave_alone_what_is_not_theirs(record: Record | None) -> None:
    assert claims.release(record, "me", NOW) == record
    assert claims.renew(record, BID, NOW) == (record, False)
    assert claims.schedule(record, Schedule(KEY, 1, DUE_AT), "me", TTL, NOW) is None


def test_renew_prolongs_and_never_shortens() -> None:
    assert claims.renew(Claimed("me", NOW + 1, PLANNED), BID, NOW) == (Claimed("me", LATER, PLANNED), True)
    assert claims.renew(Claimed("me", LATER + 1), BID, NOW) == (Claimed("me", LATER + 1), True)


@pytest.mark.parametrize(("due_at", "until"), [(DUE_AT, DUE_AT + TTL), (NOW - 5_000, NOW + TTL)])
def test_a_scheduled_record_outlives_its_copy_by_the_ttl(due_at: int, until: int) -> None:
    assert claims.schedule(BID, Schedule(KEY, 7, due_at), "me", TTL, NOW) == Scheduled(7, due_at, until)


def test_cancel_stops_what_is_scheduled_and_nothing_else() -> None:
    assert claims.cancel(PLANNED, TTL, NOW) == STOPPED
    for record in (None, Claimed("you", LATER, PLANNED), Done(LATER), STOPPED, Scheduled(1, 0, NOW)):
        assert claims.cancel(record, TTL, NOW) is None


def test_a_commit_lasts_for_the_ttl() -> None:
    assert claims.commit(None, NOW, TTL) == Done(NOW + TTL)


@given(record=records, ask=asks, now=st.integers(0, 100))
def test_whoever_is_granted_owns_the_claim_and_nobody_else_is_granted(
    record: Record | None, ask: Ask, now: int
) -> None:
    after, answer = claims.claim(record, ask, Claimed("new", now + 10), now)
    again = claims.claim(after, ask, Claimed("other", now + 10), now)[1]
    if answer.answer is Answer.GRANTED:
        assert isinstance(after, Claimed)
        assert after.owner == "new"
        assert again.answer is Answer.BUSY
    else:
        assert after == claims.current(record, now)
        assert again == answer


@given(record=records, now=st.integers(0, 100))
def test_no_expired_record_survives_and_a_live_one_is_untouched(record: Record | None, now: int) -> None:
    live = claims.current(record, now)
    assert live is None or live.until > now
    if record is not None and record.until > now:
        assert live is record


def test_a_moved_event_waits_again_and_only_if_there_is_something_to_wait_for() -> None:
    moved = claims.move(PLANNED, Move(KEY, DUE_AT + 1), TTL, NOW)
    assert moved == Scheduled(3, DUE_AT + 1, DUE_AT + 1 + TTL)
    rung = due(3)._replace(due_at=DUE_AT)
    assert claims.claim(moved, rung, BID, NOW) == (
        Claimed("me", LATER, moved),
        Claim(Answer.GRANTED, due_at=DUE_AT + 1),
    )
    late = DUE_AT + 1
    assert claims.claim(moved, rung, replace(BID, until=late + 1), late)[1] == claims.GRANTED


def test_a_copy_that_rings_when_its_record_says_is_never_told_to_wait_whatever_the_clock_of_the_store() -> None:
    rung = due(3)._replace(due_at=DUE_AT)
    assert claims.claim(PLANNED, rung, BID, NOW)[1] == claims.GRANTED


def test_move_puts_off_what_is_scheduled_for_earlier_and_nothing_else() -> None:
    for record in (None, Claimed("you", LATER, PLANNED), Done(LATER), STOPPED, Scheduled(1, 0, NOW)):
        assert claims.move(record, Move(KEY, DUE_AT + 1), TTL, NOW) is None
    for due_at in (DUE_AT, DUE_AT - 1, 0):
        assert claims.move(PLANNED, Move(KEY, due_at), TTL, NOW) is None


def test_a_copy_that_replaces_is_granted_what_is_scheduled_for_another_time() -> None:
    anew = Ask(KEY, due_at=NOW + 5, replaces=True)
    assert claims.claim(PLANNED, anew, BID, NOW) == (Claimed("me", LATER, PLANNED), Claim(Answer.GRANTED, gen=4))
    assert claims.claim(PLANNED, anew._replace(due_at=DUE_AT), BID, NOW) == (PLANNED, claims.SCHEDULED)


def test_no_record_ends_before_the_last_alarm_of_its_event() -> None:
    claimed, _ = claims.claim(PLANNED, Ask(KEY, due_at=NOW + 5, replaces=True), BID, NOW)
    replaced = claims.schedule(claimed, Schedule(KEY, 4, NOW + 5), "me", TTL, NOW)
    assert replaced == Scheduled(4, NOW + 5, PLANNED.until)
    assert claims.cancel(replaced, TTL, NOW) == Cancelled(4, PLANNED.until)
    assert claims.commit(claimed, NOW, TTL) == claims.commit(replaced, NOW, TTL) == Done(PLANNED.until)


def test_a_copy_that_the_store_was_not_told_of_brings_its_own_plan() -> None:
    rung = Ask(KEY, Stage.DUE, 4, NOW - 1)
    assert claims.claim(PLANNED, rung, BID, NOW)[0] == Claimed("me", LATER, Scheduled(4, NOW - 1, PLANNED.until))


def test_what_is_left_over_of_a_commit_is_what_outlives_it_by_far() -> None:
    assert claims.left_over(PLANNED, DUE_AT - TTL, TTL) == Cancelled(3, PLANNED.until)
    assert claims.left_over(Claimed("me", LATER, STOPPED), DUE_AT - TTL, TTL) == STOPPED
    for record in (None, Done(PLANNED.until), Claimed("me", LATER), PLANNED):
        assert claims.left_over(record, DUE_AT, TTL) is None


@pytest.mark.parametrize(
    ("record", "standing"),
    [
        (None, Standing(State.UNKNOWN)),
        (Done(NOW), Standing(State.UNKNOWN)),
        (Done(LATER), Standing(State.DONE, until=LATER)),
        (PLANNED, Standing(State.SCHEDULED, 3, DUE_AT, DUE_AT + TTL)),
        (STOPPED, Standing(State.CANCELLED, 3, None, DUE_AT + TTL)),
        (Claimed("you", LATER), Standing(State.CLAIMED, until=LATER)),
        (Claimed("you", LATER, PLANNED), Standing(State.CLAIMED, 3, DUE_AT, LATER)),
        (Claimed("you", NOW, PLANNED), Standing(State.SCHEDULED, 3, DUE_AT, DUE_AT + TTL)),
    ],
)
def test_the_standing_is_what_the_record_says_now(record: Record | None, standing: Standing) -> None:
    assert claims.standing(record, NOW) == standing
