"""
A road over each broker version: `quiet_road` on the shared node, `rough_road` on one that may be hurt.

The bridge consumes with its own client, and in tests that are marked with `BOTH` with each of the two.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from devtools.rabbitmq import Node
from tests.chaos.rabbitmq_road import Road, road


@pytest.fixture
def client(request: pytest.FixtureRequest) -> str:
    """What consumes."""
    return str(getattr(request, "param", "native"))


@pytest.fixture
async def quiet_road(tmp_path: Path, broker: Node, vhost: str, client: str) -> AsyncIterator[Road]:
    async with road(tmp_path, broker, vhost) as made:
        made.bridge.settings["source"]["client"] = client
        yield made


@pytest.fixture
async def rough_road(tmp_path: Path, fresh_broker: Node, client: str) -> AsyncIterator[Road]:
    async with road(tmp_path, fresh_broker, "/") as made:
        made.bridge.settings["source"]["client"] = client
        yield made
