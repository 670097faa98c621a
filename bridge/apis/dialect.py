"""The base of all dialects: what most event APIs have in common."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from bridge.apis.encoding import dumps
from bridge.apis.urls import origin_of
from bridge.model import Envelope, JsonValue, Request

JSON_TYPE = {"content-type": "application/json"}


class Dialect:
    """One event a request, no limits, no memory; a dialect overrides what its API does better."""

    batch_limit: int = 1
    batch_bytes: int = 1 << 20
    event_bytes: int = 64 << 20  # beyond any `max_event_bytes`: the API's own 413 decides
    max_delay_ms: int = 0
    dedups_by_id: bool = False

    def __init__(self, url: str) -> None:
        """Take an address that `bridge.apis.urls` has checked."""
        self.url = url
        self.origin = origin_of(url)

    def refuse(self, event: Envelope) -> str | None:  # noqa: ARG002  part of the port
        """Why this event can never be sent to this API."""
        return None

    def group(self, event: Envelope) -> Hashable:  # noqa: ARG002  part of the port
        """What events must have in common to share a request."""
        return None


def post(url: str, body: JsonValue, headers: Mapping[str, str] | None = None) -> Request:
    """Make a POST of JSON."""
    return Request(method="POST", url=url, headers={**JSON_TYPE, **(headers or {})}, body=dumps(body))
