"""The base of all dialects: what most event APIs have in common."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Final, Generic, TypeVar

from bridge.apis.urls import origin_of
from bridge.model import Accepted, Envelope
from bridge.ports import Secrets

JSON_TYPE = {"content-type": "application/json"}
ACCEPTED: Final = Accepted()

T = TypeVar("T")


class PerSecrets(Generic[T]):
    """
    Something that only the secrets can change: the same object until they do.

    Requests share their headers in this way, and those who write requests need not write the same ones each time.
    """

    __slots__ = ("_made", "_make", "_secrets")

    def __init__(self, make: Callable[[Secrets], T]) -> None:
        self._make = make
        self._secrets: Secrets | None = None

    def __call__(self, secrets: Secrets) -> T:
        """Give what was made of these very secrets. New ones are another mapping, not the same one changed."""
        if secrets is not self._secrets:
            self._made = self._make(secrets)
            self._secrets = secrets
        return self._made


def bearer(secrets: Secrets) -> Mapping[str, str]:
    """Give the headers of JSON with a key; the word "Bearer" is case-sensitive on these servers."""
    return {**JSON_TYPE, "authorization": f"Bearer {secrets['key'][0]}"}


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
