"""The curves of growth and the table of a profile: what is made of the figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import events, keys, plots
from bench.growth import FULL, Growth, Steps, medians, panels
from bench.profile import shares
from bench.sink import Sink
from tests.unit.test_bench_figures import run

MAIN = "main (bridge/cli/main.py:33);run (asyncio/runners.py:118)"


def test_a_sample_counts_for_the_innermost_module_of_the_bridge() -> None:
    found = shares(
        [
            f"{MAIN};_batch (bridge/pipeline.py:90) 3",
            f"{MAIN};_batch (bridge/pipeline.py:91);send (bridge/targets/http.py:9);write (uvloop/loop.py:1) 5",
            f"{MAIN};_poll (aiokafka/client.py:400) 2",
            f"{MAIN} 1",
        ]
    )
    assert found.itself == {"bridge/pipeline.py": 3, "aiokafka": 2, "asyncio": 1}
    assert found.beneath == {"bridge/targets/http.py": 5}
    assert found.total == 11
    first, second = found.table(22.0).splitlines()[1:3]
    assert first.split() == ["10.00", "45.5%", "0.0%", "45.5%", "bridge/targets/http.py"]
    assert second.split()[0] == "6.00"


@pytest.mark.parametrize(
    "leaf",
    [
        "_worker (concurrent/futures/thread.py:81)",
        "Writer._take (bridge/stores/writer.py:185)",
        "Outlet._write_all (bridge/telemetry/logs.py:77)",
        "EpollSelector.select (selectors.py:468)",
    ],
)
def test_who_waits_does_not_count(leaf: str) -> None:
    assert shares([f"_bootstrap (threading.py:1);{leaf} 4000"]).total == 0


def test_a_point_is_made_of_medians() -> None:
    assert medians([run(30, 1), run(10, 3), run(20, 2)]) == {"cpu_us_per_event": 20, "events_per_s": 2, "rss_mb": 50}


def test_points_become_a_panel_a_figure_and_a_curve_a_road() -> None:
    points = [{"road": "a", "x": 1, "cpu": 5.0}, {"road": "a", "x": 2, "cpu": 6.0, "late": 1.0}, {"road": "b", "x": 1}]
    assert panels(points) == {"cpu": {"a": [(1, 5.0), (2, 6.0)]}, "late": {"a": [(2, 1.0)]}}


def test_curves_are_plotted_or_it_is_said_why_not(tmp_path: Path) -> None:
    path = tmp_path / "sizes.svg"
    said = plots.curves({"cpu": {"a": [(1, 5.0), (2, 6.0)], "b": [(1, 1.0)]}}, "bytes", path)
    assert said == (f"plotted to {path}" if path.exists() else plots.NONE)


def test_the_ends_of_the_curves_are_those_asked_for() -> None:
    assert (FULL.events[-1], FULL.keys[-1], FULL.delayed[-1]) == (1_000_000, 10_000_000, 1_000_000)
    assert (Steps().flight[0], Steps().flight[-1]) == (1, 500)
    assert (Steps().sizes[0], Steps().sizes[-1]) == (100, 262_144)


@pytest.mark.parametrize("size", [*Steps().sizes, 299])
@pytest.mark.parametrize("event", [events.trigger_event, events.inngest_event])
def test_events_are_as_large_as_asked_for(event: object, size: int) -> None:
    assert callable(event)
    body = event(7, size)
    assert len(body) == size
    assert json.loads(body)["id"] == events.event_id(7)


async def test_stored_keys_are_weighed(tmp_path: Path) -> None:
    found = await keys.run(20_000, tmp_path)
    assert found["cpu_us_per_event"] > 0
    assert found["disk_bytes_per_key"] >= 16


def test_the_curve_of_keys_is_measured_in_processes_of_their_own() -> None:
    growth = Growth(Steps(keys=(5_000,)))
    (point,) = growth.keys()
    assert (point["road"], point["x"]) == ("store", 5_000)


def test_the_sink_may_take_its_time() -> None:
    sink = Sink()
    sink.answer(b"PUT", b"/watch", b'{"pid": 1, "marks": [], "wait": 0.01}')
    assert sink.arrivals.wait == 0.01
    sink.answer(b"PUT", b"/watch", b'{"pid": 1, "marks": []}')
    assert sink.arrivals.wait == 0
