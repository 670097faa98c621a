"""Events, answers and settings, in as few words as the tests need."""

from __future__ import annotations

from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict

from bridge.apis import TargetSettings
from bridge.model import Accepted, Envelope, Misconfigured, Outcome, Rejected, Response, Retryable
from bridge.ports import Api

NOW = 1_795_219_200_000  # 2026-11-21T00:00:00Z
SECRETS = {"key": ("tr_dev_1234567890",), "auth": ("s3cret-token",)}


class Route(BaseModel):
    """Stands for the settings around a target: pydantic hides values only where the outermost model says so."""

    model_config = ConfigDict(hide_input_in_errors=True)

    target: TargetSettings


def event(id: str = "e1", name: str = "user.created", **fields: Any) -> Envelope:  # noqa: A002  the envelope's own word
    return Envelope(id=id, name=name, **{"data": {"a": 1}, **fields})


def settings(type: str, **fields: Any) -> Any:  # noqa: A002  the settings' own word
    return Route.model_validate({"target": {"type": type, "url": "http://api.test", **fields}}).target


def api(type: str, **fields: Any) -> Api:  # noqa: A002  the settings' own word
    built: Api = settings(type, **fields).build_api()
    return built


def answer(status: int, body: object = b"", **headers: str) -> Response:
    raw = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else orjson.dumps(body)
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


def sent(dialect: Api, *events: Envelope) -> Any:
    """The JSON body of the request for these events."""
    return orjson.loads(dialect.encode(events, SECRETS, NOW).body)


def kinds(outcomes: list[Outcome | None]) -> str:
    """One letter an outcome: Accepted, Retryable, Paused (all wait), reJected, Misconfigured, ? for None."""
    return "".join(map(_kind, outcomes))


def _kind(outcome: Outcome | None) -> str:
    if isinstance(outcome, Retryable):
        return "P" if outcome.pause else "R"
    return {type(None): "?", Accepted: "A", Rejected: "J", Misconfigured: "M"}[type(outcome)]
