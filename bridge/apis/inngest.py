"""Inngest: POST /e/{key} with an array of events."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, TypeGuard

from pydantic import Field

from bridge.apis.answers import classify, fields_of, for_each, unproven
from bridge.apis.dialect import JSON_TYPE, Dialect, PerSecrets
from bridge.apis.encoding import dumps, identity
from bridge.apis.options import KeySettings, SecretSource
from bridge.apis.urls import BaseUrl
from bridge.model import Accepted, Envelope, JsonValue, Outcome, Request, Response
from bridge.ports import Secrets
from bridge.units import Duration, Size

OK = 200
BAD_REQUEST = 400
YEAR_1980 = 315_532_800_000  # the server refuses times before it, which catches seconds taken for milliseconds
YEAR_2100 = 4_102_444_800_000
_BRACKETS = 2


def unsafe_in_path(key: str) -> str | None:
    """Say what keeps a key from standing in the path. The server compares it undecoded, so it cannot be escaped."""
    return (
        None
        if re.fullmatch(r"[A-Za-z0-9._~-]+", key) and key not in {".", ".."}
        else ("holds a character outside A-Z a-z 0-9 . _ ~ - and cannot stand in the address; make another event key")
    )


class InngestSettings(KeySettings):
    """An Inngest server; the event key comes from `key`, `key_file` or the environment."""

    type: Literal["inngest"]
    url: BaseUrl = Field(description="Address of the event API, such as https://inn.gs or http://localhost:8288.")
    key_env: str = Field(
        "INNGEST_EVENT_KEY", description="Environment variable with the key (with _FILE added: its file)."
    )
    env: str | None = Field(None, pattern=r"^[!-~]{1,256}$", description="Branch environment, sent as x-inngest-env.")
    native_delay: Duration = Field(
        7 * 86_400.0, ge=0, le=365 * 86_400.0, description="Delays up to this long are left to Inngest (free plan: 7d)."
    )
    max_batch: int = Field(5_000, ge=1, le=5_000, description="Events in one request.")
    batch_bytes: Size = Field(10 << 20, ge=1 << 10, description="Bytes of one request.")
    event_bytes: Size = Field(3 << 20, ge=1 << 10, description="Bytes of one event; the plan sets it (free: 256KiB).")
    wrap_data: bool = Field(
        False, description='Send data that is no object as {"value": data}, instead of refusing it.'
    )
    id_with_name: bool = Field(
        False, description='Send "<name>/<id>" as id: Inngest deduplicates by id alone, whatever the name.'
    )

    def secrets(self) -> tuple[SecretSource, ...]:
        source = SecretSource(
            name="key", field="key", value=self.key, file=self.key_file, env=self.key_env, check=unsafe_in_path
        )
        return (source,)

    def build_api(self) -> Inngest:
        return Inngest(self)


class Inngest(Dialect):
    """
    Stores every event it is sent, and deduplicates runs by (function, event id) for 24 hours.

    A 200 counts only with an id for each event: unknown paths answer 200 too. A refused batch has taken the events
    before the bad one, whose ids it lists.
    """

    dedups_by_id = True

    def __init__(self, settings: InngestSettings) -> None:
        super().__init__(settings.url)
        self._headers = JSON_TYPE if settings.env is None else {**JSON_TYPE, "x-inngest-env": settings.env}
        self._address = PerSecrets(lambda secrets: f"{self.url}/e/{secrets['key'][0]}")
        self._wrap = settings.wrap_data
        self._id_with_name = settings.id_with_name
        self.max_delay_ms = int(settings.native_delay * 1000)
        self.batch_limit = settings.max_batch
        self.batch_bytes = settings.batch_bytes
        self.event_bytes = settings.event_bytes + _BRACKETS

    def refuse(self, event: Envelope) -> str | None:
        if event.name.casefold().startswith("inngest/"):
            return "event names that begin with inngest/ are reserved by Inngest"
        if not self._wrap and event.data is not None and not isinstance(event.data, dict):
            return "data must be an object for Inngest (or set wrap_data)"
        if event.user is not None and not isinstance(event.user, dict):
            return "user must be an object for Inngest"
        if event.ts and not YEAR_1980 <= event.ts < YEAR_2100:
            return f"ts {event.ts} is outside the years 1980 to 2099, which Inngest takes, in milliseconds"
        return None

    def encode(self, events: Sequence[Envelope], secrets: Secrets, now: int) -> Request:
        raws = [raw for event in events if (raw := self._raw(event, now)) is not None]
        if len(raws) == len(events):
            body = b"[%b]" % b",".join(raws)
        else:
            body = dumps([self._item(event, now) for event in events])
        return Request("POST", self._address(secrets), self._headers, body)

    def _raw(self, event: Envelope, now: int) -> bytes | None:
        """What the publisher wrote, if it is what `_item` makes."""
        if event.raw_as != "inngest" or event.due_at is not None or self._id_with_name:
            return None
        return event.raw if event.ts is None or event.ts <= now else None

    def _item(self, event: Envelope, now: int) -> dict[str, JsonValue]:
        known = identity(event)
        item: dict[str, JsonValue] = {
            "id": f"{event.name}/{known}" if self._id_with_name else known,
            "name": event.name,
            "data": self._data(event.data),
        }
        if event.due_at is not None and YEAR_1980 <= event.due_at < YEAR_2100:
            item["ts"] = event.due_at
        elif event.ts is not None:
            # A publisher's clock that is ahead is no delay, but Inngest would take it for one.
            item["ts"] = min(event.ts, now)
        if event.user is not None:
            item["user"] = event.user
        if event.v is not None:
            item["v"] = event.v
        return item

    def _data(self, data: JsonValue) -> JsonValue:
        if isinstance(data, dict):
            return data
        return {} if data is None else {"value": data}

    def decode(self, response: Response, events: Sequence[Envelope], now: int) -> list[Outcome | None]:
        if response.status == OK:
            return _success(response, len(events))
        outcomes = for_each(classify(response, now), len(events))
        if response.status == BAD_REQUEST and len(events) > 1:
            taken = _taken(_ids(fields_of(response))[: len(events)])
            outcomes[: len(taken)] = taken
        return outcomes


def _success(response: Response, count: int) -> list[Outcome | None]:
    answer = fields_of(response)
    ids = _ids(answer)
    if answer.get("status") == OK and not answer.get("error") and len(ids) == count and _all_texts(ids):
        return list(map(Accepted, ids))
    return [unproven(response, "an id for each event")] * count


def _all_texts(ids: list[JsonValue]) -> TypeGuard[list[str]]:
    return set(map(type, ids)) == {str} and all(ids)


def _taken(ids: list[JsonValue]) -> list[Outcome | None]:
    """Count as taken the events, from the first, that have an id in the answer."""
    taken: list[Outcome | None] = []
    for ref in ids:
        if not isinstance(ref, str) or not ref:
            break
        taken.append(Accepted(ref))
    return taken


def _ids(answer: dict[str, JsonValue]) -> list[JsonValue]:
    ids = answer.get("ids")
    return ids if isinstance(ids, list) else []
