"""A source within this process, for tests and for trying things out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from bridge.memory import MemoryQueue
from bridge.model import Delivery


class MemorySourceSettings(BaseModel):
    """A queue in memory. What is in it is gone when the process ends."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    type: Literal["memory"] = Field(description="Keep deliveries in this process; for trying things out.")
    prefetch: int = Field(256, ge=1, le=65_535, description="Deliveries handed out and not settled yet, at most.")

    def build(self, route: str) -> MemorySource:
        return MemorySource(f"memory:{route}", prefetch=self.prefetch)


class MemorySource(MemoryQueue):
    """A queue that anybody in the process may publish to."""

    def publish(self, body: bytes, headers: Mapping[str, object] | None = None, *, routing_key: str = "") -> None:
        self.put(Delivery(body=body, headers=headers or {}, routing_key=routing_key))
