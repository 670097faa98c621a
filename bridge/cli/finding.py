"""What `check --connect` found out about one part."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from bridge.cli.console import Level


@dataclass(slots=True, frozen=True)
class Finding:
    """Something to know, and what to do about it."""

    part: str
    level: Level
    text: str
    cure: str = ""


Ask: TypeAlias = Callable[[], Awaitable[list[Finding]]]
"""Finds out about one part. Raises BridgeError where that is not possible."""
