"""What people see in a terminal: a mark before each line, in colour where that is wanted."""

from __future__ import annotations

import os
from typing import Literal, TextIO

Level = Literal["ok", "warning", "error"]

_COLOURS = {"ok": "32", "warning": "33", "error": "31"}


def mark(level: Level, stream: TextIO) -> str:
    """Give the word for a level, padded, coloured on a terminal unless NO_COLOR is set (no-color.org)."""
    word = f"{level:<7}"
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty():
        return word
    return f"\x1b[{_COLOURS[level]}m{word}\x1b[0m"
