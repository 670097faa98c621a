"""Settings of the target that lives in this process, for tests and for trying things out."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bridge.apis.options import Options
from bridge.units import Duration


class MemorySettings(Options):
    """Takes every event and keeps the last ones in memory. Nothing leaves the process."""

    type: Literal["memory"]
    dedups_by_id: bool = Field(True, description="Whether it ignores an id it has seen.")
    native_delay: Duration = Field(0.0, ge=0, description="Delays up to this long are left to it.")
    keep: int = Field(10_000, ge=1, description="How many sends it remembers.")
