from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.fingerprints import Fingerprints
from bridge.core.keys import key_of, scope_of
from bridge.core.tally import REQUEST_OUTCOMES, Exemplar, Histogram, Tally, outcome_of
from bridge.model import Accepted, Misconfigured, Outcome, Rejected, Retryable, Stage, Verdict


@given(st.lists(st.floats(0, 10_000)))
def test_a_histogram_counts_like_a_naive_one(values: list[float]) -> None:
    histogram = Histogram((0.1, 1.0, 10.0))
    histogram.observe(values)

    naive = [sum(value <= bound for value in values) for bound in (0.1, 1.0, 10.0)]
    assert histogram.cumulative() == [*zip(("0.1", "1.0", "10.0"), naive, strict=True), ("+Inf", len(values))]


def test_a_value_may_be_counted_many_times_at_once() -> None:
    one_by_one, at_once = Histogram(), Histogram()
    one_by_one.observe([0.25] * 3 + [7.0])
    at_once.add(0.25, 3)
    at_once.add(7.0, 1)

    assert (at_once.counts, at_once.sum) == (one_by_one.counts, one_by_one.sum)


def test_a_bucket_remembers_the_last_trace_that_was_told_of() -> None:
    histogram = Histogram((0.1, 1.0))
    histogram.add(0.05, 1, "a" * 32, 1_000)
    histogram.add(0.06, 1, "b" * 32, 2_000)
    histogram.add(0.07)
    histogram.add(5.0, 3, "c" * 32)
    assert histogram.exemplars == {0: Exemplar("b" * 32, 0.06, 2_000), 2: Exemplar("c" * 32, 5.0, None)}
    assert histogram.counts == [3, 0, 3]


@pytest.mark.parametrize(
    ("outcomes", "name"),
    [
        ([Accepted()], "accepted"),
        ([Accepted("1"), Accepted("2", duplicate=True)], "accepted"),
        ([Accepted(), Rejected("bad")], "rejected"),
        ([None, None], "rejected"),
        ([Rejected("bad"), None, Retryable("503")], "retryable"),
        ([Accepted(), Retryable("503"), Misconfigured("401")], "misconfigured"),
    ],
)
def test_a_request_came_to_the_worst_of_what_it_came_to_for_its_events(
    outcomes: list[Outcome | None], name: str
) -> None:
    assert outcome_of(outcomes) == name
    assert outcome_of(outcomes[::-1]) == name
    assert name in REQUEST_OUTCOMES


def test_the_law_is_broken_by_a_delivery_that_vanished() -> None:
    tally = Tally()
    tally.received[Stage.INTAKE] = 3
    tally.settled[Stage.INTAKE, Verdict.SETTLE] = 1
    tally.in_flight[Stage.INTAKE] = 2
    assert tally.law_holds()

    tally.in_flight[Stage.INTAKE] = 1
    assert not tally.law_holds()


def test_fingerprints_keep_the_first_payload_and_forget_the_oldest_keys() -> None:
    known = Fingerprints(limit=2)

    assert not known.differs(b"a", 1)
    assert known.differs(b"a", 2)
    assert not known.differs(b"a", 1)
    assert not known.differs(b"b", 1)
    assert not known.differs(b"c", 1)
    assert known.differs(b"a", 2), "of the last three keys it is one, and four are kept at most"
    assert not known.differs(b"d", 1)
    assert not known.differs(b"a", 2), "a was the oldest of four and is forgotten"
    assert known.differs(b"d", 2)


@given(st.integers(0, 40), st.integers(1, 8))
def test_fingerprints_know_the_last_keys_and_at_most_twice_as_many(count: int, limit: int) -> None:
    known, keys = Fingerprints(limit), [bytes([number]) for number in range(count)]
    assert not any(known.differs(key, 1) for key in keys)

    remembered = [key for key in keys if deepcopy(known).differs(key, 2)]

    assert remembered[-limit:] == keys[-limit:]
    assert len(remembered) <= 2 * limit


@given(st.tuples(*[st.text(max_size=4)] * 4), st.tuples(*[st.text(max_size=4)] * 4))
def test_keys_are_equal_only_for_equal_parts(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    keys = [key_of(scope_of(*parts[:3]), parts[3]) for parts in (one, other)]

    assert (keys[0] == keys[1]) == (one == other)
    assert all(len(key) == 16 for key in keys)


def test_the_source_of_a_cloud_event_is_part_of_its_identity() -> None:
    scope = scope_of("orders", "inngest")

    assert len({key_of(scope, "1", "a"), key_of(scope, "1", "b"), key_of(scope, "1")}) == 3
    assert key_of(scope, "b1", "a") != key_of(scope, "1", "ab")
    assert key_of(scope, "1:ab") != key_of(scope, "b", "a")
