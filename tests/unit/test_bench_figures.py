"""The arithmetic of the benches, and what the sink notes for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench import events
from bench.books import cpu_seconds, family, peak_bytes
from bench.delays import lateness
from bench.figures import Run, gains, quantile, ratios, run_of, table
from bench.measuring import complaints
from bench.peers.job import array_of
from bench.sink import Sink
from bench.workers import verdict


def mark(**numbers: float) -> dict[str, float]:
    return {"events": 0, "requests": 0, "seconds": 0, "cpu": 0, "sink_cpu": 0, **numbers}


def run(cpu: float, rate: float = 1_000) -> Run:
    return Run(cpu=cpu, rate=rate, packing=1, peak=50, sink_busy=0.1)


def test_a_run_is_what_lies_between_the_marks() -> None:
    first = mark(events=100, requests=10, seconds=5, cpu=1.5, sink_cpu=0.1)
    last = mark(events=1_100, requests=60, seconds=7, cpu=1.7, sink_cpu=0.3)
    found = run_of({"marks": [first, last], "peak": 64_000_000})
    assert found.cpu == pytest.approx(200)
    assert found.rate == pytest.approx(500)
    assert found.packing == pytest.approx(20)
    assert found.peak == pytest.approx(64)
    assert found.sink_busy == pytest.approx(0.1)


def test_two_marks_in_one_request_are_no_measurement() -> None:
    same = mark(events=100, requests=1, seconds=5)
    with pytest.raises(ValueError, match="measure more events"):
        run_of({"marks": [same, same], "peak": 0})


def test_ratios_are_of_the_best_and_of_the_medians() -> None:
    assert ratios([run(30), run(20), run(90)], [run(10), run(20), run(10)]) == (2, 3)


def test_a_gain_is_of_runs_of_the_same_round() -> None:
    one, two = [run(10, 100), run(10, 50), run(10, 200)], [run(11, 150), run(12, 100), run(13, 250)]
    assert gains(two, one) == [1.5, 2, 1.25]
    assert verdict(one, two) == (
        "2 workers against 1: 1.50 times the events a second (median of the rounds, which gave 1.25 to 2.00), "
        "1.20 times the CPU an event (medians)"
    )


@pytest.mark.parametrize(("share", "expected"), [(0, 1), (0.01, 1), (0.5, 50), (0.99, 99), (1, 100)])
def test_a_quantile_is_a_value_that_was_measured(share: float, expected: float) -> None:
    assert quantile(range(100, 0, -1), share) == expected


def test_a_table_has_a_line_a_contestant_and_one_for_the_yardstick() -> None:
    lines = table("a lane", {"bridge": [run(60)], "by hand": [run(30)]}, "by hand").splitlines()
    assert lines[0] == "a lane"
    assert lines[2].split()[:2] == ["bridge", "60.0"]
    assert "2.00" in lines[2]
    assert "1.00" in lines[3]


@pytest.mark.parametrize("event", [events.trigger_event, events.inngest_event])
@pytest.mark.parametrize("number", [0, 7, 999_999])
def test_events_have_the_size_they_are_said_to_have(event: object, number: int) -> None:
    assert callable(event)
    body = event(number)
    assert len(body) == events.SIZE
    assert json.loads(body)["id"] == events.event_id(number)


def test_lateness_is_in_milliseconds_and_negative_for_what_is_early() -> None:
    due = {"a": 1_000_000, "b": 2_000_000}
    assert lateness(due, {"a": 1000.002, "b": 1999.9}) == pytest.approx([2, -100])
    with pytest.raises(KeyError):
        lateness(due, {"a": 1000.002})


def posted(sink: Sink, numbers: Sequence[int]) -> None:
    body = array_of([events.inngest_event(number) for number in numbers])
    answer = json.loads(sink.answer(b"POST", b"/e/key", body))
    assert len(answer["ids"]) == len(numbers)


def test_the_sink_notes_its_marks_when_they_are_reached_and_not_before() -> None:
    sink = Sink()
    sink.answer(b"PUT", b"/watch", json.dumps({"pid": os.getpid(), "marks": [2, 5]}).encode())
    posted(sink, [0])
    assert not sink.arrivals.marks
    posted(sink, [1, 2])
    posted(sink, [3, 4, 4])
    assert [(noted["events"], noted["requests"]) for noted in sink.arrivals.marks] == [(3, 2), (6, 3)]
    report = json.loads(sink.answer(b"GET", b"/report", b""))
    assert (report["events"], report["distinct"]) == (6, 5)
    assert report["peak"] > 1_000_000


def test_the_sink_tells_when_an_event_came_first() -> None:
    sink = Sink()
    assert json.loads(sink.answer(b"POST", b"/api/v1/events", events.trigger_event(1))) == {"status": 200}
    first = json.loads(sink.answer(b"GET", b"/arrivals", b""))
    sink.answer(b"POST", b"/api/v1/events", events.trigger_event(1))
    assert json.loads(sink.answer(b"GET", b"/arrivals", b"")) == first
    assert json.loads(sink.answer(b"GET", b"/count", b"")) == 2


def test_trouble_in_a_log_is_noticed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    quiet = '{"level":"info","event":"started"}'
    loud = ['{"level":"warning","event":"session_lost"}', "Traceback (most recent call last):", "ValueError: no"]
    log.write_text("\n".join([quiet, *loud]))
    assert complaints(log) == loud


def test_the_kernel_keeps_the_books_of_a_process() -> None:
    before = cpu_seconds(os.getpid())
    while cpu_seconds(os.getpid()) < before + 0.02:
        sum(range(10_000))
    assert peak_bytes(os.getpid()) > 1_000_000


def test_the_children_of_a_process_are_found_and_theirs() -> None:
    script = "sh -c 'sleep 600 & echo $$ $!; wait' & wait"
    with subprocess.Popen(["/bin/sh", "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child, grandchild = (int(pid) for pid in parent.stdout.readline().split())
        try:
            found = family(parent.pid)
        finally:
            os.kill(grandchild, signal.SIGKILL)  # then the others have nothing to wait for
    assert found == [parent.pid, child, grandchild]
