"""Where the bridge remembers which events are claimed, scheduled and done. The union is the registry."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from pydantic import Field

from bridge.stores.memory import MemorySettings
from bridge.stores.redis import RedisSettings
from bridge.stores.sqlite import SqliteSettings

StoreSettings: TypeAlias = Annotated[SqliteSettings | RedisSettings | MemorySettings, Field(discriminator="type")]

OF_ONE_PROCESS: Final = ("sqlite", "memory")
"""The types that no second process can share."""
