"""
The sink of all roads: a process that takes events over HTTP as cheaply as Python can, and notes when they came.

    python -m bench.sink PORT

A POST brings events; the answer is what Trigger.dev v1 (one event) or Inngest (an array) says to them. Events are found
by their ids, which all begin with `evt-`, so that nothing is parsed while something is measured. For whoever measures:

    PUT /watch {"pid": 123, "marks": [1000, 21000]}   begin anew; at so many events, note what the process has used,
                                                       it and all those that it started. With "wait", answer each
                                                       POST only after so many seconds
    GET /count                                         how many events have come
    GET /report                                        what was noted at the marks
    GET /arrivals                                      when each event came, in epoch seconds
"""

from __future__ import annotations

import asyncio
import gc
import json
import re
import sys
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import uvloop

from bench.books import cpu_seconds, family, peak_bytes

ID = re.compile(rb'"(evt-\d+)"')
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass
class Arrivals:
    """What has come since the last `watch`."""

    pid: int = 0
    ahead: list[int] = field(default_factory=list)  # marks that were not reached yet
    marks: list[dict[str, float]] = field(default_factory=list)
    wait: float = 0.0  # seconds until a request is answered
    peak: int = 0
    events: int = 0
    times: array[float] = field(default_factory=lambda: array("d"))  # of the bodies, in epoch seconds
    bodies: list[bytes] = field(default_factory=list)

    def take(self, body: bytes) -> int:
        """Note a body; return how many events are in it."""
        count = body.count(b'"evt-')
        self.events += count
        self.times.append(time.time())
        self.bodies.append(body)
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
        distinct = len({found for body in self.bodies for found in ID.findall(body)})
        begun = self.times[0] if self.times else None
        return {
            "marks": self.marks,
            "peak": self.peak,
            "events": self.events,
            "distinct": distinct,
            "begun": begun,
        }

    def first_seen(self) -> dict[str, float]:
        """When each id came for the first time."""
        seen: dict[str, float] = {}
        for when, body in zip(self.times, self.bodies, strict=True):
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
            self.arrivals = Arrivals(wanted["pid"], wanted["marks"], wait=wanted.get("wait", 0.0))
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
        self._write: Callable[[bytes], None]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._write = cast("asyncio.WriteTransport", transport).write

    def data_received(self, data: bytes) -> None:
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
            whole = HEAD % (len(answer), answer)
            if method == b"POST" and (wait := self._sink.arrivals.wait):
                asyncio.get_running_loop().call_later(wait, self._write, whole)
            else:
                self._write(whole)


async def serve(port: int) -> None:
    sink = Sink()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(sink), "127.0.0.1", port, backlog=512)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    gc.disable()  # nothing here is a cycle, and a million bodies are much to look through
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1])))
