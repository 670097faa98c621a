from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.formats.trace import trace_of
from bridge.tracing.context import Context, Sampler, context_of, contexts_of
from tests.unit.apis.samples import event
from tests.unit.tracing.samples import TRACE_ID, context, trace

IDS = st.integers(1, 2**128 - 1).map(lambda number: f"{number:032x}")
FLAGS = st.integers(0, 255)


@given(IDS, st.integers(1, 2**64 - 1), FLAGS, st.sampled_from([None, "a=1,b=2"]))
def test_what_was_let_in_is_taken_apart_and_goes_on_unchanged_but_for_unknown_flags(
    trace_id: str, span: int, flags: int, state: str | None
) -> None:
    let_in = trace_of(f"00-{trace_id}-{span:016x}-{flags:02x}", state)
    found = context_of(let_in)
    assert found == Context(trace_id, f"{span:016x}", flags & 3, state)
    assert trace_of(*(found.headers().get(name) for name in ("traceparent", "tracestate"))) == found.headers()


def test_an_event_without_a_trace_has_no_context() -> None:
    assert context_of({}) is None


def test_contexts_are_told_once_and_those_that_are_recorded_first() -> None:
    events = [
        event("1", trace=trace(1, sampled=False)),
        event("2"),
        event("3", trace=trace(2)),
        event("4", trace=trace(2)),
        event("5", trace=trace(3)),
    ]
    assert contexts_of(events) == [context(2), context(3), context(1, sampled=False)]


@given(IDS)
def test_all_and_none_are_ratios_too(trace_id: str) -> None:
    assert Sampler(1.0).takes(trace_id)
    assert not Sampler(0.0).takes(trace_id)


@given(IDS, st.floats(0, 1), st.floats(0, 1))
def test_a_larger_ratio_takes_all_that_a_smaller_one_takes(trace_id: str, one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert Sampler(large).takes(trace_id) or not Sampler(small).takes(trace_id)


@given(IDS, st.floats(0, 1))
def test_a_ratio_decides_as_the_sampler_of_opentelemetry(trace_id: str, ratio: float) -> None:
    from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased

    theirs = TraceIdRatioBased(ratio).should_sample(None, int(trace_id, 16), "")
    assert Sampler(ratio).takes(trace_id) is (theirs.decision is Decision.RECORD_AND_SAMPLE)


def test_who_follows_does_as_the_publisher_and_who_does_not_as_the_ratio_says() -> None:
    yes, no = context(1), context(2, sampled=False)
    assert Sampler(0.0).takes(TRACE_ID, [yes])
    assert not Sampler(1.0).takes(TRACE_ID, [no])
    assert Sampler(0.0).takes(TRACE_ID, [no, yes])
    assert not Sampler(0.0, follows=False).takes(TRACE_ID, [yes])
    assert Sampler(1.0, follows=False).takes(TRACE_ID, [no])
