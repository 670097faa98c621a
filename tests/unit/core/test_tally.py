from hypothesis import given
from hypothesis import strategies as st

from bridge.core.fingerprints import Fingerprints
from bridge.core.keys import key_of, scope_of
from bridge.core.tally import Histogram, Tally
from bridge.model import Stage, Verdict


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


def test_the_law_is_broken_by_a_delivery_that_vanished() -> None:
    tally = Tally()
    tally.received[Stage.INTAKE] = 3
    tally.settled[Stage.INTAKE, Verdict.SETTLE] = 1
    tally.in_flight[Stage.INTAKE] = 2
    assert tally.law_holds()

    tally.in_flight[Stage.INTAKE] = 1
    assert not tally.law_holds()


def test_fingerprints_keep_the_first_payload_and_forget_the_oldest_key() -> None:
    known = Fingerprints(limit=2)

    assert not known.differs(b"a", 1)
    assert known.differs(b"a", 2)
    assert not known.differs(b"a", 1)
    assert not known.differs(b"b", 1)
    assert not known.differs(b"c", 1)
    assert not known.differs(b"a", 2), "a was the oldest of three and is forgotten"


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
