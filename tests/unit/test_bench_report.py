"""What the comparison of all roads writes down, and whom it lets take part."""

from __future__ import annotations

import json
import stat
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from bench import binaries, plots
from bench.__main__ import BENCHES
from bench.compare import EVENTS, LANES, Extent, Trials
from bench.figures import Latency, Run
from bench.peers.job import KEY, Job
from bench.report import Entry, as_json, as_text

ASKED = {"road", "program", "cpu_us_per_event", "events_per_s", "p50_ms", "p99_ms", "rss_mb"}
JOB = Job("amqp://guest@127.0.0.1/", "orders", "http://127.0.0.1:1/e/key", arrays=True)


def entry(program: str, *cpu: float, rss: float = 0.0) -> Entry:
    made = Entry("rabbitmq-post", program, rss=rss)
    for each in cpu:
        run = Run(cpu=each, rate=1e6 / each, packing=1, peak=40, sink_busy=0.1, start=0.5)
        made.add(run, Latency(ms=[1.0, 2.0, 30.0], cpu=each))
    return made


def test_there_is_one_object_a_road_and_program_with_the_figures_asked_for() -> None:
    written = as_json({"when": "today"}, Extent(), [entry("bridge", 30, 10, 20, rss=64), entry("hand-written", 10)])
    first, second = json.loads(json.dumps(written))["results"]
    assert set(first) >= ASKED
    assert all(isinstance(first[key], int | float) for key in ASKED - {"road", "program"})
    assert (first["program"], first["cpu_us_per_event"], first["p50_ms"], first["p99_ms"]) == ("bridge", 20, 2, 30)
    assert (first["min"]["cpu_us_per_event"], first["max"]["cpu_us_per_event"]) == (10, 30)
    assert first["runs"]["cpu_us_per_event"] == [30, 10, 20]
    assert (first["rss_mb"], second["rss_mb"]) == (64, 40)


def test_ratios_are_of_runs_of_the_same_round() -> None:
    (ours, _) = as_json({}, Extent(), [entry("bridge", 30, 10, 20), entry("redpanda-connect", 60, 40, 40)])["results"]
    assert ours["ratio"] == {"redpanda-connect": 0.5}


def test_who_was_never_measured_is_not_in_the_results() -> None:
    assert as_json({}, Extent(), [entry("bridge")])["results"] == []


def test_the_table_has_a_line_a_program_under_its_road() -> None:
    road, ours, theirs = as_text([entry("bridge", 20), entry("hand-written", 10)]).splitlines()
    assert road.startswith("rabbitmq-post")
    assert ours.split()[:5] == ["bridge", "20.0", "20.0", "20.0", "2.00"]
    assert theirs.split()[4] == "1.00"


def test_a_bridge_that_complains_fails_the_run_and_a_peer_does_not() -> None:
    trials = Trials()
    trials.complaints.append(("kafka-post", "redpanda-connect", "oh"))
    assert trials.faults() == []
    trials.complaints.append(("kafka-post", "bridge", "ah"))
    trials.failures["kafka-arrays", "bridge, 10 ms"] = "gone"
    assert trials.faults() == ["kafka-arrays, bridge, 10 ms: gone", "kafka-post, bridge: ah"]
    assert [each["told"] for each in trials.troubles()["complaints"]] == ["oh", "ah"]


def test_every_road_is_known_by_one_name() -> None:
    assert len(LANES) == 6
    assert set(EVENTS) <= set(LANES)


def test_every_bench_has_a_module() -> None:
    for name in BENCHES:
        assert callable(import_module(f"bench.{name}").main)


def test_a_peer_is_found_by_any_of_its_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "BUILT", tmp_path / "none")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert binaries.find(binaries.CONNECT) is None
    assert binaries.version(binaries.CONNECT) == ""
    assert "--build-peers" in binaries.absent()[binaries.CONNECT]
    program = tmp_path / "connect"
    program.write_text("#!/bin/sh\necho Version: 4.99\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert binaries.find(binaries.CONNECT) == program
    assert binaries.version(binaries.CONNECT) == "4.99"
    assert binaries.absent() == {}


@pytest.mark.parametrize("broker", ["rabbitmq", "kafka"])
@pytest.mark.parametrize("dedup", [False, True])
def test_a_peer_is_told_its_job(tmp_path: Path, broker: str, dedup: bool) -> None:
    command = binaries.connect_command(Path("connect"), broker, JOB, tmp_path, dedup=dedup)
    assert command[0] == "env"
    assert f"BENCH_KEY={KEY}" in command
    assert f"BENCH_TARGET={JOB.target}" in command
    settings = yaml.safe_load(Path(command[-1]).read_text())
    assert settings["output"]["http_client"]["batching"]["count"] == 100
    assert ("pipeline" in settings) is dedup


def test_plots_tell_where_they_are_or_why_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "roads.svg"
    said = plots.roads([entry("bridge", 20, 30, rss=60), entry("hand-written", 10, 11)], path)
    assert said == (f"plotted to {path}" if path.exists() else plots.NONE)
