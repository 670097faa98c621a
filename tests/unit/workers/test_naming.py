"""What workers must not share."""

from __future__ import annotations

from typing import Any

from bridge.settings.tree import Settings
from bridge.workers.naming import settings_of

KAFKA = {"type": "kafka", "bootstrap_servers": "a:9092", "topics": "orders"}
TARGET = {"type": "zopio", "url": "http://h"}


def names(**route: Any) -> tuple[str | None, str | None]:
    settings = Settings.model_validate({"target": TARGET, **route})
    made: Any = settings_of(2, settings).routes["default"]
    return getattr(made.source, "group_instance_id", None), getattr(made.delay, "group_instance_id", None)


def test_each_worker_is_an_instance_of_its_own() -> None:
    assert names(source={**KAFKA, "group_instance_id": "pod-0"}) == ("pod-0-2", None)
    given = {"type": "kafka", "group_instance_id": "line"}
    assert names(source={**KAFKA, "group_instance_id": "pod-0"}, delay=given) == ("pod-0-2", "line-2")


def test_what_has_no_name_gets_none() -> None:
    assert names(source=KAFKA) == (None, None)
    assert names(source={"type": "memory"}) == (None, None)
