"""
Real brokers for the tests, one of each version a worker, started when the first test asks.

Where a broker or browser cannot be had, the tests that need it fail, with what to install; they are never skipped.

A test that uses `broker`, `vhost`, `amqp_url` or `fresh_broker` runs once for each version and gets the marker
`rabbitmq`. `broker` is shared: a test keeps to its `vhost`. `fresh_broker` may be killed, restarted and starved.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from devtools import browser, machine
from devtools.processes import CommandError
from devtools.rabbitmq import VERSIONS, Node, private_node

# Machines are shared: how long an example takes says nothing about the code.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")


class Nodes:
    """The nodes of this worker, by version and use."""

    def __init__(self) -> None:
        self._nodes: dict[tuple[str, str], Node] = {}

    def get(self, version: str, use: str) -> Node:
        """Return the node for this use, started with its settings as they were at first, and new if it has gone bad."""
        node = self._nodes.get((version, use))
        if node is None:
            node = self._nodes[version, use] = private_node(version)
        try:
            node.start()
        except CommandError:
            self._nodes.pop((version, use)).close()
            raise
        return node

    def close(self) -> None:
        for node in self._nodes.values():
            node.close()


@pytest.fixture(scope="session")
def _nodes() -> Iterator[Nodes]:
    nodes = Nodes()
    yield nodes
    nodes.close()


@pytest.fixture(scope="session", params=VERSIONS, ids=lambda version: f"rabbitmq-{version}")
def broker_version(request: pytest.FixtureRequest) -> str:
    """The RabbitMQ version of this run of the test."""
    return str(request.param)


@pytest.fixture
def broker(_nodes: Nodes, broker_version: str) -> Node:
    """A running node that other tests use too: look, but do not stop it. Queues belong into a `vhost`."""
    return _nodes.get(broker_version, "shared")


@pytest.fixture
def vhost(broker: Node) -> Iterator[str]:
    """The name of a virtual host of this test alone."""
    name = broker.add_vhost()
    yield name
    broker.delete_vhost(name)


@pytest.fixture
def amqp_url(broker: Node, vhost: str) -> str:
    """The address of `vhost`."""
    return broker.url_of(vhost)


@pytest.fixture
def fresh_broker(_nodes: Nodes, broker_version: str) -> Iterator[Node]:
    """A running, empty node that nobody else uses during this test, for whatever a broker may suffer."""
    node = _nodes.get(broker_version, "fresh")
    yield node
    node.start()
    node.alarm(False)
    node.close_all_connections()
    for name in node.vhosts():
        node.delete_vhost(name)
    node.add_vhost("/")


@pytest.fixture
def unique() -> str:
    """A name that no other test has, for queues, namespaces and ids."""
    return f"t{secrets.token_hex(6)}"


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The program file of a Chromium, for `playwright.chromium.launch(executable_path=...)`."""
    return browser.chromium()


def pytest_itemcollected(item: pytest.Item) -> None:
    if "broker_version" in getattr(item, "fixturenames", ()):
        item.add_marker("rabbitmq")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Install what the chosen tests need before the first begins, outside of its time limit."""
    needs = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    machine.prepare(rabbitmq="broker_version" in needs, chromium="chromium" in needs)
