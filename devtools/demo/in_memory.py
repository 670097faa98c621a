"""The demo within one process, where no broker can be had: the same bridge over queues in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from bridge.app import App
from bridge.deadletters.memory import MemoryDeadLetters
from bridge.model import Burial, Delivery
from bridge.settings.tree import Settings
from bridge.sources.memory import MemorySource
from bridge.telemetry.logs import logging_to
from devtools.demo.road import ROUTES, DeadLetter, RoadError, dead_letter_of, settings, until_ready
from devtools.demo.screen import Screen
from devtools.demo.story import Parcel
from devtools.scratch import folder, free_port


class MemoryRoad:
    """The application object of the bridge, and a task that runs it."""

    def __init__(self, app: App, admin_url: str) -> None:
        self.admin_url = admin_url
        self._app = app
        self._stop = asyncio.Event()
        self._running = asyncio.create_task(app.run(self._stop), name="bridge")

    @property
    def dead(self) -> list[DeadLetter]:
        return [dead_letter_of(burial) for name in ROUTES for burial in self._buried(name)]

    async def publish(self, route: str, parcel: Parcel) -> None:
        source = self._app.routes[route].parts.source
        assert isinstance(source, MemorySource)
        source.put(
            Delivery(
                body=parcel.body,
                headers=parcel.headers,
                content_type=parcel.content_type,
                message_id=parcel.message_id,
            )
        )

    def check(self) -> None:
        if self._running.done():
            raise RoadError(f"the bridge ended: {self._running.exception() or 'without being asked to'}")

    async def stop(self) -> int:
        self._stop.set()
        with suppress(Exception):
            await self._running
        return 1 if self._running.exception() else 0

    def addresses(self) -> Sequence[tuple[str, str]]:
        return [("publish", "only with a broker: the queues are inside of this process")]

    def _buried(self, route: str) -> Sequence[Burial]:
        dead_letters = self._app.routes[route].parts.dead_letters
        assert isinstance(dead_letters, MemoryDeadLetters)
        return list(dead_letters.buried)


@asynccontextmanager
async def memory_road(screen: Screen, api_url: str) -> AsyncIterator[MemoryRoad]:
    """Run the bridge in this process, with its log in a file."""
    home, admin_port = folder("demo"), free_port()
    sources = {name: {"type": "memory"} for name in ROUTES}
    tree = settings(api_url, admin_port, sources, {"type": "memory"})
    with (home / "bridge.log").open("w", encoding="utf-8") as log, logging_to(log, style="human"):
        road = MemoryRoad(App(Settings.model_validate(tree)), f"http://127.0.0.1:{admin_port}")
        try:
            with screen.step(f"the bridge, with {len(ROUTES)} routes"):
                await until_ready(road)
            yield road
        finally:
            await road.stop()
