"""RabbitMQ from Debian's packages."""

from __future__ import annotations

from pathlib import Path


def rabbitmq_root(version: str) -> Path:
    """Return the folder below which RabbitMQ of this version is installed."""
    return Path("/") if version == "3.10" else Path.home() / ".cache/event-bridge/exp"
