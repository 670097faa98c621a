"""The targets: the HTTP shell around the dialects of `bridge.apis`, and one in memory."""

from __future__ import annotations

from bridge.apis import MemorySettings, TargetSettings
from bridge.targets.credentials import Credentials
from bridge.targets.http import HttpTarget
from bridge.targets.memory import MemoryTarget

__all__ = ["Credentials", "HttpTarget", "MemoryTarget", "build_target"]


def build_target(settings: TargetSettings, *, where: str = "target") -> HttpTarget | MemoryTarget:
    """Make the target that the settings describe, not yet opened. `where` is their path, for errors."""
    if isinstance(settings, MemorySettings):
        return MemoryTarget(settings)
    return HttpTarget(settings.build_api(), Credentials(settings.secrets(), where=where), settings.http, where=where)
