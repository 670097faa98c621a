"""
The sink of all roads: a process that takes events over HTTP as cheaply as asyncio can, and notes when they came.

    python -m bench.sink PORT

A POST brings events; the answer is what Trigger.dev v1 (one event) or Inngest (an array) says to them. Events are found
by their ids, which all begin with `evt-`, so that nothing is parsed while something is measured. For whoever measures:

    PUT /watch {"pid": 123, "marks": [1000, 21000]}   begin anew; at so many events, note what the process has used,
                                                       it and all those that it started
    GET /count                                         how many events have come
    GET /report                                        what was noted at the marks
    GET /arrivals                                      when each event came, in epoch seconds
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ID = re.compile(rb'"(evt-\d+)"')
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
TICKS = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """A process, its children and theirs, as far as they run. The fourth field of proc(5)'s stat is the parent."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # a stranger that has just ended
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            children[int(fields[1])].append(int(stat.parent.name))
    found = [pid]
    for member in found:  # grows meanwhile
        found += children[member]
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of a process; see utime and stime in proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_bytes(pid: int) -> int:
    """The most memory that a process ever had (VmHWM in proc(5))."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


@dataclass
class Arrivals:
    """What has come since the last `watch`."""

    pid: int = 0
    ahead: list[int] = field(default_factory=list)  # marks that were not reached yet
    marks: list[dict[str, float]] = field(default_factory=list)
    peak: int = 0
    events: int = 0
    bodies: list[tuple[float, bytes]] = field(default_factory=list)

    def take(self, body: bytes) -> int:
        """Note a body; return how many events are in it."""
        count = body.count(b'"evt-')
        self.events += count
        self.bodies.append((time.time(), body))
        while self.ahead and self.events >= self.ahead[0]:
            del self.ahead[0]
            pids = family(self.pid)
            self.marks.append(self._mark(pids))
            self.peak = sum(peak_bytes(pid) for pid in pids)
        return count

    def _mark(self, pids: Sequence[int]) -> dict[str, float]:
        return {
            "events": self.events,
            "requests": len(self.bodies),
            "seconds": time.monotonic(),
            "cpu": sum(cpu_seconds(pid) for pid in pids),
            "sink_cpu": time.process_time(),
        }

    def report(self) -> dict[str, Any]:
        return {"marks": self.marks, "peak": self.peak, "events": self.events, "distinct": len(self.first_seen())}

    def first_seen(self) -> dict[str, float]:
        """When each id came for the first time."""
        seen: dict[str, float] = {}
        for when, body in self.bodies:
            for found in ID.findall(body):
                seen.setdefault(found.decode(), when)
        return seen


class Sink:
    """The answers to all requests."""

    def __init__(self) -> None:
        self.arrivals = Arrivals()

    def answer(self, method: bytes, path: bytes, body: bytes) -> bytes:
        if method == b"POST":
            count = self.arrivals.take(body)
            if path.startswith(b"/e/"):
                return b'{"ids":[' + b",".join([b'"01ARZ3NDEKTSV4RRFFQ69G5FAV"'] * count) + b'],"status":200}'
            return b'{"status":200}'
        if path == b"/watch":
            wanted = json.loads(body)
            self.arrivals = Arrivals(wanted["pid"], wanted["marks"])
        return json.dumps(self._told(path)).encode()

    def _told(self, path: bytes) -> object:
        match path:
            case b"/count":
                return self.arrivals.events
            case b"/arrivals":
                return self.arrivals.first_seen()
            case _:
                return self.arrivals.report()


class Connection(asyncio.Protocol):
    """Just enough of HTTP/1.1: requests with a Content-Length, one after the other."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head, begin = self._buffer[:end], end + 4
            length = LENGTH.search(head)
            after = begin + (int(length[1]) if length else 0)
            if len(self._buffer) < after:
                return
            body, self._buffer = self._buffer[begin:after], self._buffer[after:]
            method, path, _ = head.split(b" ", 2)
            answer = self._sink.answer(method, path, body)
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (len(answer), answer)
            )


async def serve(port: int) -> None:
    sink = Sink()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(sink), "127.0.0.1", port, backlog=512)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
