"""The devserver's shell: reads requests, lets faults and dialects decide, writes answers, keeps the book."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Self

from aiohttp import web

from bridge.devserver import breakage, inspection
from bridge.devserver.book import Book
from bridge.devserver.dialects import inngest, route
from bridge.devserver.dialects.webhook import secret_bytes
from bridge.devserver.faults import ActiveFault, Fault, Faults, Named
from bridge.devserver.peek import names_in
from bridge.devserver.records import TEXT_KEPT, RequestRecord
from bridge.devserver.settings import DevServerSettings
from bridge.devserver.wire import Answer, Call, reply
from bridge.devserver.world import World
from bridge.errors import ConfigError

log = logging.getLogger(__name__)

_NAMED_KEPT = 100
_SECRET_HEADERS = frozenset({"authorization", "cookie", "x-api-key", "proxy-authorization"})


class DevServer:
    """
    A local event API: Trigger.dev, Inngest, Zopio, webhooks and CloudEvents on one port.

    Usable in process: `book` is what it saw, `faults` is what it breaks. `async with` starts and stops it.
    """

    def __init__(self, settings: DevServerSettings | None = None) -> None:
        """Without settings: the defaults, on a free port. Raises ValueError for a webhook secret that is none."""
        self.settings = found = settings or DevServerSettings(port=0)
        self.book = Book(
            max_events=found.max_events, max_requests=found.max_requests, max_bytes=found.max_payload_bytes
        )
        self.faults = Faults(found.seed)
        self.world = World(
            book=self.book,
            faults=self.faults,
            keys=frozenset(key.get_secret_value() for key in found.keys),
            webhook_secrets=tuple(secret_bytes(secret.get_secret_value()) for secret in found.webhook_secrets),
        )
        self.port = found.port
        self.in_flight = 0
        self.started_at = now_ms()
        self.stopping = asyncio.Event()
        self.watchers: set[asyncio.Event] = set()
        self._runner: web.AppRunner | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""
        host = f"[{self.settings.host}]" if ":" in self.settings.host else self.settings.host
        return f"http://{host}:{self.port}"

    async def start(self) -> None:
        """
        Listen.

        Raises ConfigError when the address cannot be had.
        """
        for fault in self.settings.faults:
            self.add_fault(fault)
        app = web.Application(client_max_size=self.settings.max_body)
        inspection.add_routes(app, self)
        app.router.add_route("*", "/{path:.*}", self._serve)
        # The real servers do not unpack compressed bodies; a hang must notice that its client has left.
        self._runner = web.AppRunner(
            app, access_log=None, auto_decompress=False, handler_cancellation=True, shutdown_timeout=1.0
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self.settings.host, self.settings.port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise ConfigError("devserver.port", f"cannot listen: {error.strerror}", "Choose another port") from error
        self.port = self._runner.addresses[0][1]
        self.book.on_change = self.changed
        log.info("devserver_started", extra={"url": self.url})

    async def stop(self) -> None:
        """Close every connection and let the port go. May be called twice."""
        self.stopping.set()
        self.book.on_change = lambda: None
        if self._alarm is not None:
            self._alarm.cancel()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
            log.info("devserver_stopped", extra={"url": self.url})

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def add_fault(self, fault: Fault) -> ActiveFault:
        """Put a fault to work from now on; `faults.remove(active.id)` takes it away."""
        active = self.faults.add(fault, now_ms())
        self.changed()
        return active

    def now(self) -> float:
        """Return the epoch in ms."""
        return now_ms()

    def changed(self) -> None:
        """Tell the pages, and set the alarm for what is due next."""
        for watcher in self.watchers:
            watcher.set()
        due = self.book.next_due()
        if due is None or (self._alarm is not None and self._alarm_at <= due):
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = due
        self._alarm = asyncio.get_running_loop().call_later(max(0.0, (due - now_ms()) / 1000), self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self.book.ring(now_ms())
        self.changed()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        path = request.raw_path.partition("?")[0]
        record = RequestRecord(at=now_ms(), monotonic=time.monotonic(), method=request.method, path=path)
        self.in_flight += 1
        try:
            return await self._answer(request, record)
        except web.HTTPException as refused:
            record.status = refused.status
            raise
        except asyncio.CancelledError:
            record.error = record.error or "the client left before it had an answer"
            raise
        finally:
            self.in_flight -= 1
            record.duration_ms = round((time.monotonic() - record.monotonic) * 1000, 3)
            self.book.log(record)

    async def _answer(self, request: web.Request, record: RequestRecord) -> web.StreamResponse:
        body = await request.read()
        api, params, dialect = route(record.path, body) or ("unknown", {}, _unknown)
        headers = {name.lower(): text for name, text in request.headers.items()}
        call = Call(
            api=api,
            method=record.method,
            path=record.path,
            headers=headers,
            body=body,
            now=record.at,
            params=params,
            under_way=self.in_flight,
        )
        _describe(record, call)
        struck, names = self._strike(call)
        answer = dialect(call, self.world) if struck is None or struck.fault.takes_in else Answer()
        record.stored = bool(answer.events)
        self._name(record, answer.events, names if names is not None or answer.events else names_in(call))
        if struck is not None:
            record.fault = struck.id
            return await breakage.act(struck.fault, answer, call, request, record, self)
        return breakage.finish(answer, record)

    def _strike(self, call: Call) -> tuple[ActiveFault | None, list[Named] | None]:
        if not self.faults:
            return None, None
        names = names_in(call)
        return self.faults.pick(call, names), names

    def _name(self, record: RequestRecord, keys: list[str], names: list[Named] | None) -> None:
        """Note whom the request was about: the first hundred by name, the others as a count."""
        if names is None:
            events = [self.book.events[key] for key in keys[:_NAMED_KEPT] if key in self.book.events]
            names = [(event.name, event.id) for event in events]
            record.events = len(keys)
        else:
            record.events = len(names)
        record.names = list(dict.fromkeys(name[:TEXT_KEPT] for name, _ in names[:_NAMED_KEPT]))
        record.ids = [event_id[:TEXT_KEPT] for _, event_id in names[:_NAMED_KEPT] if event_id is not None]


def _unknown(call: Call, world: World) -> Answer:  # noqa: ARG001  the shape of a dialect
    """Nobody's path: the Trigger.dev servers say 404, Inngest's dev server says 200 and nothing to everything else."""
    return reply({"error": "Not found"}, 404) if "/api/" in call.path else inngest.unknown()


def _describe(record: RequestRecord, call: Call) -> None:
    record.api, record.size = call.api, len(call.body)
    record.attempt = call.headers.get("x-bridge-attempt")
    record.headers = {
        name: "***" if name in _SECRET_HEADERS else text[:TEXT_KEPT] for name, text in call.headers.items()
    }
    if call.params.get("key"):
        record.path = "/e/***"


def now_ms() -> float:
    """Return the wall clock in epoch ms, with microseconds as fractions."""
    return time.time_ns() // 1000 / 1000
