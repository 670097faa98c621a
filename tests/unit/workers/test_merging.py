"""The metrics of several workers, as one."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Exemplar

from bridge.core.breaker import State
from bridge.core.tally import LAG_SECONDS, Histogram, Tally
from bridge.model import Backlog, Stage, Verdict
from bridge.telemetry.metrics import BridgeCollector, Watched, registry
from bridge.workers.merging import COUNTING, GAUGES, Merged, combining
from bridge.workers.report import decode, encode

IN_FLIGHT = "bridge_deliveries_in_flight"
RECEIVED = "bridge_deliveries_received_total"
SETTLED = "bridge_deliveries_settled_total"
BY_DEFAULT = {"bridge_build_info", "python_info"}
"""Gauges that say the same in each worker; the largest is as good as any."""


def told(tally: Tally, state: State = State.CLOSED, *, up: bool = True, oldest: float = 0.0) -> list[Metric]:
    watched = Watched(
        tally=tally,
        breaker=lambda: state,
        reconnects=lambda: {"source": 0},
        backlogs=lambda: {"source": Backlog(5, 0, 0)},
        forgotten=lambda: 0,
        connected=lambda: {"source": up},
        opened=lambda: int(state is not State.CLOSED),
        oldest=lambda: oldest,
    )
    lag = Histogram(LAG_SECONDS)
    lag.observe([0.002] * 4)
    collector = BridgeCollector({"orders": watched}, lambda: {"keys": 3.0, "healthy": 1.0}, lag)
    return list(registry(collector).collect())


def busy(received: int, settled: int) -> Tally:
    tally = Tally()
    tally.received[Stage.INTAKE] = received
    tally.settled[Stage.INTAKE, Verdict.SETTLE] = settled
    tally.in_flight[Stage.INTAKE] = received - settled
    tally.seconds_to_accept.observe([0.2] * settled)
    tally.requests["accepted"].observe([0.02] * settled)
    return tally


def value(merged: Iterable[Metric], name: str, **labels: str) -> float:
    found = [
        sample.value
        for family in merged
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    return sum(found)


def law_holds(merged: Merged) -> bool:
    families = list(merged.collect())
    return value(families, RECEIVED) == value(families, SETTLED) + value(families, IN_FLIGHT)


def test_what_is_counted_is_added() -> None:
    merged = Merged()
    merged.put(1, told(busy(10, 7)))
    merged.put(2, told(busy(5, 5)))
    families = list(merged.collect())
    assert value(families, RECEIVED, stage="intake") == 15
    assert value(families, IN_FLIGHT, stage="intake") == 3
    assert value(families, "bridge_accept_seconds_count") == 12
    assert value(families, "bridge_accept_seconds_bucket", le="0.25") == 12
    assert value(families, "bridge_accept_seconds_sum") == pytest.approx(2.4)
    assert value(families, "bridge_request_seconds_count", outcome="accepted") == 12
    assert value(families, "bridge_request_seconds_count") == 12
    assert value(families, "bridge_event_loop_lag_seconds_count") == 8
    assert law_holds(merged)


def test_what_is_true_at_a_moment_is_not_simply_added() -> None:
    merged = Merged()
    merged.put(1, told(Tally(), State.OPEN, oldest=7))
    merged.put(2, told(Tally(), State.CLOSED, up=False, oldest=3))
    families = list(merged.collect())
    states = {state: value(families, "bridge_breaker_state", state=state) for state in ("open", "half_open", "closed")}
    assert states == {"open": 1, "half_open": 0, "closed": 0}
    assert value(families, "bridge_session_up") == 0
    assert value(families, "bridge_build_info") == 1
    assert value(families, "bridge_oldest_event_seconds") == 7
    assert value(families, "bridge_lag") == 10
    assert value(families, "bridge_store_keys") == 3
    assert value(families, "bridge_store_healthy") == 1


def test_openings_of_breakers_are_added_and_outlive_their_worker() -> None:
    merged = Merged()
    merged.put(1, told(Tally(), State.OPEN))
    merged.put(2, told(Tally(), State.HALF_OPEN))
    merged.retire(1)
    assert value(merged.collect(), "bridge_breaker_opened_total") == 2


def test_the_newest_exemplar_of_all_workers_is_shown() -> None:
    merged = Merged()
    for worker, at in ((1, 5_000), (2, 9_000), (3, 7_000)):
        tally = busy(1, 1)
        tally.requests["accepted"].add(0.02, 1, f"{worker:032x}", at)
        merged.put(worker, decode(encode((), told(tally))).families)
    shown = [sample.exemplar for family in merged.collect() for sample in family.samples if sample.exemplar]
    assert shown == [Exemplar({"trace_id": f"{2:032x}"}, 0.02, 9.0)]
    merged.retire(2)
    shown = [sample.exemplar for family in merged.collect() for sample in family.samples if sample.exemplar]
    assert [one.labels for one in shown] == [{"trace_id": f"{3:032x}"}]


def test_a_worker_that_ended_is_remembered_by_what_it_counted() -> None:
    merged = Merged()
    merged.put(1, told(busy(10, 7)))
    merged.put(2, told(busy(4, 4)))
    merged.retire(1)
    families = list(merged.collect())
    assert value(families, RECEIVED) == 14
    assert value(families, SETTLED, verdict="settle") == 11
    assert value(families, SETTLED, verdict=Verdict.RETURN.value) == 3, "its broker has got back what it had in flight"
    assert value(families, IN_FLIGHT) == 0
    merged.put(1, told(busy(1, 1)))
    merged.retire(1)
    merged.retire(1)
    assert value(merged.collect(), RECEIVED) == 15


def test_when_all_have_ended_the_counters_stay_and_nothing_else() -> None:
    merged = Merged()
    merged.put(1, told(busy(10, 10)))
    merged.retire(1)
    assert {family.type for family in merged.collect()} == set(COUNTING)
    assert value(merged.collect(), RECEIVED) == 10


LIVES = st.lists(
    st.tuples(st.integers(1, 3), st.sampled_from(["work", "end"]), st.integers(0, 20), st.integers(0, 20)), max_size=12
)


@given(LIVES)
def test_whatever_workers_live_through_counters_grow_and_the_law_holds(
    lives: list[tuple[int, str, int, int]],
) -> None:
    merged, tallies, before = Merged(), dict[int, Tally](), 0.0
    for worker, happens, received, settled in lives:
        if happens == "end":
            merged.retire(worker)
            tallies.pop(worker, None)
        else:
            old = tallies.get(worker, Tally())
            total = old.received[Stage.INTAKE] + received
            done = min(old.settled[Stage.INTAKE, Verdict.SETTLE] + settled, total)
            tallies[worker] = busy(total, done)
            merged.put(worker, told(tallies[worker]))
        assert law_holds(merged)
        now = value(merged.collect(), RECEIVED)
        assert now >= before
        before = now


def test_there_is_a_decision_for_every_gauge() -> None:
    made = CollectorRegistry(auto_describe=False)
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=made)
    gauges = {family.name for family in (*told(Tally()), *made.collect()) if family.type not in COUNTING}
    undecided = {name for name in gauges if name not in GAUGES and not name.startswith("bridge_store_")}
    assert undecided - BY_DEFAULT == set()


def test_only_closed_breakers_must_all_agree() -> None:
    assert combining("bridge_breaker_state", {"state": "closed"}) is min
    assert combining("bridge_breaker_state", {"state": "open"}) is max


def test_a_report_comes_back_as_it_was_sent() -> None:
    families = told(busy(3, 2))
    line = encode(["source: no session"], families)
    report = decode(line)
    assert line.count(b"\n") == 1
    assert report.unready == ("source: no session",)
    first, second = Merged(), Merged()
    first.put(1, families)
    second.put(1, report.families)
    assert list(first.collect()) == list(second.collect())


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"{}", b'{"unready":[],"families":[1]}', b'{"unready":1}'])
def test_what_is_no_report_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        decode(line)


def test_prometheus_can_read_the_whole() -> None:
    merged, made = Merged(), CollectorRegistry(auto_describe=False)
    merged.put(1, told(busy(3, 2)))
    made.register(merged)
    assert b"bridge_deliveries_received_total" in generate_latest(made)


def test_the_whole_is_open_metrics_too_with_all_that_the_workers_show() -> None:
    merged, made = Merged(), CollectorRegistry(auto_describe=False)
    for worker in (1, 2):
        tally = busy(3, 2)
        tally.requests["retryable"].add(0.3 * worker, 1, "f" * 32, 1_000 * worker)
        merged.put(worker, decode(encode((), told(tally))).families)
    made.register(merged)
    encode_open, _ = choose_encoder("application/openmetrics-text")
    families = list(text_string_to_metric_families(encode_open(made).decode()))  # type: ignore[no-untyped-call]
    assert value(families, "bridge_request_seconds_count", outcome="retryable") == 2
    shown = [sample.labels["le"] for family in families for sample in family.samples if sample.exemplar]
    assert shown == ["0.5", "1.0"]
