"""The image, built once for all tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from devtools import image as images
from devtools import oci, rabbitmq
from devtools.image import Image
from devtools.rabbitmq import Node
from devtools.scratch import folder
from tests.deploy.road import Road, road

ROOT = Path(__file__).parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one worker have all that runs the image, so that it is built once, and another one the rest."""
    for item in items:
        if isinstance(item, pytest.Function) and item.path.is_relative_to(Path(__file__).parent):
            group = "image" if "image" in item.fixturenames else "manifests"
            item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def image() -> Iterator[Image]:
    with images.built(ROOT) as built:
        yield built


@pytest.fixture(scope="session")
def broker() -> Iterator[Node]:
    """One broker for all; each road has a virtual host of its own."""
    with rabbitmq.private_node(rabbitmq.VERSIONS[0]) as node:
        yield node


@pytest.fixture
def laid(broker: Node) -> Iterator[Road]:
    with road(broker) as found:
        yield found


@pytest.fixture
def state() -> Path:
    """A folder that belongs to the user of the container, as a volume would."""
    made = folder("state")
    made.chmod(0o755)
    made.parent.chmod(0o711)  # to be passed through, not read
    os.chown(made, oci.UID, oci.UID)
    return made
