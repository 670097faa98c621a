"""Any HTTP endpoint: method, address, headers, body, signature and the meaning of the answers are settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic import JsonValue as AnyJson

from bridge.apis.answers import classify, for_each, reason_of
from bridge.apis.auth import Auth, check_header_name
from bridge.apis.dialect import ACCEPTED, JSON_TYPE, Dialect, PerSecrets
from bridge.apis.encoding import dumps, identity, whole_event
from bridge.apis.options import ApiSettings, SecretSource
from bridge.apis.rules import AnswerRule
from bridge.apis.signing import SigningSettings, signature_headers
from bridge.apis.templates import HeaderTemplate, Unfilled, UrlTemplate, body_template, is_data, parse
from bridge.model import Accepted, Envelope, JsonValue, Misconfigured, Outcome, RawAs, Request, Response, Retryable
from bridge.ports import Secrets
from bridge.units import Duration

DAY = 86_400.0


class WebhookSettings(ApiSettings):
    """An endpoint. Texts may hold places such as {{id}}, {{name}}, {{data.user.id}}; see docs/targets.md."""

    type: Literal["webhook"]
    url: str = Field(description="Address; places may stand in its path and query.")
    method: Literal["POST", "PUT", "PATCH"] = Field("POST", description="HTTP method.")
    headers: dict[str, str] = Field({}, description="Headers to add; their values may hold places.")
    body: AnyJson = Field(
        None, description="JSON to send, with places in its strings. Without it: the event with all its fields."
    )
    auth: Auth | None = Field(None, description="Who we are: bearer, basic or header.")
    signing: SigningSettings | None = Field(None, description="Sign requests as Standard Webhooks says.")
    success: AnswerRule = Field(AnswerRule(), description="Which answers mean that the event was taken.")
    duplicate: AnswerRule | None = Field(None, description="Which answers mean that the event was known, such as 409.")
    dedups_by_id: bool = Field(False, description="Whether the endpoint itself ignores an id it has seen.")
    native_delay: Duration = Field(
        0.0, ge=0, le=365 * DAY, description="Delays up to this long are left to the endpoint, which gets due_at."
    )

    @model_validator(mode="after")
    def _can_be_built(self) -> Self:
        UrlTemplate(self.url)
        body_template(self.body)
        for name, value in self.headers.items():
            _check_header(name, value, signed=self.signing is not None)
        if self.native_delay and self.body is not None and "{{due_at" not in f"{self.url}{self.headers}{self.body}":
            raise ValueError("native_delay needs a place {{due_at}}, or the endpoint never learns when")
        return self

    def secrets(self) -> tuple[SecretSource, ...]:
        return tuple(part.source() for part in (self.auth, self.signing) if part is not None)

    def build_api(self) -> Webhook:
        return Webhook(self)


def _check_header(name: str, value: str, *, signed: bool) -> None:
    check_header_name(name)
    if signed and name.lower().startswith("webhook-"):
        raise ValueError(f"the header {name} belongs to the signature")
    HeaderTemplate(value)


def raw_of(body: JsonValue) -> RawAs | None:
    """What an event may be raw as to be sent as it is under this template of a body."""
    if body is None:
        return "inngest"  # which has the fields of `whole_event`, under the same names
    return "data" if isinstance(body, str) and is_data(parse(body)) else None


class Webhook(Dialect):
    """One event a request."""

    def __init__(self, settings: WebhookSettings) -> None:
        self._url = UrlTemplate(settings.url)
        super().__init__(self._url.sample)
        self._method = settings.method
        self._headers = {name.lower(): HeaderTemplate(value) for name, value in settings.headers.items()}
        self._raw_as: RawAs | None = raw_of(settings.body)
        self._body = whole_event if settings.body is None else body_template(settings.body)
        self._auth, self._signing = settings.auth, settings.signing
        self._success, self._duplicate = settings.success, settings.duplicate
        self._takes_any = self._duplicate is None and self._success.pointer is None  # whatever body an answer has
        self._taken = frozenset(filter(self._success.takes_status, range(200, 600)))
        self._constant = {
            name: template.constant for name, template in self._headers.items() if template.constant is not None
        }
        self._varies = self._url.varies or self._constant.keys() != self._headers.keys()
        self._same_headers = PerSecrets(lambda secrets: self._all_headers(self._constant, secrets))
        self.dedups_by_id = settings.dedups_by_id
        self.max_delay_ms = int(settings.native_delay * 1000)

    def refuse(self, event: Envelope) -> str | None:
        if self._raw_as is not None and event.data is not None and not self._varies:
            return None
        try:
            self._url.fill(event)
            self._filled(event)
            self._body(event)
        except Unfilled as error:
            return str(error)
        return None

    def _filled(self, event: Envelope) -> dict[str, str]:
        return {name: template.fill(event) for name, template in self._headers.items()}

    def encode(self, events: Sequence[Envelope], secrets: Secrets, now: int) -> Request:
        (event,) = events
        body = self._raw(event)
        if body is None:
            body = dumps(self._body(event))
        url, headers = self._url.fill(event), self._headers_for(event, secrets)
        if self._signing is not None:
            headers = {**headers, **signature_headers(identity(event), body, secrets, now)}
        return Request(self._method, url, headers, body)

    def _raw(self, event: Envelope) -> bytes | None:
        """What the publisher wrote, if it is what the body is to be."""
        if self._raw_as is None or event.raw_as != self._raw_as or event.due_at is not None or event.data is None:
            return None
        return event.raw

    def _headers_for(self, event: Envelope, secrets: Secrets) -> Mapping[str, str]:
        return self._all_headers(self._filled(event), secrets) if self._varies else self._same_headers(secrets)

    def _all_headers(self, templated: Mapping[str, str], secrets: Secrets) -> dict[str, str]:
        return {**JSON_TYPE, **templated, **({} if self._auth is None else self._auth.headers(secrets))}

    def decode(self, response: Response, events: Sequence[Envelope], now: int) -> list[Outcome | None]:
        if self._takes_any and response.status in self._taken:
            return [ACCEPTED] * len(events)
        return for_each(self._outcome(response, now), len(events))

    def _outcome(self, response: Response, now: int) -> Outcome:
        if self._duplicate is not None and self._duplicate.fits(response):
            return Accepted(duplicate=True)
        if self._success.takes_status(response.status):
            if self._success.takes_body(response):
                return Accepted()
            return Retryable(f"{reason_of(response)} (the body is not what target.success asks for)")
        outcome = classify(response, now)
        if self._url.varies and isinstance(outcome, Misconfigured) and response.status in {404, 410}:
            return Retryable(outcome.reason)  # the event chose this address, so the others may well pass
        return outcome
