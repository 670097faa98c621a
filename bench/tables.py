"""
Puts the curves that were measured into docs/performance-growth.md, so that nobody types figures.

    ./dev bench tables FILE [FILE ...]

The files are those of `./dev bench growth --json FILE`. A curve that is in none of them stays as it is; one that is in
several is put together from them, a road from the last file that has it. What is written lies between the lines
`<!-- curve: NAME -->` and `<!-- end -->`: the command, when and on what it ran, and a table.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.growth import SLOW_TARGET
from bench.machine import ROOT

PAPER = ROOT / "docs" / "performance-growth.md"
BLOCK = re.compile(r"(?<=<!-- curve: )(\w+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)
PRIVATE = re.compile(r" --json \S+")  # where the file lay is nobody's business

Point = Mapping[str, Any]
Cell = Callable[[Point, Point | None], str]
"""Of a point and the one before it on the same road."""


def figure(name: str, digits: int = 0) -> Cell:
    return lambda point, _: f"{point[name]:,.{digits}f}" if name in point else ""


def of_what_is_possible(point: Point, _: Point | None) -> str:
    """By Little's law, at most as many events a second as there is room for, over the time that one takes."""
    return f"{point['events_per_s'] / (point['x'] / SLOW_TARGET):.0%}".replace("%", " %")


def on_top(point: Point, before: Point | None) -> str:
    """Nanoseconds for each byte that the body has more than the one before."""
    if before is None:
        return ""
    return f"{(point['cpu_us_per_event'] - before['cpu_us_per_event']) / (point['x'] - before['x']) * 1e3:,.0f}"


CPU = {"CPU us": figure("cpu_us_per_event")}
RSS = {"RSS MB": figure("rss_mb")}
RATE = {"events/s": figure("events_per_s")}

COLUMNS: dict[str, tuple[str, dict[str, Cell]]] = {
    "events": ("events", CPU | RATE | RSS),
    "backlog": (
        "waiting",
        {
            "RSS MB, target silent": figure("rss_silent_mb"),
            "RSS MB, at work": figure("rss_mb"),
            "delivered by then": figure("delivered"),
        },
    ),
    "flight": ("room", RATE | {"of what Little's law allows": of_what_is_possible} | CPU | RSS),
    "sizes": ("bytes", CPU | {"ns a byte on top": on_top} | RATE | RSS),
    "keys": (
        "keys",
        {
            "CPU us an event": figure("cpu_us_per_event", 1),
            "memory, bytes a key": figure("bytes_per_key"),
            "disk, bytes a key": figure("disk_bytes_per_key", 1),
            "the next start, s": figure("start_s", 2),
        },
    ),
    "delayed": (
        "held",
        {"CPU us to hold one": figure("cpu_us_per_event")} | RSS | {"late, ms": figure("late_ms", 1)},
    ),
}
"""Of each curve what grows, and what is shown of a point."""


def rows(name: str, points: Sequence[Point]) -> list[str]:
    """A table in Markdown: the points in the order of their roads."""
    grows, columns = COLUMNS[name]
    heads = [grows, *columns]
    several = len({point["road"] for point in points}) > 1
    lines = [["road", *heads] if several else heads]
    lines.append(["---"] * len(lines[0]))
    before: Point | None = None
    for point in points:
        previous = before if before is not None and before["road"] == point["road"] else None
        cells = [f"{point['x']:,}", *(cell(point, previous) for cell in columns.values())]
        lines.append([f"`{point['road']}`", *cells] if several else cells)
        before = point
    return [f"| {' | '.join(line)} |" for line in lines]


def origin(found: Mapping[str, Any], name: str) -> str:
    """When, where and how a file came to be."""
    command = PRIVATE.sub("", found["command"].removeprefix("$ "))
    runs = {"keys": "best of three", "backlog": "one run a point", "delayed": "one run a point"}
    runs_said = runs.get(name) or ("one run a point" if found["runs"] == 1 else f"median of {found['runs']} runs")
    load = found["load"].split()[0]
    return f"`{command}`,\n{found['when']}, commit {found['commit']}, load {load} at the start, {runs_said}."


def block(name: str, files: Sequence[Mapping[str, Any]]) -> str | None:
    """What belongs between the two lines of a curve; None where no file has it."""
    roads: dict[str, tuple[Mapping[str, Any], list[Point]]] = {}
    for found in files:
        for road in dict.fromkeys(point["road"] for point in found["curves"].get(name, ())):
            roads[road] = found, [point for point in found["curves"][name] if point["road"] == road]
    if not roads:
        return None
    origins = dict.fromkeys(origin(found, name) for found, _ in roads.values())
    points = [point for _, own in roads.values() for point in own]
    return "\n".join([*origins, "", *rows(name, points), ""])


def filled(text: str, files: Sequence[Mapping[str, Any]]) -> str:
    """The paper with the figures of these files in it. Raises ValueError where a curve has no place."""
    places = {found[1] for found in BLOCK.finditer(text)}
    homeless = {name for found in files for name in found["curves"]} - places
    if homeless:
        raise ValueError(f"the paper has no place for {', '.join(sorted(homeless))}")
    return BLOCK.sub(lambda found: found[1] + found[2] + (block(found[1], files) or found[0].split("\n", 1)[1]), text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="what `./dev bench growth --json` wrote")
    parser.add_argument("--paper", type=Path, default=PAPER)
    chosen = parser.parse_args()
    files = [json.loads(path.read_text()) for path in chosen.files]
    chosen.paper.write_text(filled(chosen.paper.read_text(), files))
    print(f"written to {chosen.paper}")


if __name__ == "__main__":
    main()
