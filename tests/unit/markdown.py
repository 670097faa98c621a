"""Reads the papers: their fences, tables, headings and links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (?P<text>.+)$", re.MULTILINE)
_CELL_END = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, slots=True)
class Fence:
    """A block of code; `mark` is what stands behind the language in its first line."""

    language: str
    mark: str
    text: str

    @property
    def lines(self) -> list[str]:
        """What is to be typed, without remarks."""
        return [bare for line in self.text.splitlines() if (bare := line.partition("  #")[0].strip())]


@dataclass(frozen=True, slots=True)
class Paper:
    """One Markdown file."""

    path: Path
    text: str

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def fences(self) -> list[Fence]:
        found = ((match["info"].partition(" "), match["text"]) for match in _FENCE.finditer(self.text))
        return [Fence(language, mark, text) for (language, _, mark), text in found]

    @property
    def prose(self) -> str:
        """The text outside of fences."""
        return _FENCE.sub("", self.text)

    @property
    def links(self) -> list[str]:
        return [match["target"] for match in _LINK.finditer(self.prose)]

    @property
    def anchors(self) -> set[str]:
        """What a link to a heading may name, made as GitHub makes it."""
        headings = (
            re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", match["text"]) for match in _HEADING.finditer(self.prose)
        )
        return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}

    def marked(self, mark: str) -> Fence:
        """The one fence with this mark."""
        (fence,) = (fence for fence in self.fences if fence.mark == mark)
        return fence

    def table(self, first: str) -> list[list[str]]:
        """The rows, without the head, of the one table whose first column is called `first`."""
        (table,) = (rows for rows in _tables(self.prose) if rows[0][0] == first)
        return table[2:]


def _tables(text: str) -> Iterator[list[list[str]]]:
    rows: list[list[str]] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in _CELL_END.split(line.strip()[1:-1])])
        elif rows:
            yield rows
            rows = []


def ticked(cell: str) -> list[str]:
    """Everything in a cell that stands in back-ticks."""
    return re.findall(r"`([^`]+)`", cell)


@cache
def paper(name: str) -> Paper:
    return Paper(ROOT / name, (ROOT / name).read_text("utf-8"))


@cache
def papers() -> tuple[Paper, ...]:
    """Everything written for people, at the top and below docs/."""
    paths = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return tuple(paper(path.relative_to(ROOT).as_posix()) for path in sorted(paths))
