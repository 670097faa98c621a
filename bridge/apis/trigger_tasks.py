"""Trigger.dev's tasks (version 3 and later): an event runs the task that its name chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Literal
from urllib.parse import quote

from bridge.apis.answers import asked_wait, classify, fields_of, for_each, reason_of, unproven
from bridge.apis.dialect import Dialect, PerSecrets, bearer
from bridge.apis.encoding import dumps, identity, iso_z, whole_event
from bridge.apis.trigger_events import FAILED, OK, unwritable_time
from bridge.model import Accepted, Envelope, JsonValue, Misconfigured, Outcome, Rejected, Request, Response, Retryable
from bridge.ports import Secrets

BATCH_OK = 202
MAX_TAG = 128
MAX_KEY = 2_048


class TaskChoice:
    """Chooses a task by event name: exact names first, then patterns in their order, then the default."""

    def __init__(self, tasks: Mapping[str, str], default: str | None) -> None:
        """`{name}` in a task id stands for the event's name."""
        self._tasks = tasks
        self._default = default

    def __call__(self, name: str) -> str | None:
        """Return the task's id, or None where nothing fits."""
        chosen = self._tasks.get(name)
        if chosen is None:
            chosen = next((task for pattern, task in self._tasks.items() if fnmatchcase(name, pattern)), self._default)
        return chosen and chosen.replace("{name}", name)


class TriggerTasks(Dialect):
    """
    POST /api/v1/tasks/{id}/trigger, and /api/v1/tasks/batch for several.

    The event id is the idempotency key, which the server keeps for `key_ttl`. Content-Length is always there, since
    the server answers 413 without it.
    """

    dedups_by_id = True
    batch_bytes = 1_000_000

    def __init__(
        self,
        url: str,
        choose: TaskChoice,
        *,
        payload: Literal["data", "event"],
        max_delay_ms: int,
        batch_limit: int,
        key_ttl: str,
    ) -> None:
        super().__init__(url)
        self._choose = choose
        self._payload = payload
        self.max_delay_ms = max_delay_ms
        self.batch_limit = batch_limit
        self._key_ttl = key_ttl
        self._headers = PerSecrets(bearer)

    def refuse(self, event: Envelope) -> str | None:
        task = self._choose(event.name)
        if not task or task in {".", ".."}:
            return f"no task for the event name {event.name!r}: add it to tasks, or set default_task"
        if len(identity(event)) > MAX_KEY:
            return f"source and id together are longer than the {MAX_KEY} characters of an idempotency key"
        return unwritable_time(event)

    def encode(self, events: Sequence[Envelope], secrets: Secrets, now: int) -> Request:  # noqa: ARG002  part of the port
        if len(events) == 1:
            task = quote(self._choose(events[0].name) or "", safe="")
            url, body = f"{self.url}/api/v1/tasks/{task}/trigger", dumps(self._run(events[0]))
        else:
            items: list[JsonValue] = [{"task": self._choose(event.name), **self._run(event)} for event in events]
            url, body = f"{self.url}/api/v1/tasks/batch", dumps({"items": items})
        return Request("POST", url, self._headers(secrets), body)

    def _run(self, event: Envelope) -> dict[str, JsonValue]:
        options: dict[str, JsonValue] = {
            "idempotencyKey": identity(event),
            "idempotencyKeyTTL": self._key_ttl,
            "tags": [event.name[:MAX_TAG]],
        }
        if event.due_at is not None:
            options["delay"] = iso_z(event.due_at)
        return {"payload": event.data if self._payload == "data" else whole_event(event), "options": options}

    def decode(self, response: Response, events: Sequence[Envelope], now: int) -> list[Outcome | None]:
        if response.status == OK and len(events) == 1:
            return [_run_success(response)]
        if response.status == BATCH_OK and len(events) > 1:
            return _batch_success(response, len(events))
        if response.status == FAILED and len(events) > 1:
            return [None] * len(events)  # one odd item takes the whole batch down with it
        return for_each(_failure(response, now), len(events))


def _run_success(response: Response) -> Outcome:
    answer = fields_of(response)
    run = answer.get("id")
    if not isinstance(run, str) or not run:
        return unproven(response, "the id of a run")
    return Accepted(run, duplicate=answer.get("isCached") is True)


def _batch_success(response: Response, count: int) -> list[Outcome | None]:
    """Read the 202 of a batch: the runs stand in the order of the items."""
    runs = fields_of(response).get("runs")
    if not isinstance(runs, list) or len(runs) != count:
        return [unproven(response, "the id of each run")] * count
    return [
        Accepted(str(run["id"]), duplicate=run.get("isCached") is True)
        if isinstance(run, dict) and run.get("id")
        else None
        for run in runs
    ]


def _failure(response: Response, now: int) -> Outcome:
    """
    Classify what is no success. Three things differ from other APIs.

    A task that is not there yet (404 with that text) is this event's matter and comes with the next deploy, so the
    others go on. No credits, or a full queue (both 422) are no event's fault. `x-should-retry` is obeyed except after a
    5xx: the server says false for every inner error, also when only its database was away.
    """
    outcome, said = classify(response, now), reason_of(response)
    if response.status == 404 and "Task not found" in said:  # noqa: PLR2004
        return Retryable(f"{said} (deploy the task, or map the event name under tasks)")
    if response.status == 422 and "out of credits" in said:  # noqa: PLR2004
        return Misconfigured(said)
    if response.status == 422 and "queue size limit" in said:  # noqa: PLR2004
        return Retryable(said, asked_wait(response, now), pause=True)
    wanted = response.headers.get("x-should-retry")
    if wanted == "true" and isinstance(outcome, Rejected):
        return Retryable(outcome.reason, asked_wait(response, now))
    if wanted == "false" and isinstance(outcome, Retryable) and response.status in {408, 409, 425}:
        return Rejected(outcome.reason)
    return outcome
