"""
Puts a process together from its settings, runs it, and takes it apart again.

Everything is built before anything is opened, so a wrong configuration never touches a broker. What cannot be reached
at the start is waited for, like at any later time, by the routes that need it. Each route opens, runs, drains and
closes by itself; closing goes in the reverse order of opening.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from bridge import tasks
from bridge.errors import ConfigError, Unavailable
from bridge.ports import Resource
from bridge.routes import Route, build_route
from bridge.settings.tree import Settings
from bridge.stores import OF_ONE_PROCESS
from bridge.targets import HttpTarget
from bridge.telemetry.lag import LoopLag
from bridge.telemetry.metrics import BridgeCollector, registry
from bridge.telemetry.probe import Probe, Reasons

if TYPE_CHECKING:
    from bridge.tracing.tracing import Tracing

log = logging.getLogger(__name__)

FIRST_WAIT, LAST_WAIT = 0.5, 30.0  # seconds between tries to reach something at the start
LOOK_EVERY = 1.0  # seconds between looks who else takes part in a route
YOUNG = 20_000  # objects; events end by reference counts, so the collector need not look at each batch in flight
LAG_ALARM = 30.0  # seconds the event loop may hang before /livez says so
ALONE = "copies of an event that other instances read are not suppressed: run one, or publish with the id as the key"

Reporting = Callable[[Reasons, CollectorRegistry], Resource]
"""Makes what a worker has in place of an admin port, from why it is not ready and from its metrics."""


class App:
    """One process: a store, its routes, and the admin port."""

    def __init__(self, settings: Settings, reporting: Reporting | None = None) -> None:
        """Build everything, open nothing. Raises ConfigError."""
        self._settings = settings
        self.store = settings.store.build()
        self.routes: dict[str, Route] = {
            name: build_route(name, route, self.store, settings) for name, route in settings.routes.items()
        }
        self._tracing = _tracing(settings, self.routes.values()) if settings.tracing.enabled else None
        self.lag = LoopLag()
        watched = {name: route.watched() for name, route in self.routes.items()}
        collector = BridgeCollector(watched, self._store_numbers, self.lag.seconds)
        admin = settings.admin
        metrics = registry(collector)
        self.probe = Probe(admin.host, admin.port, live=self._live, ready=self._ready, registry=metrics)
        self._front: Resource | None = self.probe if admin.enabled else None
        if reporting:
            self._front = reporting(self._ready, metrics)
        self._opening: dict[str, str] = {}  # what is being waited for -> why
        self._consuming: set[str] = set()  # the routes that were opened
        self._told: set[str] = set()  # the routes whose group is known to have other members
        self._stopping = False

    async def run(self, stop: asyncio.Event) -> None:
        """Open, run until `stop` is set or a route dies, drain, close. Raises what a route died of."""
        async with AsyncExitStack() as stack:
            stack.callback(gc.set_threshold, *gc.get_threshold())
            gc.set_threshold(YOUNG)
            if self._front:
                stack.push_async_callback(self._front.close)
                await self._front.open()
            if self._tracing:
                stack.push_async_callback(self._tracing.close)
                self._tracing.open()
            watching = [asyncio.create_task(self.lag.run()), asyncio.create_task(self._watch_groups())]
            stack.push_async_callback(tasks.end, *watching)
            if not await self._open_in_order(stack, stop, [("store", self.store)]):
                return
            await self._run_routes(stop, watching)
            self._stopping = True
        log.info("stopped")

    async def _run_routes(self, stop: asyncio.Event, watching: Sequence[asyncio.Task[None]]) -> None:
        """Run all routes; when one dies, or what watches the process, the others are drained too."""
        everyone = asyncio.Event()
        running = [
            asyncio.create_task(self._run_route(name, route, everyone), name=f"route-{name}")
            for name, route in self.routes.items()
        ]
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({*running, *watching, stopping}, return_when=asyncio.FIRST_COMPLETED)
            log.info("draining")
        except asyncio.CancelledError:
            for task in running:  # asked twice: no time to drain
                task.cancel()
            raise
        finally:
            stopping.cancel()
            self._stopping = True
            everyone.set()
            results = await asyncio.gather(*running, *filter(asyncio.Task.done, watching), return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _run_route(self, name: str, route: Route, stop: asyncio.Event) -> None:
        """The life of one route. A broker or target that is away holds up nobody but the routes that need it."""
        async with AsyncExitStack() as stack:
            if not await self._open_in_order(stack, stop, route.resources(), prefix=f"routes.{name}."):
                return
            self._consuming.add(name)
            gc.collect()
            gc.freeze()  # what was built and imported lives for ever: later collections need not walk it
            log.info("route_started", extra={"route": name})
            if len(self._consuming) == len(self.routes):
                log.info("started", extra={"routes": ",".join(self.routes)})
            await route.pipeline.run(stop)

    async def _open_in_order(
        self, stack: AsyncExitStack, stop: asyncio.Event, resources: Sequence[tuple[str, Resource]], prefix: str = ""
    ) -> bool:
        for name, resource in resources:
            stack.push_async_callback(resource.close)
            if not await self._open(prefix + name, resource, stop):
                return False
        return True

    async def _open(self, name: str, resource: Resource, stop: asyncio.Event) -> bool:
        wait = FIRST_WAIT
        while not stop.is_set():
            try:
                await resource.open()
            except Unavailable as error:
                self._opening[name] = str(error)
                log.warning("waiting_to_open", extra={"part": name, "reason": str(error)})
                jitter = random.uniform(0.5, 1.0)  # noqa: S311  spreads retries, protects nothing
                await _sleep_unless(stop, wait * jitter)
                wait = min(LAST_WAIT, wait * 2)
            else:
                self._opening.pop(name, None)
                return True
        return False

    async def _watch_groups(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            self._look_at_groups()

    def _look_at_groups(self) -> None:
        """Say once of each route that other instances take part in it, if this store knows nothing of what they do."""
        if self._settings.store.type not in OF_ONE_PROCESS:
            return
        for name, route in self.routes.items():
            if name not in self._told and route.shared:
                self._told.add(name)
                log.warning("store_not_shared", extra={"route": name, "cure": ALONE})

    def _live(self) -> list[str]:
        """Why the process should be restarted. Nothing outside of it is ever a reason."""
        return [f"the event loop hung for {self.lag.recent:.0f} s"] if self.lag.recent > LAG_ALARM else []

    def _ready(self) -> list[str]:
        """Why the process is not consuming. A target that is down is no reason: its events wait in the broker."""
        if self._stopping:
            return ["draining"]
        waiting = [f"{name}: {reason}" for name, reason in self._opening.items()]
        for name, route in self.routes.items():
            if name in self._consuming:
                waiting += [f"routes.{name}: {reason}" for reason in route.not_consuming()]
        if not waiting and len(self._consuming) < len(self.routes):
            return ["starting"]
        return waiting

    def _store_numbers(self) -> Mapping[str, float]:
        return {name: float(value) for name, value in asdict(self.store.stats()).items()}


def _tracing(settings: Settings, routes: Iterable[Route]) -> Tracing:
    """Let the routes write spans. Raises ConfigError where the extra is not installed."""
    try:
        from bridge.tracing.tracing import Tracing
    except ImportError as error:
        raise ConfigError("tracing.enabled", "needs OpenTelemetry", "Install event-bridge[otel]") from error
    tracing = Tracing(settings.tracing, os.environ)
    for route in routes:
        if isinstance(target := route.parts.target, HttpTarget):
            tracing.watch(target, route.name, settings.routes[route.name].target.type)
            route.tally.traced = tracing.trace_of
    return tracing


async def _sleep_unless(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return


async def run(settings: Settings, stop: asyncio.Event, reporting: Reporting | None = None) -> None:
    """Run a process with these settings until `stop` is set. Raises ConfigError before anything is opened."""
    await App(settings, reporting).run(stop)
