import asyncio
import platform

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from bridge import __version__
from bridge.core.breaker import State
from bridge.core.slots import Result
from bridge.core.tally import REQUEST_OUTCOMES as OUTCOMES
from bridge.core.tally import Tally
from bridge.model import Backlog, Stage, Verdict
from bridge.telemetry.metrics import BridgeCollector, Watched, registry


def scraped(tally: Tally, state: State = State.CLOSED) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """All samples of one route named `orders`."""
    watched = Watched(
        tally=tally,
        breaker=lambda: state,
        reconnects=lambda: {"source": 2},
        connected=lambda: {"source": True},
        backlogs=lambda: {"source": Backlog(lag=5, stuck=1, missed=2)},
        forgotten=lambda: 3,
        requests=lambda: (5, 64),
        opened=lambda: 4,
        oldest=lambda: 1.5,
    )
    made = registry(BridgeCollector({"orders": watched}, lambda: {"keys": 7.0}))
    text = generate_latest(made).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def labels(**more: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted({"route": "orders", **more}.items()))


def test_every_series_is_there_from_the_start_so_that_rates_have_a_zero() -> None:
    samples = scraped(Tally())

    for result in Result:
        assert samples["bridge_events_total", labels(result=result.value)] == 0
    for stage in Stage:
        assert samples["bridge_deliveries_in_flight", labels(stage=stage.value)] == 0
        for verdict in Verdict:
            key = ("bridge_deliveries_settled_total", labels(stage=stage.value, verdict=verdict.value))
            assert samples[key] == 0


def test_the_numbers_are_those_of_the_tally() -> None:
    tally = Tally()
    tally.received[Stage.INTAKE] = 5
    tally.in_flight[Stage.INTAKE] = 2
    tally.settled[Stage.INTAKE, Verdict.SETTLE] = 3
    tally.events[Result.ACCEPTED] = 4
    tally.buried["poison"] = 1
    tally.paused["store"] = 2
    tally.seconds_to_accept.observe([0.003, 7.0])
    samples = scraped(tally, State.OPEN)

    assert samples["bridge_deliveries_received_total", labels(stage="intake")] == 5
    assert samples["bridge_deliveries_in_flight", labels(stage="intake")] == 2
    assert samples["bridge_deliveries_settled_total", labels(stage="intake", verdict="settle")] == 3
    assert samples["bridge_events_total", labels(result="accepted")] == 4
    assert samples["bridge_events_buried_total", labels(kind="poison")] == 1
    assert samples["bridge_intake_paused", labels(reason="store")] == 1
    assert samples["bridge_breaker_state", labels(state="open")] == 1
    assert samples["bridge_breaker_state", labels(state="closed")] == 0
    assert samples["bridge_session_rebuilds_total", labels(session="source")] == 2
    assert samples["bridge_session_up", labels(session="source")] == 1
    assert samples["bridge_deliveries_forgotten_total", labels()] == 3
    assert samples["bridge_accept_seconds_count", labels()] == 2
    assert samples["bridge_accept_seconds_bucket", labels(le="0.005")] == 1
    assert samples["bridge_store_keys", ()] == 7


def test_the_partitions_of_a_source_are_shown() -> None:
    samples = scraped(Tally())

    assert samples["bridge_lag", labels(session="source")] == 5
    assert samples["bridge_partitions_stuck", labels(session="source")] == 1
    assert samples["bridge_records_missed_total", labels(session="source")] == 2


def test_nothing_an_event_says_becomes_a_label() -> None:
    tally = Tally()
    before = set(scraped(tally))
    for number in range(1_000):
        tally.buried[f"kind-{number}"] += 1  # even a bug in the counting cannot widen the label sets
        tally.outcomes[f"outcome-{number}"] += 1

    assert set(scraped(tally)) == before


def test_the_room_at_the_target_is_told() -> None:
    samples = scraped(Tally())
    assert samples["bridge_requests_under_way", labels()] == 5
    assert samples["bridge_requests_limit", labels()] == 64


def test_requests_are_told_apart_by_their_outcome_and_are_there_from_the_start() -> None:
    tally = Tally()
    tally.requests["retryable"].observe([0.3, 31.0])
    samples = scraped(tally)
    assert {outcome: samples["bridge_request_seconds_count", labels(outcome=outcome)] for outcome in OUTCOMES} == {
        "accepted": 0,
        "retryable": 2,
        "rejected": 0,
        "misconfigured": 0,
    }
    assert samples["bridge_request_seconds_bucket", labels(outcome="retryable", le="30.0")] == 1


def test_what_the_route_tells_at_a_scrape_is_shown() -> None:
    samples = scraped(Tally())
    assert samples["bridge_breaker_opened_total", labels()] == 4
    assert samples["bridge_oldest_event_seconds", labels()] == 1.5
    assert samples["bridge_event_loop_lag_seconds_count", ()] == 0


async def test_the_build_says_what_runs_on_what() -> None:
    (found,) = [dict(key[1]) for key in scraped(Tally()) if key[0] == "bridge_build_info"]
    loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    assert found == {"version": __version__, "python": platform.python_version(), "event_loop": loop}
