"""Trigger.dev: the settings, and which of its three generations they name."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from bridge.apis.options import KeySettings, SecretSource
from bridge.apis.trigger_events import TriggerV1, TriggerV2
from bridge.apis.trigger_tasks import TaskChoice, TriggerTasks
from bridge.apis.urls import BaseUrl
from bridge.units import Duration

MAX_DELAY = 365 * 86_400.0
_TASKS_ONLY = ("tasks", "default_task", "payload", "idempotency_ttl")

TaskId = Annotated[str, Field(min_length=1, max_length=256)]


class TriggerSettings(KeySettings):
    """A Trigger.dev server; the key comes from `key`, `key_file` or the environment."""

    type: Literal["trigger"]
    version: Literal["v1", "v2", "tasks"] = Field(
        description="v1: events of SDK 0.2 (early 2023). v2: events of SDK 2.x. tasks: everything since version 3."
    )
    url: BaseUrl = Field(description="Address of the server, such as https://api.trigger.dev.")
    key_env: str = Field(
        "TRIGGER_API_KEY", description="Environment variable with the key (with _FILE added: its file)."
    )
    native_delay: Duration = Field(
        MAX_DELAY, ge=0, le=MAX_DELAY, description="Delays up to this long are left to the server; 0 leaves it none."
    )
    max_batch: int = Field(
        1,
        ge=1,
        le=500,
        description="Events in one request (v2 and tasks). A batch of tasks is taken before its runs are.",
    )
    tasks: dict[str, TaskId] = Field(
        {}, description='Task by event name; names may be patterns: {"user.*": "user-changed"}. Version tasks only.'
    )
    default_task: TaskId | None = Field(
        "{name}",
        description="Task for all other names; {name} stands for the name; null refuses them. Version tasks only.",
    )
    payload: Literal["data", "event"] = Field(
        "data",
        description="What the task gets: the event's data, or the event with its id and name. Version tasks only.",
    )
    idempotency_ttl: str = Field(
        "30d", pattern=r"^\d+[smhd]$", description="How long the server remembers an event id. Version tasks only."
    )

    @model_validator(mode="after")
    def _fits_its_version(self) -> Self:
        useless = [field for field in _TASKS_ONLY if field in self.model_fields_set and self.version != "tasks"]
        if useless:
            raise ValueError(f"{' and '.join(useless)} need version: tasks")
        if self.version == "v1" and self.max_batch > 1:
            raise ValueError("max_batch needs version v2 or tasks: v1 takes one event a request")
        return self

    def secrets(self) -> tuple[SecretSource, ...]:
        return (SecretSource(name="key", field="key", value=self.key, file=self.key_file, env=self.key_env),)

    def build_api(self) -> TriggerV1 | TriggerV2 | TriggerTasks:
        delay = int(self.native_delay * 1000)
        if self.version == "v1":
            return TriggerV1(self.url, delay)
        if self.version == "v2":
            return TriggerV2(self.url, delay, self.max_batch)
        return TriggerTasks(
            self.url,
            TaskChoice(self.tasks, self.default_task),
            payload=self.payload,
            max_delay_ms=delay,
            batch_limit=self.max_batch,
            key_ttl=self.idempotency_ttl,
        )
