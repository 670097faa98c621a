"""Zopio: POST /trigger with `{event: "name", payload}`; it forwards to Trigger.dev, without id or delay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from bridge.apis.answers import classify, fields_of, for_each, unproven
from bridge.apis.dialect import ACCEPTED, JSON_TYPE, Dialect
from bridge.apis.encoding import dumps
from bridge.apis.options import ApiSettings
from bridge.apis.urls import BaseUrl
from bridge.model import Accepted, Envelope, Outcome, Request, Response
from bridge.ports import Secrets

OK = 200
MIN_TIMEOUT = 15.0  # seconds; its own nine attempts upstream take eleven before it answers 500


class ZopioSettings(ApiSettings):
    """A Zopio server. It wants no key, knows no ids and holds no delays."""

    type: Literal["zopio"]
    url: BaseUrl = Field(description="Address of the app, such as http://localhost:3002; /trigger is added.")

    @model_validator(mode="after")
    def _patient_enough(self) -> Self:
        if self.http.timeout <= MIN_TIMEOUT:
            raise ValueError("http.timeout must be over 15s: Zopio answers only after its own retries, about 11s")
        return self

    def build_api(self) -> Zopio:
        return Zopio(self.url)


class Zopio(Dialect):
    """Every ambiguous send may become a second event: nothing there remembers ids."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._address = f"{url}/trigger"

    def encode(self, events: Sequence[Envelope], secrets: Secrets, now: int) -> Request:  # noqa: ARG002  part of the port
        (event,) = events
        body = event.raw if event.raw_as == "zopio" else None
        if body is None:
            body = dumps({"event": event.name, "payload": event.data})
        return Request("POST", self._address, JSON_TYPE, body)

    def decode(self, response: Response, events: Sequence[Envelope], now: int) -> list[Outcome | None]:
        if response.status != OK:
            return for_each(classify(response, now), len(events))
        answer = fields_of(response)
        if answer.get("success") is not True:
            return [unproven(response, '"success": true')]
        result = answer.get("result")
        ref = result.get("id") if isinstance(result, dict) else None
        return [Accepted(ref) if isinstance(ref, str) else ACCEPTED]
