"""The curves in the documentation: what is made of the files that hold them."""

from __future__ import annotations

from typing import Any

import pytest

from bench.growth import LABELS
from bench.tables import COLUMNS, PAPER, filled

FLIGHT = [
    {"road": "a-post", "x": 1, "cpu_us_per_event": 500.4, "events_per_s": 90.0, "rss_mb": 61.2},
    {"road": "a-post", "x": 10, "cpu_us_per_event": 99.6, "events_per_s": 500.0, "rss_mb": 62.0},
]
TEXT = (
    "before\n<!-- curve: flight -->\nold\n<!-- end -->\nbetween\n<!-- curve: keys -->\nold keys\n<!-- end -->\nafter\n"
)


def file(name: str, points: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    about = {"when": "2026-01-01 00:00 UTC", "commit": "abc", "load": "0.4 0.5", "runs": 3}
    command = "$ ./dev bench growth --json there/figures.json --full"
    return {**about, "command": command, "curves": {name: points}, **more}


def test_a_curve_takes_the_place_of_what_was_there_and_others_stay() -> None:
    assert filled(TEXT, [file("flight", FLIGHT)]) == (
        "before\n"
        "<!-- curve: flight -->\n"
        "`./dev bench growth --full`,\n"
        "2026-01-01 00:00 UTC, commit abc, load 0.4 at the start, median of 3 runs.\n"
        "\n"
        "| room | events/s | of what Little's law allows | CPU us | RSS MB |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| 1 | 90 | 90 % | 500 | 61 |\n"
        "| 10 | 500 | 50 % | 100 | 62 |\n"
        "<!-- end -->\n"
        "between\n<!-- curve: keys -->\nold keys\n<!-- end -->\nafter\n"
    )


def test_to_fill_it_once_more_changes_nothing() -> None:
    files = [file("flight", FLIGHT)]
    assert filled(filled(TEXT, files), files) == filled(TEXT, files)


def test_a_road_is_taken_from_the_last_file_that_has_it() -> None:
    others = [{**point, "road": "b-post", "events_per_s": 1.0} for point in FLIGHT]
    newer = [{**point, "events_per_s": 2_000.0} for point in FLIGHT]
    found = filled(TEXT, [file("flight", FLIGHT + others), file("flight", newer, commit="def", runs=1)])
    assert "| `a-post` | 10 | 2,000 |" in found
    assert "| `b-post` | 10 | 1 |" in found
    assert "commit abc" in found
    assert "commit def, load 0.4 at the start, one run a point" in found


def test_bytes_on_top_are_those_of_the_same_road() -> None:
    points = [
        {"road": road, "x": x, "cpu_us_per_event": x / 10, "events_per_s": 1.0} for road in "ab" for x in (100, 200)
    ]
    lines = filled("<!-- curve: sizes -->\n<!-- end -->", [file("sizes", points)]).splitlines()[6:10]
    assert [line.split(" | ")[3] for line in lines] == ["", "100", "", "100"]


def test_a_curve_without_a_place_is_told() -> None:
    with pytest.raises(ValueError, match="no place for delayed"):
        filled(TEXT, [file("delayed", [])])


@pytest.mark.parametrize("name", LABELS)
def test_every_curve_has_a_place_in_the_paper(name: str) -> None:
    point = {
        "cpu_us_per_event": 1.0,
        "events_per_s": 1.0,
        "late_ms": 1.0,
        "rss_mb": 54_321.0,
        "bytes_per_key": 54_321.0,
    }
    assert "54,321" in filled(PAPER.read_text(), [file(name, [{"road": "a", "x": 1, **point}])])
    assert name in COLUMNS
