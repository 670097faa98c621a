"""The books of a batch: single facts first, then every sequence of facts Hypothesis can think of."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from bridge.core.ledger import Ledger
from bridge.core.retry import RetryPolicy
from bridge.core.slots import Carrier, Ending, Mark, Park, Result, Rules, Slot
from bridge.model import (
    Accepted,
    Answer,
    Burial,
    Claim,
    Delivery,
    Envelope,
    Hold,
    Misconfigured,
    Outcome,
    Rejected,
    Retryable,
    Shape,
    Stage,
    Ticket,
    Unsent,
)

NOW = 1_800_000_000_000
RULES = Rules(route="orders", retry=RetryPolicy(max_attempts=3), seal=lambda event: b"sealed:" + event.id.encode())
GRANTED = Claim(Answer.GRANTED)


def never(_event: Envelope, _now: int) -> bool:
    return False


def slot(
    event_id: str = "e1",
    *,
    due: int | None = None,
    alarm: int | None = None,
    attempt: int = 1,
    alone: bool = True,
    gen: int = 0,
    seen: int = NOW,
) -> Slot:
    ticket = None
    if alarm is not None:
        ticket = Ticket(route="orders", id=event_id, due_at=alarm, attempt=attempt, first_seen=seen, gen=gen)
    stage = Stage.INTAKE if alarm is None else Stage.DUE
    delivery = Delivery(body=b"body", origin="rabbitmq:orders", stage=stage, ticket=ticket)
    event = Envelope(id=event_id, name="user.created", due_at=due)
    carrier = Carrier(delivery, 1 if alone else 2)
    return Slot(
        carrier=carrier,
        event=event,
        key=event_id.encode(),
        first_seen=seen,
        attempt=attempt,
        gen=gen,
        alarm=alarm or 0,
        alone=alone,
    )


def sent(one: Slot, outcome: Outcome, *, outage: bool = False, room: int = 0) -> Ending | None:
    """The ending of a slot that was granted and sent."""
    ledger = Ledger(RULES, [one])
    ledger.sort(NOW, 10, never)
    ledger.claimed([GRANTED], NOW, 10)
    ledger.sent(one, outcome, NOW, outage=outage, rand=0.5, room=room)
    endings = ledger.take_endings()
    return endings[0][1] if endings else None


def test_accepted_is_committed() -> None:
    assert sent(slot(), Accepted("ref")) == Ending(Result.ACCEPTED, mark=Mark.COMMIT)


def test_rejected_is_buried_and_then_committed_as_dead() -> None:
    ending = sent(slot(), Rejected("HTTP 422"))

    assert ending is not None
    assert isinstance(ending.act, Burial)
    assert (ending.act.kind, ending.act.reason, ending.act.body) == ("rejected", "HTTP 422", b"body")
    assert ending.mark is Mark.COMMIT


def test_retryable_is_held_with_the_next_attempt_and_then_released() -> None:
    ending = sent(slot(), Retryable("HTTP 500"))

    assert ending is not None
    assert isinstance(ending.act, Hold)
    assert (ending.act.ticket.attempt, ending.act.ticket.due_at) == (2, NOW + 2_500)
    assert ending.mark is Mark.RELEASE


def test_a_short_retry_is_parked_where_there_is_room() -> None:
    one = slot()

    assert sent(one, Retryable("HTTP 500"), room=1) == Ending(Result.PARKED, Park(NOW + 2_500), Mark.RELEASE)
    assert one.attempt == 2


def test_the_last_attempt_is_buried_as_exhausted() -> None:
    ending = sent(slot(attempt=3), Retryable("HTTP 500"))

    assert ending is not None
    assert isinstance(ending.act, Burial)
    assert ending.act.kind == "exhausted"
    assert "3 attempts: HTTP 500" in ending.act.reason


def test_an_outage_uses_up_no_attempt_and_nobody_gives_up() -> None:
    for free in (
        sent(slot(attempt=3), Retryable("503"), outage=True),
        sent(slot(attempt=3), Retryable("429", 9, True)),
    ):
        assert free is not None
        assert isinstance(free.act, Hold)
        assert free.act.ticket.attempt == 3
        assert free.result is Result.DEFERRED


def test_retry_after_wins_over_the_backoff() -> None:
    ending = sent(slot(), Retryable("503", after=60))

    assert ending is not None
    assert isinstance(ending.act, Hold)
    assert ending.act.ticket.due_at == NOW + 60_000


def test_age_counts_from_when_the_event_was_due() -> None:
    seen = NOW - 10 * 86_400_000
    late = sent(slot(seen=seen, due=NOW - 1_000, alarm=NOW - 1_000), Retryable("500"))
    old = sent(slot(seen=seen), Retryable("500"))

    assert late is not None
    assert isinstance(late.act, Hold)
    assert old is not None
    assert isinstance(old.act, Burial)
    assert old.act.kind == "expired"


def test_misconfigured_and_unsent_leave_the_slot_waiting() -> None:
    for outcome in (Misconfigured("401"), Unsent()):
        assert sent(slot(), outcome) is None


def test_due_later_is_claimed_held_and_then_scheduled() -> None:
    one = slot(due=NOW + 60_000)
    ledger = Ledger(RULES, [one])

    asks = ledger.sort(NOW, 10, never)
    ledger.claimed([GRANTED], NOW, 10)

    assert [ask.key for ask in asks] == [one.key]
    [(_, ending)] = ledger.take_endings()
    assert isinstance(ending.act, Hold)
    assert (ending.act.ticket.due_at, ending.act.ticket.event_due) == (NOW + 60_000, NOW + 60_000)
    assert (ending.result, ending.mark) == (Result.SCHEDULED, Mark.SCHEDULE)
    assert not ledger.undecided


def test_due_soon_is_parked_without_a_claim() -> None:
    ledger = Ledger(RULES, [slot(due=NOW + 2_000)])

    assert ledger.sort(NOW, 1, never) == []
    [(_, ending)] = ledger.take_endings()
    assert ending == Ending(Result.PARKED, Park(NOW + 2_000))


def test_due_soon_is_held_where_there_is_no_room() -> None:
    ledger = Ledger(RULES, [slot(due=NOW + 2_000)])

    assert len(ledger.sort(NOW, 0, never)) == 1


def test_due_later_goes_out_now_where_the_target_holds_it() -> None:
    one = slot(due=NOW + 60_000)
    ledger = Ledger(RULES, [one])

    ledger.sort(NOW, 10, lambda _event, _now: True)
    ledger.claimed([GRANTED], NOW, 10)

    assert ledger.undecided == [one]


def test_beyond_max_delay_is_buried_never_clamped() -> None:
    ledger = Ledger(RULES, [slot(due=NOW + RULES.max_delay + 1_000)])

    assert ledger.sort(NOW, 10, never) == []
    [(_, ending)] = ledger.take_endings()
    assert isinstance(ending.act, Burial)
    assert ending.act.kind == "too_late"


def test_a_copy_that_came_back_early_is_held_again_unclaimed() -> None:
    ledger = Ledger(RULES, [slot(alarm=NOW + 60_000)])

    assert ledger.sort(NOW, 10, never) == []
    [(_, ending)] = ledger.take_endings()
    assert isinstance(ending.act, Hold)
    assert (ending.act.ticket.due_at, ending.mark) == (NOW + 60_000, Mark.NONE)


def test_done_scheduled_and_cancelled_are_settled_and_nothing_else() -> None:
    for answer, result in (
        (Answer.DONE, Result.DUPLICATE),
        (Answer.SCHEDULED, Result.DUPLICATE),
        (Answer.CANCELLED, Result.CANCELLED),
    ):
        ledger = Ledger(RULES, [slot()])
        ledger.sort(NOW, 10, never)
        ledger.claimed([Claim(answer)], NOW, 10)

        assert [ending for _, ending in ledger.take_endings()] == [Ending(result)]


def test_busy_is_parked_or_held_but_never_settled_away() -> None:
    for room, act in ((1, Park), (0, Hold)):
        ledger = Ledger(RULES, [slot(attempt=2)])
        ledger.sort(NOW, 10, never)
        ledger.claimed([Claim(Answer.BUSY, 20.0)], NOW, room)

        [(_, ending)] = ledger.take_endings()
        assert isinstance(ending.act, act)
        if isinstance(ending.act, Hold):
            assert (ending.act.ticket.due_at, ending.act.ticket.attempt) == (NOW + 20_000, 2)


def test_a_twin_follows_its_leader_and_is_not_claimed() -> None:
    leader, twin = slot("same"), slot("same")
    ledger = Ledger(RULES, [leader, twin])

    assert len(ledger.sort(NOW, 10, never)) == 1
    assert leader.twins == [twin]
    assert ledger.undecided == [leader]


def test_a_copy_that_came_due_never_follows_its_original() -> None:
    """The store calls the original a duplicate of the scheduled copy; following it would lose both."""
    original, due = slot("same"), slot("same", alarm=NOW)
    ledger = Ledger(RULES, [original, due])

    assert [ask.stage for ask in ledger.sort(NOW, 10, never)] == [Stage.INTAKE, Stage.DUE]


def test_a_rescheduled_copy_never_follows_a_stale_one() -> None:
    stale, fresh = slot("same", alarm=NOW, gen=0), slot("same", alarm=NOW, gen=1)

    assert len(Ledger(RULES, [stale, fresh]).sort(NOW, 10, never)) == 2


def test_an_event_of_an_array_is_held_as_an_envelope_of_its_own() -> None:
    ending = sent(slot(alone=False), Retryable("500"))

    assert ending is not None
    assert isinstance(ending.act, Hold)
    assert (ending.act.body, ending.act.ticket.shape) == (b"sealed:e1", Shape.ENVELOPE)


def test_poison_is_buried_as_the_publisher_sent_it() -> None:
    one = slot()
    ledger = Ledger(RULES, [one])

    ledger.poison(one, "event.name is missing")

    [(_, ending)] = ledger.take_endings()
    assert isinstance(ending.act, Burial)
    assert (ending.act.body, ending.act.kind, ending.act.event_id) == (b"body", "poison", None)


def test_what_cannot_be_held_is_buried() -> None:
    one = slot(due=NOW + 60_000)
    ledger = Ledger(RULES, [one])
    ledger.sort(NOW, 10, never)
    ledger.claimed([GRANTED], NOW, 10)
    ledger.take_endings()

    ledger.unholdable(one, "larger than the broker takes")

    [(_, ending)] = ledger.take_endings()
    assert isinstance(ending.act, Burial)


def test_after_a_fault_everything_not_carried_out_is_undecided_again() -> None:
    leader, twin, other = slot("same"), slot("same"), slot("other")
    ledger = Ledger(RULES, [leader, twin, other])
    ledger.sort(NOW, 10, never)
    ledger.claimed([Claim(Answer.DONE), GRANTED], NOW, 10)

    assert ledger.revive() == [leader, other]
    assert ledger.take_endings() == []


slots = st.builds(
    slot,
    st.sampled_from(["a", "b", "c"]),
    due=st.none() | st.integers(NOW - 10_000, NOW + 500 * 86_400_000),
    alarm=st.none() | st.integers(NOW - 10_000, NOW + 10_000),
    attempt=st.integers(1, 4),
    alone=st.booleans(),
    gen=st.integers(0, 1),
)
claims = st.builds(Claim, st.sampled_from(Answer), st.floats(0, 60))
outcomes = st.one_of(
    st.just(Accepted()),
    st.builds(Retryable, st.just("500"), st.none() | st.floats(0, 100), st.booleans()),
    st.just(Rejected("422")),
    st.just(Misconfigured("401")),
    st.just(Unsent()),
)


@given(st.lists(slots, max_size=8), st.data(), st.integers(0, 5), st.booleans())
def test_every_slot_ends_exactly_once_or_stays_open(
    batch: list[Slot], data: st.DataObject, room: int, native: bool
) -> None:
    ledger = Ledger(RULES, batch)
    asks = ledger.sort(NOW, room, lambda _event, _now: native)
    ledger.claimed([data.draw(claims) for _ in asks], NOW, room)
    granted = ledger.undecided
    for one in granted:
        ledger.sent(one, data.draw(outcomes), NOW, outage=data.draw(st.booleans()), rand=0.5, room=room)
    waiting = ledger.undecided
    for one in waiting:
        ledger.defer(one, NOW, 1_000, "target is away")
    endings = ledger.take_endings()

    ends = Counter(id(one) for one, _ in endings)
    followers = Counter(id(twin) for one, _ in endings for twin in one.twins)
    assert set((ends + followers).values()) <= {1}
    assert set(ends) | set(followers) == {id(one) for one in batch}
    for one, ending in endings:
        settled_for_good = not isinstance(ending.act, Hold | Burial | Park)
        # Only an accepted event, a duplicate and a cancelled one may go without a durable act.
        assert not settled_for_good or ending.result in {Result.ACCEPTED, Result.DUPLICATE, Result.CANCELLED}
        if isinstance(ending.act, Hold):
            assert ending.act.ticket.id == one.event.id
            assert ending.act.ticket.first_seen == one.first_seen
            assert ending.act.ticket.event_due == one.event.due_at
