"""The books of a batch whose slots stand in lanes: nothing in them ever goes to the delay line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.core.lanes import Lanes, StuckRule
from bridge.core.ordered import OrderedLedger
from bridge.core.slots import Ending, Mark, Park, Result, Slot
from bridge.model import Accepted, Answer, Burial, Claim, Hold, Outcome, Rejected, Retryable
from tests.unit.core.test_ledger import GRANTED, NOW, RULES, claims, never, outcomes, slot

SECOND = 1_000
BURY = StuckRule(after=300.0, bury=True)
BLOCK = StuckRule(after=300.0, bury=False)


class Book:
    """One slot in a lane, granted, with an endless supply of failures."""

    def __init__(self, one: Slot, rule: StuckRule) -> None:
        self.lanes = Lanes()
        self.lanes.enter(b"key", one)
        self.one, self.rule = one, rule

    def ledger(self) -> OrderedLedger:
        ledger = OrderedLedger(RULES, [self.one], self.lanes, self.rule)
        ledger.sort(NOW, 0, never)
        ledger.claimed([GRANTED], NOW, 0)
        return ledger

    def sent(self, outcome: Outcome, now: int = NOW, *, outage: bool = False, rand: float = 0.5) -> Ending:
        self.one.alarm = 0  # it was parked until now
        ledger = self.ledger()
        ledger.sent(self.one, outcome, now, outage=outage, rand=rand, room=0)
        [(_, ending)] = ledger.take_endings()
        return ending


def test_a_failure_is_parked_whatever_room_there_is_and_keeps_its_turn() -> None:
    one = slot()
    book = Book(one, BURY)

    assert book.sent(Retryable("500")) == Ending(Result.PARKED, Park(NOW + 2_500), Mark.RELEASE)
    assert one.attempt == 2
    assert one in book.lanes


def test_after_the_last_attempt_it_is_buried_as_anywhere() -> None:
    ending = Book(slot(attempt=3), BURY).sent(Retryable("500"))

    assert isinstance(ending.act, Burial)
    assert ending.act.kind == "exhausted"


def test_what_holds_its_key_up_for_too_long_is_buried_with_its_reason() -> None:
    book = Book(slot(), BURY)
    book.sent(Retryable("HTTP 500"))

    ending = book.sent(Retryable("HTTP 500: why"), NOW + 301 * SECOND)

    assert isinstance(ending.act, Burial)
    assert (ending.act.kind, ending.act.attempts, ending.mark) == ("stuck", 2, Mark.COMMIT)
    assert ending.act.reason == "held its key up for 301 s: HTTP 500: why"


def test_the_last_try_is_made_when_the_time_is_over() -> None:
    book = Book(slot(), BURY)
    book.sent(Retryable("500"))

    ending = book.sent(Retryable("500", after=3_000), NOW + 290 * SECOND)

    assert ending.act == Park(NOW + 300 * SECOND)


def test_a_blocked_key_waits_without_end_and_says_so_once() -> None:
    book = Book(slot(attempt=50), BLOCK)

    acts = [book.sent(Retryable("500"), NOW + minute * 60 * SECOND, rand=0.99).act for minute in range(8)]

    assert all(isinstance(act, Park) for act in acts)
    assert acts[-1] == Park(NOW + (7 * 60 + 300) * SECOND), "the longest wait is stuck_after"
    assert book.lanes.stuck == 1
    assert book.lanes.take_news() == [(book.one, "500")]


def test_an_outage_neither_starts_the_clock_nor_uses_up_an_attempt() -> None:
    book = Book(slot(), BURY)
    for minute in range(30):
        assert isinstance(book.sent(Retryable("503"), NOW + minute * 60 * SECOND, outage=True).act, Park)

    assert book.one.attempt == 1
    assert isinstance(book.sent(Retryable("500"), NOW + 3_600 * SECOND).act, Park)


def test_waiting_for_what_is_down_goes_on_in_the_process() -> None:
    book = Book(slot(), BURY)
    ledger = book.ledger()

    ledger.defer(book.one, NOW, 300 * SECOND, "target: 401")

    [(_, ending)] = ledger.take_endings()
    assert ending == Ending(Result.PARKED, Park(NOW + RULES.busy_poll), Mark.RELEASE)


def test_a_copy_that_is_being_sent_elsewhere_is_waited_for() -> None:
    book = Book(slot(), BURY)
    ledger = OrderedLedger(RULES, [book.one], book.lanes, BURY)
    ledger.sort(NOW, 0, never)

    ledger.claimed([Claim(Answer.BUSY, 20.0)], NOW, 0)

    [(_, ending)] = ledger.take_endings()
    assert ending == Ending(Result.PARKED, Park(NOW + RULES.busy_poll))


def test_a_clock_that_was_set_back_moves_nobody_to_the_delay_line() -> None:
    one = slot()
    book = Book(one, BURY)
    one.alarm = NOW + 3_600 * SECOND
    ledger = OrderedLedger(RULES, [one], book.lanes, BURY)

    assert ledger.sort(NOW, 0, never) == []
    [(_, ending)] = ledger.take_endings()
    assert ending == Ending(Result.PARKED, Park(one.alarm))


def test_a_duplicate_leaves_its_lane_and_those_behind_it_go_on() -> None:
    leader, twin, behind = slot("same"), slot("same"), slot("behind")
    lanes = Lanes()
    for key, one in ((b"a", leader), (b"b", twin), (b"b", behind)):
        lanes.enter(key, one)

    OrderedLedger(RULES, [leader, twin], lanes, BURY).sort(NOW, 0, never)

    assert leader.twins == [twin]
    assert lanes.take_ready() == [behind]


def test_what_stands_in_no_lane_is_treated_as_anywhere() -> None:
    one = slot()
    ledger = OrderedLedger(RULES, [one], Lanes(), BURY)
    ledger.sort(NOW, 0, never)
    ledger.claimed([GRANTED], NOW, 0)

    ledger.sent(one, Retryable("500"), NOW, outage=False, rand=0.5, room=0)

    [(_, ending)] = ledger.take_endings()
    assert isinstance(ending.act, Hold)


def test_what_stands_in_no_lane_waits_and_is_deferred_as_anywhere() -> None:
    soon, down = slot("soon", due=NOW + SECOND), slot("down")
    ledger = OrderedLedger(RULES, [soon, down], Lanes(), BURY)
    ledger.sort(NOW, 1, never)
    ledger.defer(down, NOW, SECOND, "store")

    acts = [ending.act for _, ending in ledger.take_endings()]
    assert acts[0] == Park(NOW + SECOND)
    assert isinstance(acts[1], Hold)


@given(
    st.lists(st.builds(slot, attempt=st.integers(1, 4), alone=st.booleans()), min_size=1, max_size=4),
    st.data(),
    st.sampled_from([BURY, BLOCK]),
)
def test_nothing_in_a_lane_is_ever_held(batch: list[Slot], data: st.DataObject, rule: StuckRule) -> None:
    lanes = Lanes()
    for number, one in enumerate(batch):
        one.key = b"%d" % number
        lanes.enter(number, one)
    ledger = OrderedLedger(RULES, batch, lanes, rule)
    asks = ledger.sort(NOW, 0, never)
    ledger.claimed([data.draw(claims) for _ in asks], NOW, 0)
    for one in ledger.undecided:
        ledger.sent(one, data.draw(outcomes), NOW, outage=data.draw(st.booleans()), rand=0.5, room=0)
    for one in ledger.undecided:
        ledger.defer(one, NOW, SECOND, "target is away")

    endings = ledger.take_endings()
    assert {id(one) for one, _ in endings} == {id(one) for one in batch}
    for one, ending in endings:
        assert not isinstance(ending.act, Hold)
        assert isinstance(ending.act, Burial | Park) or ending.result in {
            Result.ACCEPTED,
            Result.DUPLICATE,
            Result.CANCELLED,
        }
        assert one in lanes, "whoever leaves is told by what was carried out"


def test_accepted_and_rejected_end_as_anywhere() -> None:
    assert Book(slot(), BLOCK).sent(Accepted()).result is Result.ACCEPTED
    assert Book(slot(), BLOCK).sent(Rejected("422")).result is Result.DEAD
