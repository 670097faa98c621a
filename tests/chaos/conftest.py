"""A road over each broker version: `quiet_road` on the shared node, `rough_road` on one that may be hurt."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from devtools.rabbitmq import Node
from tests.chaos.rabbitmq_road import Road, road


@pytest.fixture
async def quiet_road(tmp_path: Path, broker: Node, vhost: str) -> AsyncIterator[Road]:
    async with road(tmp_path, broker, vhost) as made:
        yield made


@pytest.fixture
async def rough_road(tmp_path: Path, fresh_broker: Node) -> AsyncIterator[Road]:
    async with road(tmp_path, fresh_broker, "/") as made:
        yield made
