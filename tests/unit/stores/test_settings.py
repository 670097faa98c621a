from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from bridge.stores import StoreSettings
from bridge.stores.clock import steady_clock
from bridge.stores.memory import MemorySettings, MemoryStore
from bridge.stores.redis import RedisSettings
from bridge.stores.sqlite import SqliteSettings, SqliteStore

ADAPTER: TypeAdapter[SqliteSettings | RedisSettings | MemorySettings] = TypeAdapter(StoreSettings)


def test_the_type_chooses_the_store() -> None:
    assert isinstance(ADAPTER.validate_python({"type": "sqlite"}).build(), SqliteStore)
    assert isinstance(ADAPTER.validate_python({"type": "memory"}).build(), MemoryStore)


def test_durations_are_written_with_units() -> None:
    settings = ADAPTER.validate_python({"type": "sqlite", "path": "/var/lib/bridge/keys.db", "ttl": "36h"})
    assert settings == SqliteSettings(path=Path("/var/lib/bridge/keys.db"), ttl=129_600)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"type": "memcached"}, "memcached"),
        ({"type": "redis"}, "url"),
        ({"type": "sqlite", "ttl": "0s"}, "ttl"),
        ({"type": "sqlite", "max_keys": 10}, "max_keys"),
        ({"type": "sqlite", "synchronous": "off"}, "synchronous"),
        ({"type": "memory", "path": "keys.db"}, "path"),
        ({"type": "memory", "ttl": -1}, "ttl"),
    ],
)
def test_what_cannot_work_is_refused_by_name(wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        ADAPTER.validate_python(wrong)


def test_every_field_is_described() -> None:
    for model in (SqliteSettings, MemorySettings):
        assert all(field.description for field in model.model_fields.values())


def test_the_clock_shows_epoch_milliseconds_and_ignores_steps_of_the_wall_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = steady_clock()
    before = clock()
    assert abs(before - time.time() * 1000) < 60_000
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert before <= clock() < before + 60_000
