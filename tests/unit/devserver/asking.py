"""Asks a dialect of the devserver without a socket: a whole world for each test, a call in, an answer out."""

from __future__ import annotations

import json
from typing import Any

from bridge.devserver.book import Book
from bridge.devserver.dialects import route
from bridge.devserver.faults import Fault, Faults, parse_fault
from bridge.devserver.records import EventRecord
from bridge.devserver.wire import Answer, Call
from bridge.devserver.world import World

NOW = 1_796_000_000_000.0
BEARER = {"authorization": "Bearer tr_dev_1"}


class Ask:
    """One server and its clock. `self.now` is epoch ms and moves only by hand."""

    def __init__(self, *keys: str, secrets: tuple[bytes, ...] = ()) -> None:
        self.book = Book()
        self.faults = Faults(seed=1)
        self.world = World(book=self.book, faults=self.faults, keys=frozenset(keys), webhook_secrets=secrets)
        self.now = NOW

    def __call__(
        self,
        path: str,
        body: Any = b"",
        *,
        method: str = "POST",
        headers: dict[str, str] | None = None,
        chunked: bool = False,
    ) -> Answer:
        """Send; anything but bytes is written as JSON. Only a chunked body has no Content-Length."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        found = route(path, raw)
        assert found is not None, path
        api, params, dialect = found
        given = ({} if chunked else {"content-length": str(len(raw))}) | (headers or {})
        call = Call(api=api, method=method, path=path, headers=given, body=raw, now=self.now, params=params)
        return dialect(call, self.world)

    def fault(self, text: str) -> Fault:
        return self.faults.add(parse_fault(text), self.now).fault

    def wait(self, seconds: float) -> None:
        self.now += seconds * 1000
        self.book.ring(self.now)

    @property
    def events(self) -> list[EventRecord]:
        return list(self.book.events.values())

    @property
    def only(self) -> EventRecord:
        (record,) = self.events
        return record


def said(answer: Answer) -> Any:
    return json.loads(answer.body)
