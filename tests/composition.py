"""What deploy/compose says, as the tests of it read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[1] / "deploy/compose"
FILE = FOLDER / "compose.yaml"


@dataclass(frozen=True, slots=True)
class Bound:
    """A file or folder of the repository that a container sees."""

    service: str
    source: Path
    at: str
    read_only: bool


def services() -> dict[str, dict[str, Any]]:
    found = yaml.safe_load(FILE.read_text())["services"]  # which follows anchors and merges
    assert isinstance(found, dict)
    return found


def bound() -> list[Bound]:
    """Return everything that is mounted from here; what begins with no dot is a volume of its own."""
    return [
        Bound(name, (FOLDER / source).resolve(), at, mode == ["ro"])
        for name, service in services().items()
        for source, at, *mode in (volume.split(":") for volume in service.get("volumes", ()))
        if source.startswith(".")
    ]


def file_at(service: str, path: str) -> Path:
    """Return what a service sees at a path. Raises StopIteration."""
    return next(mount.source for mount in bound() if (mount.service, mount.at) == (service, path))


def environment(service: str) -> Mapping[str, str]:
    return {name: str(value) for name, value in services()[service].get("environment", {}).items()}
