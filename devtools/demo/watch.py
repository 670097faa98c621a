"""Watches the event API, the metrics of the bridge and its dead letters, and shows each fact as it becomes one."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import zip_longest

import aiohttp

from bridge.devserver.app import DevServer
from bridge.devserver.records import EventRecord, RequestRecord
from devtools.demo.books import Books, Fate
from devtools.demo.road import Counts, Road, read_counts
from devtools.demo.screen import Screen

INTERVAL = 0.05  # seconds between looks at what does not tell of itself


class Watch:
    """Run `run` as a task; it never ends by itself."""

    def __init__(self, api: DevServer, road: Road, books: Books, screen: Screen) -> None:
        self.counts = Counts()
        self._api, self._road, self._books, self._screen = api, road, books, screen
        self._rev = 0
        self._seen: dict[str, tuple[str, int]] = {}  # record -> its state and deliveries when last looked at
        self._buried = 0

    async def run(self) -> None:
        """Look until cancelled. Raises RoadError when the bridge is gone."""
        looking = [asyncio.create_task(self._follow_api()), asyncio.create_task(self._follow_bridge())]
        try:
            await asyncio.gather(*looking)
        finally:
            for task in looking:
                task.cancel()
            await asyncio.gather(*looking, return_exceptions=True)

    async def _follow_api(self) -> None:
        changed = asyncio.Event()
        self._api.watchers.add(changed)
        try:
            while True:
                self._look_at_api()
                await changed.wait()
                changed.clear()
        finally:
            self._api.watchers.discard(changed)

    async def _follow_bridge(self) -> None:
        async with aiohttp.ClientSession() as client:
            while True:
                await self._look_at_bridge(client)
                await asyncio.sleep(INTERVAL)

    async def _look_at_bridge(self, client: aiohttp.ClientSession) -> None:
        self._road.check()
        counts = await read_counts(client, self._road.admin_url)
        grown, self.counts = counts.events - self.counts.events, counts
        self._counted(grown)
        self._look_at_dead_letters()

    def _counted(self, grown: Counter[tuple[str, str]]) -> None:
        """Show what the bridge does without telling anyone but its metrics."""
        for (route, result), count in grown.items():
            for _ in range(count):
                if result == "duplicate":
                    fate = self._books.suppress(route)
                    self._screen.line("duplicate", route, fate.event.name if fate else "", "suppressed")
                elif result == "scheduled":
                    self._waits(route, self._books.held(route, in_process=False), "in the delay line")
                elif result == "parked" and (fate := self._books.held(route, in_process=True)):
                    self._waits(route, fate, "in the process")

    def _look_at_dead_letters(self) -> None:
        letters = self._road.dead[self._buried :]
        self._buried += len(letters)
        for letter in letters:
            fate = self._books.find(letter.event_id or letter.message_id, letter.name)
            if fate is None:
                self._books.strange(letter.name or letter.message_id, "into the dead letters")
            else:
                fate.dead.append(letter)
            name = fate.event.name if fate else letter.name
            self._screen.line("dead letter", letter.route, name, f"{letter.kind}: {letter.reason}")

    def _look_at_api(self) -> None:
        book, since = self._api.book, self._rev
        self._rev = book.rev
        for request in reversed(book.requests_since(since, len(book.requests))):
            if not request.ok:
                self._failed(request)
        for record in reversed(book.events_since(since, len(book.events))):
            state, deliveries = self._seen.get(record.key, ("", 0))
            self._seen[record.key] = (record.state, record.deliveries)
            for at in record.arrivals[deliveries - record.deliveries :] if deliveries < record.deliveries else ():
                self._arrived(record, at)
            if record.state == "delivered" and state == "scheduled":
                self._released(record)

    def _arrived(self, record: EventRecord, at: float) -> None:
        fate = self._books.find(record.id, record.name)
        if fate is None:
            self._books.strange(record.name, "to the event API")
            self._screen.line("delivered", *_place(record, fate), f"id {record.id}")
            return
        fate.arrivals.append(at)
        if record.state == "scheduled":
            self._waits(fate.item.route, fate, "at the event API")
        elif len(fate.arrivals) > 1:
            self._screen.line("delivered", *_place(record, fate), "once more!")
        elif fate.item.holder == "bridge":
            self._screen.line("delivered", *_place(record, fate), f"{at - fate.due:.0f} ms after its time")
        else:
            attempt = f", at attempt {len(fate.failures) + 1}" if fate.failures else ""
            self._screen.line("delivered", *_place(record, fate), f"after {at - fate.published:.0f} ms{attempt}")

    def _released(self, record: EventRecord) -> None:
        fate = self._books.find(record.id, record.name)
        if fate is not None:
            fate.released = record.delivered_at
        self._screen.line("delivered", *_place(record, fate), "by the event API, on time")

    def _failed(self, request: RequestRecord) -> None:
        attempt = f"attempt {request.attempt}: " if request.attempt else ""
        what = f"HTTP {request.status}" if request.status else request.error or "no answer"
        for event_id, name in zip_longest(request.ids, request.names, fillvalue=""):
            fate = self._books.find(event_id, name)
            if fate is not None:
                fate.failures.append(what)
            self._screen.line("failed", *_place(request, fate), f"{attempt}{what}")

    def _waits(self, route: str, fate: Fate | None, where: str) -> None:
        name, until = (fate.event.name, f"until {self._screen.at(fate.due)}, ") if fate else ("", "")
        self._screen.line("waiting", route, name, f"{until}{where}")


def _place(seen: EventRecord | RequestRecord, fate: Fate | None) -> tuple[str, str]:
    """Return route and name; of an event that is not ours, what the API knows it by."""
    if fate is not None:
        return fate.item.route, fate.event.name
    name = seen.name if isinstance(seen, EventRecord) else ", ".join(seen.names)
    return seen.api, name
