"""The image, built once for all tests of this folder, and the API server, for those who ask for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from devtools import image as images
from devtools import oci, rabbitmq
from devtools.image import Image
from devtools.kube_apiserver import ApiServer
from devtools.rabbitmq import Node
from devtools.scratch import folder
from tests.deploy.cluster import furnish
from tests.deploy.road import Road, road

ROOT = Path(__file__).parents[2]


OPTION = "--kube-apiserver"
LEFT_OUT = (
    "Chart and manifests were not tried on a real Kubernetes API server. To do so, too: "
    f"./dev deploy-test {OPTION} (the first time, it builds one: a quarter of an hour of one core)"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(OPTION, action="store_true", help="try chart and manifests on a real Kubernetes API server, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let one worker have all that runs the image, so that it is built once; the same for the API server."""
    own = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    for item in own:
        needs = getattr(item, "fixturenames", ())
        group = next((name for name in ("image", "cluster") if name in needs), "manifests")
        item.add_marker(pytest.mark.xdist_group(group))
    if not _with_cluster(config):
        left_out = [item for item in own if "cluster" in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not _with_cluster(config):
        terminalreporter.write_line(LEFT_OUT)


def _with_cluster(config: pytest.Config) -> bool:
    """Where this folder is one of many, this file is read too late for an option of its own."""
    return bool(config.getoption("kube_apiserver", default=False))


@pytest.fixture(scope="session")
def image() -> Iterator[Image]:
    with images.built(ROOT) as built:
        yield built


@pytest.fixture(scope="session")
def cluster() -> Iterator[ApiServer]:
    """One API server for all; each test has a namespace of its own."""
    with ApiServer(ROOT / "tests/fakes/tls") as server:
        furnish(server)
        yield server


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
