"""The breaker against a naive model that keeps every call it ever saw."""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bridge.core.breaker import Breaker, BreakerPolicy, Permit, State

POLICY = BreakerPolicy(failure_rate=0.5, min_calls=4, window=10.0, consecutive=3, probe_base=1.0, probe_cap=8.0)


@dataclass
class Naive:
    """What is known for sure: the time, the calls while closed, and until when nothing may be sent."""

    now: float = 1000.0
    calls: list[tuple[float, bool]] = field(default_factory=list)
    paused_until: float = 0.0

    def recent(self) -> list[bool]:
        return [ok for at, ok in self.calls if int(at) > int(self.now) - POLICY.window]


def test_a_breaker_counts_its_openings_but_no_failed_probes() -> None:
    breaker = Breaker(POLICY)
    breaker.misconfigured(0.0, "401", 0.5)
    assert breaker.permit(10.0) is Permit.ONE
    breaker.failed(10.0, "503", 0.5)
    assert (breaker.state, breaker.opened) == (State.OPEN, 1)
    assert breaker.permit(30.0) is Permit.ONE
    breaker.passed(30.0)
    breaker.misconfigured(31.0, "401", 0.5)
    assert breaker.opened == 2


class BreakerAgainstNaive(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker(POLICY)
        self.naive = Naive()

    @rule(seconds=st.floats(0.01, 20))
    def time_passes(self, seconds: float) -> None:
        self.naive.now += seconds

    @rule(count=st.integers(1, 5))
    def passes(self, count: int) -> None:
        before = self.breaker.state
        self.breaker.passed(self.naive.now, count)
        if before is State.HALF_OPEN:
            assert self.breaker.state is State.CLOSED
            self.naive.calls.clear()
        else:
            assert self.breaker.state is before
            self.naive.calls += [(self.naive.now, True)] * count

    @rule(count=st.integers(1, 5), rand=st.floats(0, 0.999))
    def fails(self, count: int, rand: float) -> None:
        before = self.breaker.state
        self.naive.calls += [(self.naive.now, False)] * count
        self.breaker.failed(self.naive.now, "503", rand, count)
        if before is State.HALF_OPEN:
            assert self.breaker.state is State.OPEN
        elif before is State.CLOSED:
            recent = self.naive.recent()
            rate = len(recent) >= POLICY.min_calls and recent.count(False) >= POLICY.failure_rate * len(recent)
            if rate or count >= POLICY.consecutive:
                assert self.breaker.state is State.OPEN

    @rule(rand=st.floats(0, 0.999))
    def is_misconfigured(self, rand: float) -> None:
        straggler = self.breaker.state is State.OPEN
        self.breaker.misconfigured(self.naive.now, "401", rand)
        assert self.breaker.state is State.OPEN
        assert straggler or self.breaker.wait(self.naive.now) > 0

    @rule(seconds=st.floats(0.1, 5))
    def is_paused(self, seconds: float) -> None:
        before = self.breaker.state
        self.breaker.pause(self.naive.now, seconds)
        self.naive.paused_until = max(self.naive.paused_until, self.naive.now + seconds)
        assert self.breaker.state is before

    @rule()
    def someone_asks(self) -> None:
        before = self.breaker.state
        permit = self.breaker.permit(self.naive.now)
        if permit is Permit.ALL:
            assert before is State.CLOSED
        if permit is Permit.ONE:
            assert before in {State.OPEN, State.HALF_OPEN}
            assert self.breaker.state is State.HALF_OPEN
            assert self.breaker.permit(self.naive.now) is Permit.NONE

    @invariant()
    def a_pause_stops_everything(self) -> None:
        if self.naive.now < self.naive.paused_until:
            assert self.breaker.wait(self.naive.now) > 0
            assert not self.breaker.may_send(self.naive.now)
            assert self.breaker.shut(self.naive.now)

    @invariant()
    def waiting_ends(self) -> None:
        assert self.breaker.wait(self.naive.now) <= max(POLICY.probe_timeout, POLICY.probe_cap) + 1e-6

    @invariant()
    def open_sends_nothing(self) -> None:
        if self.breaker.state is State.OPEN:
            assert not self.breaker.may_send(self.naive.now)


TestBreakerAgainstNaive = BreakerAgainstNaive.TestCase
TestBreakerAgainstNaive.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)


def test_open_time_doubles_with_each_failed_probe_up_to_the_cap() -> None:
    breaker, now, waits = Breaker(POLICY), 0.0, []
    breaker.misconfigured(now, "401", rand=0.999999)
    for _ in range(6):
        waits.append(round(breaker.wait(now)))
        now += breaker.wait(now)
        assert breaker.permit(now) is Permit.ONE
        breaker.failed(now, "still", rand=0.999999)

    assert waits == [1, 2, 4, 8, 8, 8]


def test_a_success_from_before_the_outage_does_not_close() -> None:
    breaker = Breaker(POLICY)
    breaker.misconfigured(0.0, "401", rand=0.5)

    breaker.passed(0.1)

    assert breaker.state is State.OPEN


def test_a_lost_probe_does_not_block_the_next_for_ever() -> None:
    breaker = Breaker(POLICY)
    breaker.misconfigured(0.0, "401", rand=0.5)
    assert breaker.permit(2.0) is Permit.ONE

    assert breaker.permit(2.0 + POLICY.probe_timeout) is Permit.ONE


def test_a_probe_answered_with_a_pause_is_asked_again_after_it() -> None:
    breaker = Breaker(POLICY)
    breaker.misconfigured(0.0, "401", rand=0.5)
    assert breaker.permit(2.0) is Permit.ONE

    breaker.pause(2.0, 5.0)

    assert breaker.permit(6.9) is Permit.NONE
    assert breaker.permit(7.0) is Permit.ONE
