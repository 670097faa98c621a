"""The devserver's own API under /_/: what was seen, what is broken, and the page for people."""

from __future__ import annotations

import asyncio
from fnmatch import fnmatchcase
from importlib import resources
from itertools import islice
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from bridge.devserver.faults import Fault
from bridge.devserver.records import TEXT_KEPT, EventRecord, RequestRecord
from bridge.devserver.show import show_event, show_fault, show_faults, show_request, show_stats
from bridge.devserver.wire import JSON, dump
from bridge.devserver.world import House

_ATTEMPTS_SHOWN = 50
_STREAM_PAUSE_S = 0.1
_STREAM_REST_S = 0.5  # under a load that nobody can read along with
_STREAM_BEAT_S = 1.0
_STREAM_LIMIT = 300
_MEDIA = {"css": "text/css", "html": "text/html", "js": "text/javascript", "svg": "image/svg+xml"}
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def add_routes(app: web.Application, server: House) -> None:
    """Add the page and everything under /_/."""
    api = Inspection(server)
    routes = [
        web.get("/_/events", api.events),
        web.get("/_/event", api.event),
        web.get("/_/requests", api.requests),
        web.get("/_/stats", api.stats),
        web.get("/_/stream", api.stream),
        web.post("/_/reset", api.reset),
        web.get("/_/faults", api.faults),
        web.post("/_/faults", api.add_fault),
        web.delete("/_/faults", api.clear_faults),
        web.delete("/_/faults/{id}", api.remove_fault),
        web.get("/", page),
        web.get("/_/page/{name}", page),
        web.route("*", "/_/{path:.*}", _nothing_here),
    ]
    app.add_routes(routes)


class Inspection:
    """The endpoints; every answer is JSON."""

    def __init__(self, server: House) -> None:
        self._server = server

    async def events(self, request: web.Request) -> web.Response:
        """Latest change first. Query: api, name, id (with wildcards), q (anywhere), state, limit."""
        wanted = Filter(request)
        found = [event for event in reversed(self._server.book.events.values()) if wanted.takes(event)]
        return _json({"matched": len(found), "events": [show_event(event) for event in found[: wanted.limit]]})

    async def event(self, request: web.Request) -> web.Response:
        """One event by its `key`, with the requests that carried it."""
        event = self._server.book.events.get(request.query.get("key", ""))
        if event is None:
            return _json({"error": "no such event; it may have left the ring"}, 404)
        noted, log = event.id[:TEXT_KEPT], reversed(self._server.book.requests)
        carried = (entry for entry in log if entry.api == event.api and noted in entry.ids)
        requests = [show_request(entry) for entry in islice(carried, _ATTEMPTS_SHOWN)]
        return _json({"event": show_event(event), "requests": requests})

    async def requests(self, request: web.Request) -> web.Response:
        """Latest first. Query: api, path (with wildcards), status, id, failed=1, limit."""
        query, limit = request.query, _limit(request)
        found = (entry for entry in reversed(self._server.book.requests) if _asked_for(entry, query))
        return _json({"requests": [show_request(entry) for entry in islice(found, limit)]})

    async def stats(self, request: web.Request) -> web.Response:  # noqa: ARG002  the shape of a route
        return _json(show_stats(self._server))

    async def reset(self, request: web.Request) -> web.Response:
        """Forget all events and requests; faults stay."""
        _refuse_strangers(request)
        self._server.book.reset()
        return web.Response(status=204)

    async def faults(self, request: web.Request) -> web.Response:  # noqa: ARG002  the shape of a route
        return _json({"faults": show_faults(self._server)})

    async def add_fault(self, request: web.Request) -> web.Response:
        _refuse_strangers(request)
        try:
            fault = Fault.model_validate_json(await request.read())
        except ValidationError as error:
            return _json({"error": explain(error)}, 400)
        active = self._server.add_fault(fault)
        return _json(show_fault(active, active.added), 201)

    async def clear_faults(self, request: web.Request) -> web.Response:
        _refuse_strangers(request)
        self._server.faults.clear()
        self._server.changed()
        return web.Response(status=204)

    async def remove_fault(self, request: web.Request) -> web.Response:
        _refuse_strangers(request)
        if not self._server.faults.remove(request.match_info["id"]):
            return _json({"error": "no such fault"}, 404)
        self._server.changed()
        return web.Response(status=204)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """
        Server-sent events: first what is there, then what changes, at most ten times a second.

        Takes the filters of `events`. Each one names the records that changed and still match, and the keys of
        those that changed and do not.
        """
        wanted = Filter(request)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        changed = asyncio.Event()
        self._server.watchers.add(changed)
        try:
            await self._follow(wanted, changed, response)
        finally:
            self._server.watchers.discard(changed)
        return response

    async def _follow(self, wanted: Filter, changed: asyncio.Event, response: web.StreamResponse) -> None:
        book, epoch, rev = self._server.book, -1, 0
        while not self._server.stopping.is_set():
            changed.clear()
            fresh = book.epoch != epoch
            epoch, since, rev = book.epoch, 0 if fresh else rev, book.rev
            news = self._news(wanted, since, fresh=fresh)
            await response.write(b"data: " + dump(news) + b"\n\n")
            await asyncio.sleep(_STREAM_PAUSE_S if len(news["events"]) < _STREAM_LIMIT else _STREAM_REST_S)
            await _first_of(changed, self._server.stopping, _STREAM_BEAT_S)

    def _news(self, wanted: Filter, since: int, *, fresh: bool) -> dict[str, Any]:
        book, events, gone = self._server.book, [], []
        for event in book.events_since(since, len(book.events)):
            if wanted.takes(event):
                events.append(show_event(event, whole=False))
                if len(events) == _STREAM_LIMIT and not fresh:
                    return self._news(wanted, 0, fresh=True)  # more changed than is shown: begin anew
                if len(events) == _STREAM_LIMIT:
                    break
            elif not fresh:
                gone.append(event.key)
        requests = [show_request(entry) for entry in book.requests_since(since, _STREAM_LIMIT)]
        state = {"stats": show_stats(self._server), "faults": show_faults(self._server)}
        return {"fresh": fresh, "events": events, "gone": gone, "requests": requests, **state}


class Filter:
    """Which events a query asks for. Raises HTTPBadRequest."""

    def __init__(self, request: web.Request) -> None:
        query = request.query
        self.limit = _limit(request)
        self._api, self._name, self._id = query.get("api"), query.get("name"), query.get("id")
        self._state, self._text = query.get("state"), query.get("q", "").lower()

    def takes(self, event: EventRecord) -> bool:
        return (
            (not self._api or event.api == self._api)
            and (
                not self._state or self._state == event.state or (self._state == "duplicates" and event.duplicates > 0)
            )
            and (not self._name or fnmatchcase(event.name, self._name))
            and (not self._id or fnmatchcase(event.id, self._id))
            and (not self._text or self._contains(event))
        )

    def _contains(self, event: EventRecord) -> bool:
        words = (event.id.lower(), event.name.lower(), event.payload.decode("utf-8", "replace").lower())
        return any(self._text in word for word in words)


def explain(error: ValidationError) -> str:
    """Name the field and the cure, without the input."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    texts = (": ".join(filter(None, (".".join(map(str, one["loc"])), one["msg"]))) for one in problems)
    return "; ".join(texts)


def _asked_for(entry: RequestRecord, query: Any) -> bool:
    return (
        (not query.get("api") or entry.api == query["api"])
        and (not query.get("path") or fnmatchcase(entry.path, query["path"]))
        and (not query.get("status") or str(entry.status) == query["status"])
        and (not query.get("id") or query["id"] in entry.ids)
        and (query.get("failed") != "1" or not entry.ok)
    )


def _limit(request: web.Request) -> int:
    text = request.query.get("limit", "100")
    if not text.isascii() or not text.isdigit():
        raise web.HTTPBadRequest(text="limit must be a number")
    return int(text)


def _refuse_strangers(request: web.Request) -> None:
    """Let no other site's page change anything here: browsers name the origin of such a request."""
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.host:
        raise web.HTTPForbidden(text="cross-origin")


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=dump(value), status=status, content_type=JSON)


async def _nothing_here(request: web.Request) -> web.Response:  # noqa: ARG001  the shape of a route
    return _json({"error": "nothing here; see the devserver's guide for what is under /_/"}, 404)


async def page(request: web.Request) -> web.Response:
    """Send one file of the page; there is nothing to build, and nothing is fetched from elsewhere."""
    name = request.match_info.get("name", "index.html")
    media = _MEDIA.get(name.rpartition(".")[2])
    files = {file.name: file for file in resources.files("bridge.devserver").joinpath("page").iterdir()}
    if media is None or name not in files:
        return await _nothing_here(request)
    return web.Response(body=files[name].read_bytes(), content_type=media, charset="utf-8", headers=_PAGE_HEADERS)


async def _first_of(changed: asyncio.Event, stopping: asyncio.Event, seconds: float) -> None:
    """Wait for news, the end, or the next beat."""
    waits = [asyncio.ensure_future(event.wait()) for event in (changed, stopping)]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
