"""What each API, or the proxy in front of it, says with a status: the bodies of faults that name none."""

from __future__ import annotations

from http import HTTPStatus

from bridge.devserver.dialects.trigger_events import server_error
from bridge.devserver.wire import JSON, PROBLEM, TEXT, Answer, dump, reply

RATE_LIMIT = 750  # Trigger.dev's default burst
_HTTP_429 = "https://developer.mozilla.org/en-US/docs/Web/HTTP/Status/429"
_BY_PROXY = frozenset({502, 503, 504})
_TRIGGER_500 = {"trigger-v2": "Failed to create event", "tasks": "Something went wrong"}
_TRIGGER_TEXTS = {401: "Invalid or Missing API key", 404: "Event not found", 413: "Request body too large"}
_TASKS_TEXTS = {401: "Invalid API Key", 404: "Task not found", 413: "Request body too large"}


def usual(api: str, status: int, reset: float, now: float) -> Answer:
    """Answer what `api` says with this status; `reset` is when its rate limit ends, in epoch ms like `now`."""
    phrase = _phrase(status)
    if status < 300 or status == HTTPStatus.NOT_MODIFIED:  # noqa: PLR2004  the range is the name
        return Answer(status=status)
    if status < 400 or status in _BY_PROXY:  # noqa: PLR2004  the range is the name
        return Answer(status=status, body=f"{status} {phrase}\n".encode(), content_type=TEXT)
    if api in {"trigger-v1", "trigger-v2", "tasks"}:
        return _trigger(api, status, reset, now)
    if api == "inngest":
        return _inngest(status)
    if api == "zopio" and status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return reply({"error": "Failed to process event", "message": "fetch failed"}, 500, JSON)
    return reply({"error": phrase}, status)


def _inngest(status: int) -> Answer:
    if status == HTTPStatus.UNAUTHORIZED:
        body = {"status": 401, "message": "", "error": "Event key not found"}
        return Answer(status=401, body=dump(body), content_type=JSON)
    said = {"ids": [""], "status": status, "error": _phrase(status).lower()}
    return Answer(status=status, body=dump(said) + b"\n", content_type=TEXT)


def _trigger(api: str, status: int, reset: float, now: float) -> Answer:
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return _rate_limited(reset, now)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return reply({"error": _TRIGGER_500[api]}, 500) if api in _TRIGGER_500 else server_error()
    texts = _TASKS_TEXTS if api == "tasks" else _TRIGGER_TEXTS
    key = "message" if api == "trigger-v2" and status == HTTPStatus.UNPROCESSABLE_ENTITY else "error"
    return reply({key: texts.get(status, _phrase(status))}, status)


def _rate_limited(reset: float, now: float) -> Answer:
    seconds = max(0.0, (reset - now) / 1000)
    text = f"Rate limit exceeded 0/{RATE_LIMIT} requests remaining. Retry in {seconds} seconds."
    numbers = {"reset": int(reset), "limit": RATE_LIMIT, "remaining": 0, "secondsUntilReset": seconds}
    named = {"title": "Rate Limit Exceeded", "status": 429, "type": _HTTP_429, "detail": text}
    return reply(named | numbers | {"error": text}, 429, PROBLEM)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
