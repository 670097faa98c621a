"""A parent and its workers, as real processes that are killed, stopped and frozen."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.unit.workers.child import EVENTS
from tests.unit.workers.rig import alive, parent

RECEIVED = "bridge_deliveries_received_total{stage=intake}"
SETTLED = "bridge_deliveries_settled_total{stage=intake,verdict=settle}"
RETURNED = "bridge_deliveries_settled_total{stage=intake,verdict=return}"
IN_FLIGHT = "bridge_deliveries_in_flight{stage=intake}"


def test_all_workers_work_and_are_seen_as_one(tmp_path: Path) -> None:
    with parent(tmp_path, 2, "works") as both:
        both.until(both.ready)
        assert both.reasons() == []
        samples = both.until(lambda: (now := both.samples()).get(SETTLED) == 2 * EVENTS and now)
        assert [samples[name] for name in samples if name.startswith("bridge_build_info{")] == [1]
        assert samples["bridge_accept_seconds_count"] == 2 * EVENTS
        assert samples["bridge_accept_seconds_bucket{le=+Inf}"] == 2 * EVENTS
        assert [samples[f"bridge_worker_up{{worker={number}}}"] for number in (1, 2)] == [1, 1]
        assert both.get("/livez")[0] == 200
        assert both.stop() == 0
        assert not any(map(alive, both.pids()))
        assert {line["worker"] for line in both.lines("started")} == {1, 2}
        assert both.lines("stopped", worker=1)


def test_a_killed_worker_is_replaced_and_no_counter_goes_back(tmp_path: Path) -> None:
    with parent(tmp_path, 2, "works") as both:
        both.until(lambda: both.samples().get(SETTLED) == 2 * EVENTS)
        first = both.pid(1)
        os.kill(first, signal.SIGKILL)
        gone = both.until(lambda: both.lines("worker_ended", worker=1))
        assert gone[0]["reason"] == "ended by SIGKILL"
        assert both.samples()[SETTLED] >= 2 * EVENTS
        both.until(lambda: both.pid(1) != first)
        both.until(both.ready)
        samples = both.until(lambda: (now := both.samples()).get(SETTLED) == 3 * EVENTS and now)
        assert samples[RECEIVED] == samples[SETTLED] + samples[RETURNED] + samples[IN_FLIGHT]
        assert samples["bridge_worker_restarts_total{worker=1}"] == 1
        assert samples["bridge_worker_restarts_total{worker=2}"] == 0
        assert both.stop() == 0


def test_a_worker_that_is_asked_to_stop_alone_drains_and_is_replaced(tmp_path: Path) -> None:
    with parent(tmp_path, 1, "works") as one:
        one.until(one.ready)
        first = one.pid(1)
        os.kill(first, signal.SIGTERM)
        assert one.until(lambda: one.lines("worker_ended"))[0]["reason"] == "ended with 0"
        one.until(lambda: one.pid(1) != first)
        one.until(one.ready)
        assert one.stop() == 0


def test_workers_that_always_fail_are_started_ever_more_rarely(tmp_path: Path) -> None:
    with parent(tmp_path, 2, "fails") as both:
        both.until(lambda: len(both.lines("worker_ended")) >= 6)
        waits = [line["again_in"] for line in both.lines("worker_ended", worker=1)]
        for wait, longest in zip(waits, (1, 2, 4, 8), strict=False):
            assert 0.7 * longest <= wait <= 1.3 * longest
        assert not both.ready()
        assert any(reason.startswith("worker 1: ended with 3, starts again in") for reason in both.reasons())
        assert both.stop() == 0  # nothing ran, so nothing was left undone


def test_a_stop_does_not_wait_for_the_next_start(tmp_path: Path) -> None:
    with parent(tmp_path, 2, "fails", FIRST_WAIT=3600) as both:
        both.until(lambda: len(both.lines("worker_ended")) == 2)
        assert both.stop() == 0


def test_settings_that_one_worker_cannot_use_end_all_with_78(tmp_path: Path) -> None:
    with parent(tmp_path, 2, "refuses") as both:
        assert both.end() == 78
        assert both.lines("worker_refuses_settings", worker=1)
        assert not any(map(alive, both.pids()))


def test_a_signal_to_the_whole_group_drains_once(tmp_path: Path) -> None:
    """The trap: Ctrl-C reaches the workers too, and what the parent passes on would be the second time."""
    with parent(tmp_path, 2, "works") as both:
        both.until(both.ready)
        for pid in (*both.pids(), both.process.pid):
            os.kill(pid, signal.SIGINT)
        assert both.end() == 0
        assert both.lines("stopped", worker=1)
        assert both.lines("stopped", worker=2)


def test_the_second_signal_leaves_everything(tmp_path: Path) -> None:
    with parent(tmp_path, 2, "stubborn", drain_timeout=600) as both:
        both.until(both.ready)
        both.ask(signal.SIGTERM)
        both.until(lambda: both.lines("draining"))
        assert both.reasons() == ["draining"]
        both.ask(signal.SIGTERM)
        assert both.end() == 1
        assert not any(map(alive, both.pids()))


def test_a_worker_that_does_not_drain_in_time_is_killed(tmp_path: Path) -> None:
    with parent(tmp_path, 1, "stubborn", drain_timeout=-14.0) as one:  # and 15 seconds more, so 1
        one.until(one.ready)
        assert one.stop() == 1
        assert one.lines("worker_killed", worker=1)
        assert not any(map(alive, one.pids()))


@pytest.mark.parametrize("role", ["works", "deaf"])
def test_workers_do_not_outlive_their_parent(tmp_path: Path, role: str) -> None:
    """Not even one whose loop hangs, which cannot be asked."""
    with parent(tmp_path, 2, role) as both:
        both.until(lambda: len(both.lines("started")) == 2)
        os.kill(both.process.pid, signal.SIGKILL)
        both.until(lambda: not any(map(alive, both.pids())))
        assert role == "deaf" or len(both.lines("stopped")) == 2, "they drain first"


def test_a_signal_before_the_workers_can_listen_is_not_lost(tmp_path: Path) -> None:
    with parent(tmp_path, 2, "works") as both:
        both.until(lambda: both.lines("worker_started"))
        assert both.stop() == 0
        assert not any(map(alive, both.pids()))


def test_a_worker_that_falls_silent_is_not_ready(tmp_path: Path) -> None:
    with parent(tmp_path, 1, "deaf", QUIET=2, HUNG=10_000) as one:
        one.until(lambda: any(reason.startswith("worker 1: silent for") for reason in one.reasons()))
        one.ask()
        one.until(lambda: one.lines("draining"))
        one.ask()
        assert one.end() == 1


def test_a_worker_that_hangs_is_killed_and_replaced(tmp_path: Path) -> None:
    with parent(tmp_path, 1, "deaf", HUNG=4) as one:
        one.until(lambda: one.lines("worker_hung", worker=1))
        assert one.until(lambda: one.lines("worker_ended"))[0]["reason"] == "ended by SIGKILL"
        one.until(lambda: len(one.pids()) > 1)
