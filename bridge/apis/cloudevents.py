"""CloudEvents 1.0 over HTTP: binary, structured or batched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from bridge.apis.answers import classify, for_each
from bridge.apis.auth import Auth
from bridge.apis.cloudevent_data import Content, attributes_of, content_of
from bridge.apis.dialect import ACCEPTED, Dialect, PerSecrets
from bridge.apis.encoding import dumps, header_value, in_calendar
from bridge.apis.options import ApiSettings, SecretSource
from bridge.apis.urls import FullUrl
from bridge.model import Envelope, Outcome, Request, Response
from bridge.ports import Secrets
from bridge.units import Size

_TYPES = {"structured": "application/cloudevents+json", "batch": "application/cloudevents-batch+json"}
_MULTI_STATUS = 207


class CloudEventsSettings(ApiSettings):
    """An endpoint that takes CloudEvents, such as a Knative broker."""

    type: Literal["cloudevents"]
    url: FullUrl = Field(description="Address of the endpoint.")
    mode: Literal["binary", "structured", "batch"] = Field(
        "binary", description="binary: attributes as ce- headers. structured: one JSON body. batch: an array of them."
    )
    source: str = Field(
        "/event-bridge", min_length=1, description="The source attribute of events that came without one."
    )
    max_batch: int = Field(100, ge=1, le=10_000, description="Events in one request, in batch mode.")
    batch_bytes: Size = Field(1 << 20, ge=1 << 10, description="Bytes of one request, in batch mode.")
    auth: Auth | None = Field(None, description="Who we are: bearer, basic or header.")
    dedups_by_id: bool = Field(False, description="Whether the endpoint itself ignores a source and id it has seen.")

    def secrets(self) -> tuple[SecretSource, ...]:
        return () if self.auth is None else (self.auth.source(),)

    def headers(self, secrets: Secrets) -> dict[str, str]:
        """Give the headers that all requests have."""
        auth = {} if self.auth is None else self.auth.headers(secrets)
        return auth if self.mode == "binary" else {"content-type": _TYPES[self.mode], **auth}

    def build_api(self) -> CloudEvents:
        return CloudEvents(self)


class CloudEvents(Dialect):
    """Delays are the bridge's: CloudEvents has no word for them."""

    def __init__(self, settings: CloudEventsSettings) -> None:
        super().__init__(settings.url)
        self._mode = settings.mode
        self._source = settings.source
        self._headers = PerSecrets(settings.headers)
        self.batch_limit = settings.max_batch if settings.mode == "batch" else 1
        self.batch_bytes = settings.batch_bytes
        self.dedups_by_id = settings.dedups_by_id

    def refuse(self, event: Envelope) -> str | None:
        return None if in_calendar(event.ts) else f"ts {event.ts} is outside the years 1000 to 9999"

    def encode(self, events: Sequence[Envelope], secrets: Secrets, now: int) -> Request:  # noqa: ARG002  part of the port
        headers = self._headers(secrets)
        if self._mode == "binary":
            (event,) = events
            content = content_of(event)
            return Request("POST", self.url, {**self._in_headers(event, content), **headers}, content.raw())
        raws = [event.raw for event in events if event.raw is not None and event.raw_as == "cloudevent"]
        if len(raws) < len(events):
            raws = [dumps({**attributes_of(event, self._source), **content_of(event).fields()}) for event in events]
        return Request("POST", self.url, headers, b"[%b]" % b",".join(raws) if self._mode == "batch" else raws[0])

    def _in_headers(self, event: Envelope, content: Content) -> dict[str, str]:
        attributes = {
            f"ce-{name}": header_value(value if isinstance(value, str) else dumps(value).decode())
            for name, value in attributes_of(event, self._source).items()
        }
        return attributes if event.data is None else {"content-type": _media(content), **attributes}

    def decode(self, response: Response, events: Sequence[Envelope], now: int) -> list[Outcome | None]:
        if 200 <= response.status < 300 and response.status != _MULTI_STATUS:  # noqa: PLR2004
            return [ACCEPTED] * len(events)
        return for_each(classify(response, now), len(events))


def _media(content: Content) -> str:
    """Give the content type; one that no header can carry is the publisher's nonsense."""
    media = content.media
    return media if media.isascii() and media.isprintable() else "application/octet-stream"
