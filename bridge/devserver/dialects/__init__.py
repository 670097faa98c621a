"""The server side of each event API: a pure function from a call to an answer, and the routes that lead to it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from bridge.devserver.dialects import cloudevents, inngest, trigger_events, trigger_tasks, webhook, zopio
from bridge.devserver.wire import Answer, Call
from bridge.devserver.world import World

Dialect = Callable[[Call, World], Answer]


@dataclass(slots=True, frozen=True)
class Route:
    """Paths that match `pattern` (whole, not decoded) belong to `api`; its groups become `Call.params`."""

    api: str
    pattern: re.Pattern[str]
    dialect: Dialect


def _route(api: str, pattern: str, dialect: Dialect) -> Route:
    return Route(api, re.compile(pattern), dialect)


ROUTES = (
    _route("inngest", r"/e(?:/(?P<key>[^/]*)(?P<slash>/)?)?", inngest.answer),
    _route("trigger-v1", r"/v1/api/v1/events", trigger_events.answer_v1),
    _route("trigger-v2", r"(?:/v2)?/api/v1/events/bulk", trigger_events.answer_v2_bulk),
    _route("trigger-v2", r"(?:/v2)?/api/v1/events/(?P<id>[^/]+)", trigger_events.answer_v2_get),
    _route("trigger-v2", r"(?:/v2)?/api/v1/events/(?P<id>[^/]+)/cancel", trigger_events.answer_v2_cancel),
    _route("trigger-v2", r"/v2/api/v1/events", trigger_events.answer_v2),
    _route("trigger-v2", r"/api/v1/events", trigger_events.answer_v2),
    _route("tasks", r"/api/v[12]/tasks/batch", trigger_tasks.answer_batch),
    _route("tasks", r"/api/v1/tasks/(?P<task>[^/]+)/trigger", trigger_tasks.answer),
    _route("zopio", r"/trigger", zopio.answer),
    _route("webhook", r"/webhook/(?P<name>.+)", webhook.answer),
    _route("cloudevents", r"/cloudevents", cloudevents.answer),
)
"""In order; the first that matches the whole path wins."""

APIS = ("trigger-v1", "trigger-v2", "tasks", "inngest", "zopio", "webhook", "cloudevents")


def route(path: str, body: bytes) -> tuple[str, dict[str, str], Dialect] | None:
    """
    Find who answers this path.

    Trigger.dev v1 and v2 share `/api/v1/events`; there the body decides (see `trigger_events.is_v1`), while the
    prefixes /v1 and /v2 force a version.
    """
    for candidate in ROUTES:
        found = candidate.pattern.fullmatch(path)
        if found is not None:
            if path == "/api/v1/events" and trigger_events.is_v1(body):
                return "trigger-v1", {}, trigger_events.answer_v1
            params = {name: text for name, text in found.groupdict().items() if text is not None}
            return candidate.api, params, candidate.dialect
    return None
