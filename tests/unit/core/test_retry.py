from hypothesis import given
from hypothesis import strategies as st

from bridge.core.retry import GiveUp, RetryPolicy

POLICY = RetryPolicy(base=5.0, cap=3600.0, max_attempts=12, max_age=86_400.0)


@given(attempt=st.integers(1, 5_000), rand=st.floats(0, 1, exclude_max=True))
def test_backoff_is_full_jitter_under_a_cap(attempt: int, rand: float) -> None:
    naive = 5.0
    for _ in range(min(attempt - 1, 20)):
        naive = min(3600.0, naive * 2)

    assert POLICY.delay(attempt, rand=rand) == rand * naive


@given(after=st.floats(allow_nan=False), attempt=st.integers(1, 20))
def test_what_the_target_asked_for_wins_within_bounds(after: float, attempt: int) -> None:
    assert POLICY.delay(attempt, rand=0.5, after=after) == min(max(after, 0.0), 3600.0)


def test_the_last_attempt_is_the_last() -> None:
    assert POLICY.give_up(11, age=0) is None
    assert POLICY.give_up(12, age=0) is GiveUp.EXHAUSTED


def test_age_ends_retries_before_the_attempts_do() -> None:
    assert POLICY.give_up(2, age=86_399.9) is None
    assert POLICY.give_up(2, age=86_400.0) is GiveUp.EXPIRED
