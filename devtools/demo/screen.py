"""How the demo looks: aligned lines, in colour where the terminal wants it, and a table at the end."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, TextIO

What = Literal["published", "delivered", "waiting", "duplicate", "failed", "dead letter"]

_COLOURS: dict[What, str] = {
    "published": "2",
    "delivered": "32",
    "waiting": "36",
    "duplicate": "35",
    "failed": "33",
    "dead letter": "31",
}
_NARROWEST = 60
_NAME, _ROUTE = 15, 10


class Screen:
    """Writes to a stream. Times are seconds since `start_clock`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        tty = stream.isatty()
        self._colour = tty and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._width = max(_NARROWEST, shutil.get_terminal_size().columns) if tty else None
        self._began = time.monotonic()

    def start_clock(self) -> None:
        """Let times count from now."""
        self._began = time.monotonic()

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._began

    def at(self, epoch_ms: float) -> str:
        """Write an epoch time in the seconds of this screen."""
        return f"{self.elapsed + epoch_ms / 1000 - time.time():.1f}"

    def say(self, text: str = "") -> None:
        self._write(f"{text}\n")

    def title(self, text: str) -> None:
        self._write(f"\n{self._paint('1', text)}\n")

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Show what is being done, and how long it took once it is."""
        began = time.monotonic()
        self._write(f"  {text:<42} ")
        try:
            yield
        except BaseException:
            self._write("\n")
            raise
        self._write(f"{self._paint('2', f'{time.monotonic() - began:5.1f} s')}\n")

    def columns(self) -> None:
        """Name the columns of `line`."""
        head = f"{'seconds':<7}  {'what':<11}  {'route':<{_ROUTE}}  event"
        self._write(f"{self._paint('2', head)}\n")

    def line(self, what: What, route: str, name: str, details: str) -> None:
        """Show one fact about one event."""
        head = f"{self.elapsed:7.3f}  {what:<11}  {route:<{_ROUTE}}  {name:<{_NAME}}  "
        details = self._clipped(details, len(head))
        if not self._colour:
            self._write(f"{head}{details}\n")
            return
        rest = f"{route:<{_ROUTE}}  {name:<{_NAME}}  {details}"
        rest = self._paint("2", rest) if what == "published" else rest
        self._write(f"{self._paint('2', head[:7])}  {self._paint(_COLOURS[what], f'{what:<11}')}  {rest}\n")

    def table(self, rows: Sequence[tuple[str, int | None, str]]) -> None:
        """Show names, numbers and texts."""
        names = max(len(name) for name, _, _ in rows)
        digits = max((len(str(number)) for _, number, _ in rows if number is not None), default=0)
        self.say()
        for name, number, text in rows:
            count = f"{'' if number is None else number:>{digits}}  " if digits else ""
            bold = self._paint("1", name) + " " * (names - len(name))
            self._write(f"{f'  {bold}   {count}{text}'.rstrip()}\n")
        self.say()

    def good(self, text: str) -> None:
        self._write(f"{self._paint('1;32', text)}\n")

    def bad(self, text: str) -> None:
        self._write(f"{self._paint('1;31', text)}\n")

    def _clipped(self, text: str, taken: int) -> str:
        if self._width is None or len(text) <= (room := self._width - taken):
            return text
        return f"{text[: max(0, room - 1)]}…"

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
