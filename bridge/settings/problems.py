"""What is wrong with the settings: every problem with its place, its field and its cure, all at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from bridge.errors import ConfigError


class Problem(ConfigError):
    """One problem and where it was written: "bridge.yaml:12", "BRIDGE_SOURCE__URL", or "" when nowhere."""

    def __init__(self, field: str, problem: str, cure: str, *, where: str = "") -> None:
        """See `ConfigError`."""
        super().__init__(field, problem, cure)
        self.where = where

    def __str__(self) -> str:
        """Give the line that people read."""
        text = f"{self.field}: {self.problem}. {self.cure}{'' if self.cure.endswith('?') else '.'}"
        return f"{self.where}: {text}" if self.where else text


class Problems(ConfigError):
    """All that is wrong, one line each: first what stands in no file, then line by line."""

    def __init__(self, found: Iterable[ConfigError]) -> None:
        """`found` must not be empty."""
        self.found: Sequence[ConfigError] = tuple(sorted(found, key=_line))
        first = self.found[0]
        super().__init__(first.field, first.problem, first.cure)

    def __str__(self) -> str:
        """Give all lines."""
        return "\n".join(map(str, self.found))


def _line(problem: ConfigError) -> int:
    """Sort by line, and first what stands in no file."""
    line = getattr(problem, "where", "").rpartition(":")[2]
    return int(line) if line.isdigit() else 0


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Find the known word that is most like this one, if any is."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return close[0] if close else None


def one_of(words: Iterable[str]) -> str:
    """Join words for a sentence: "a, b or c"."""
    *rest, last = words
    return f"{', '.join(rest)} or {last}" if rest else last
