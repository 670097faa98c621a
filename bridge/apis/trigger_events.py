"""Trigger.dev's events: version 1 (SDK 0.2, early 2023) and version 2 (SDK 2.x), two bodies at one address."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from bridge.apis.answers import classify, fields_of, for_each, json_of, unproven
from bridge.apis.dialect import ACCEPTED, Dialect, PerSecrets, bearer
from bridge.apis.encoding import dumps, identity, in_calendar, iso_z
from bridge.model import Accepted, Envelope, JsonValue, Misconfigured, Outcome, Request, Response
from bridge.ports import Secrets

OK = 200
FAILED = 500


def unwritable_time(event: Envelope) -> str | None:
    """Name the time of an event that no ISO 8601 date can hold."""
    if event.ts is None and event.due_at is None:
        return None
    for field, ms in (("ts", event.ts), ("due_at", event.due_at)):
        if not in_calendar(ms):
            return f"{field} {ms} is outside the years 1000 to 9999"
    return None


class TriggerV1(Dialect):
    """
    POST /api/v1/events with `{id, event: {name, payload, context?, timestamp?, delay?}}`, as the v1 server reads it.

    It remembers ids for ever. A delay goes as `{until}`, so that a retry cannot move it.
    """

    dedups_by_id = True

    def __init__(self, url: str, max_delay_ms: int) -> None:
        super().__init__(url)
        self.max_delay_ms = max_delay_ms
        self._address = f"{url}/api/v1/events"
        self._headers = PerSecrets(bearer)

    def refuse(self, event: Envelope) -> str | None:
        return unwritable_time(event)

    def encode(self, events: Sequence[Envelope], secrets: Secrets, now: int) -> Request:  # noqa: ARG002  part of the port
        (event,) = events
        body = event.raw if event.raw_as == "trigger v1" and event.due_at is None else None
        return Request("POST", self._address, self._headers(secrets), dumps(_v1_body(event)) if body is None else body)

    def decode(self, response: Response, events: Sequence[Envelope], now: int) -> list[Outcome | None]:
        if response.status != OK:
            return for_each(classify(response, now), len(events))
        return [_v1_success(response)]


def _v1_body(event: Envelope) -> dict[str, JsonValue]:
    inner: dict[str, JsonValue] = {"name": event.name, "payload": event.data, **_context(event, event.user)}
    if event.ts is not None:
        inner["timestamp"] = iso_z(event.ts)
    if event.due_at is not None:
        inner["delay"] = {"until": iso_z(event.due_at)}
    return {"id": identity(event), "event": inner}


def _v1_success(response: Response) -> Outcome:
    """Read a 200, which the real route also sends with `{"status": 405}` inside."""
    answer = fields_of(response)
    if answer.get("status") == OK:
        return ACCEPTED
    if isinstance(answer.get("id"), str) and isinstance(answer.get("name"), str):
        return Misconfigured("HTTP 200 from a v2 server, which drops the id and delay of v1 (set version: v2)")
    return unproven(response, '"status": 200')


class TriggerV2(Dialect):
    """
    POST /api/v1/events and /bulk with `{event: {id, name, payload, ...}, options: {deliverAt?}}`.

    It remembers ids for ever, per environment. Sending an event that still waits *updates* it, and without `deliverAt`
    fires it, so every attempt carries the same absolute time. The `options` of a bulk request are for all its events:
    hence only events of one account, due at the same moment, share a request.
    """

    dedups_by_id = True

    def __init__(self, url: str, max_delay_ms: int, batch_limit: int) -> None:
        super().__init__(url)
        self.max_delay_ms = max_delay_ms
        self.batch_limit = batch_limit
        self._address = f"{url}/api/v1/events"
        self._bulk_address = f"{url}/api/v1/events/bulk"
        self._headers = PerSecrets(bearer)

    def refuse(self, event: Envelope) -> str | None:
        return unwritable_time(event)

    def group(self, event: Envelope) -> Hashable:
        return event.due_at, _account(event)

    def encode(self, events: Sequence[Envelope], secrets: Secrets, now: int) -> Request:  # noqa: ARG002  part of the port
        first, headers = events[0], self._headers(secrets)
        if len(events) > 1:
            items: list[JsonValue] = [_v2_event(event) for event in events]
            body = dumps({"events": items, "options": _v2_options(first)})
            return Request("POST", self._bulk_address, headers, body)
        if first.raw is not None and first.raw_as == "trigger v2" and first.due_at is None:
            return Request("POST", self._address, headers, first.raw)
        body = dumps({"event": _v2_event(first), "options": _v2_options(first)})
        return Request("POST", self._address, headers, body)

    def decode(self, response: Response, events: Sequence[Envelope], now: int) -> list[Outcome | None]:
        if response.status == FAILED and len(events) > 1:
            return [None] * len(events)  # one event that fails in the middle fails them all
        if response.status != OK:
            return for_each(classify(response, now), len(events))
        answer = json_of(response)
        if len(events) == 1 and isinstance(answer, dict) and answer.get("id") == identity(events[0]):
            return [Accepted(identity(events[0]))]
        if isinstance(answer, dict) and answer.get("status") == OK and "id" not in answer:
            return [Misconfigured("HTTP 200 from a v1 server, which reads another body (set version: v1)")] * len(
                events
            )
        records = answer if isinstance(answer, list) else [answer]
        ids = [record.get("id") for record in records if isinstance(record, dict)]
        stored = {id_ for id_ in ids if isinstance(id_, str)}
        return [self._outcome(identity(event), stored, response, len(events)) for event in events]

    @staticmethod
    def _outcome(sent: str, stored: set[str], response: Response, count: int) -> Outcome | None:
        if sent in stored:
            return Accepted(sent)
        return None if count > 1 and stored else unproven(response, "the id that was sent")


def _v2_options(event: Envelope) -> dict[str, JsonValue]:
    options: dict[str, JsonValue] = {}
    if event.due_at is not None:
        options["deliverAt"] = iso_z(event.due_at)
    account = _account(event)
    if account is not None:
        options["accountId"] = account
    return options


def _account(event: Envelope) -> str | None:
    """Give the account of a v2 event, which `bridge.formats.trigger` reads as its user."""
    match event.user:
        case {"accountId": str(account), **rest} if not rest:
            return account
        case _:
            return None


def _v2_event(event: Envelope) -> dict[str, JsonValue]:
    user = None if _account(event) else event.user
    context = _context(event, user)
    item: dict[str, JsonValue] = {"id": identity(event), "name": event.name, "payload": event.data, **context}
    if event.ts is not None:
        item["timestamp"] = iso_z(event.ts)
    if event.source is not None:
        item["source"] = event.source
    return item


def _context(event: Envelope, user: JsonValue) -> dict[str, JsonValue]:
    """Give the context; the `user` and `v` of an event, for which Trigger.dev has no place, ride in it."""
    if user is None and event.v is None:
        return {} if event.context is None else {"context": event.context}
    given: dict[str, JsonValue] = {"user": user, "v": event.v}
    extra: dict[str, JsonValue] = {field: value for field, value in given.items() if value is not None}
    context: JsonValue = event.context
    if isinstance(context, dict):
        context = {**extra, **context}
    elif context is None and extra:
        context = extra
    return {} if context is None else {"context": context}
