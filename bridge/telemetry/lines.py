"""
How a log record becomes one line: JSON for machines, aligned text for people.

A record of the bridge has a stable event name for its message and the details in `extra`; a record of a library has a
sentence, which goes into the field `message` of an event called `library`.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

import orjson

from bridge.telemetry.redaction import redact

ROUTE: ContextVar[str | None] = ContextVar("route", default=None)
"""The route at work; tasks inherit it, so that adapters need not know it."""

_OWN = "bridge"
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_FIXED = frozenset({"ts", "level", "event", "route", "logger", "message", "error", "trace"})
_LONGEST = 2_000  # characters of one value
_FRAMES = 6  # innermost frames of an exception
_CAUSES = 5


def fields(record: logging.LogRecord, worker: int | None = None) -> dict[str, object]:
    """Give everything a record says, in the order in which it is written; in a worker, also its number."""
    own = record.name.partition(".")[0] == _OWN
    said: dict[str, object] = {
        "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "event": _plain(record.getMessage()) if own else "library",
    }
    if worker is not None:
        said["worker"] = worker
    extra = {key: value for key, value in vars(record).items() if key not in _STANDARD}
    if (route := extra.pop("route", None) or ROUTE.get()) is not None:
        said["route"] = _plain(route)
    if not own:
        said["logger"] = record.name
        said["message"] = _plain(record.getMessage())
    for key, value in extra.items():
        said[f"{key}_" if key in _FIXED else key] = _plain(value)
    if record.exc_info and record.exc_info[1]:
        said["error"], said["trace"] = _plain(describe(record.exc_info[1])), trace(record.exc_info[1])
    return said


def describe(error: BaseException) -> str:
    """Give an exception and what caused it in one line: "Unavailable: no route <- OSError: refused"."""
    parts: list[str] = []
    link: BaseException | None = error
    while link is not None and len(parts) < _CAUSES:
        text = " ".join(str(link).split())
        parts.append(f"{type(link).__name__}: {text}" if text else type(link).__name__)
        if isinstance(link, BaseExceptionGroup):
            parts.append("; ".join(describe(inner) for inner in link.exceptions[:_CAUSES]))
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return " <- ".join(parts)


def trace(error: BaseException) -> str:
    """Give the way to where it was raised: "app.py:12 run > pipeline.py:80 send"."""
    return " > ".join(_frames(error.__traceback__))


def _frames(tb: TracebackType | None) -> Iterator[str]:
    for frame in traceback.extract_tb(tb, limit=-_FRAMES):
        yield f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"


def _plain(value: object) -> object:
    """Give what JSON can say: no secrets, no endless text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {redact(str(key)): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    text = redact(value if isinstance(value, str) else str(value))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"


class JsonLines(logging.Formatter):
    """One JSON object a record."""

    def __init__(self, *, worker: int | None = None) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        said = fields(record, self._worker)
        try:
            return orjson.dumps(said).decode()
        except (orjson.JSONEncodeError, TypeError):  # a lone surrogate, an integer beyond 64 bits
            return orjson.dumps({key: ascii(value) for key, value in said.items()}).decode()


class HumanLines(logging.Formatter):
    """Aligned text; with colour on a terminal that wants it."""

    _COLOURS = {"debug": "2", "info": "36", "warning": "33", "error": "31", "critical": "1;31"}  # noqa: RUF012  constant

    def __init__(self, *, colour: bool, worker: int | None = None) -> None:
        super().__init__()
        self._colour = colour
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        said = fields(record, self._worker)
        moment = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S") + f".{record.msecs:03.0f}"
        level, event, trail = str(said.pop("level")), str(said.pop("event")), said.pop("trace", None)
        del said["ts"]
        details = " ".join(f"{self._paint('2', f'{key}=')}{_quoted(value)}" for key, value in said.items())
        line = f"{self._paint('2', moment)} {self._paint(self._COLOURS.get(level, '0'), f'{level.upper():<7}')} "
        line += f"{_escaped(event):<28} {details}".rstrip()
        return f"{line}\n    {_escaped(str(trail))}" if trail else line

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text


def _quoted(value: object) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
    text = _escaped(text)
    return f'"{text}"' if " " in text or not text else text


def _escaped(text: str) -> str:
    """Leave no control characters: what publishers write must not move the cursor or forge a line."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "backslashreplace").decode() for char in text
    )
