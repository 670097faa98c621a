"""
Real brokers for the tests, one of each version a worker, started when the first test asks.

Where a broker or browser cannot be had, the tests that need it fail, with what to install; they are never skipped.

A test that uses `broker`, `vhost`, `amqp_url` or `fresh_broker` runs once for each version and gets the marker
`rabbitmq`. `broker` is shared: a test keeps to its `vhost`. `fresh_broker` may be killed, restarted and starved.

The same holds for `kafka`, `bootstrap` and `fresh_kafka` with the marker `kafka`. `kafka` is shared: its topics and
groups carry the name `unique`. Tests for which one version must do use `newest_kafka` and `fresh_newest_kafka`.

Servers for the key store on Redis are in `tests/redis_servers.py`.
"""

from __future__ import annotations

import gc
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import aiokafka.client
import aiokafka.conn
import aiokafka.consumer.fetcher
import pytest
from hypothesis import HealthCheck, settings

from devtools import browser, kafka_lab, machine, node, prometheus, rabbitmq
from devtools import kafka as kafkas
from devtools.kafka import KafkaNode
from devtools.processes import CommandError
from devtools.rabbitmq import Node
from tests.redis_servers import (  # noqa: F401  fixtures
    fresh_cluster,
    fresh_redis,
    redis_cluster,
    redis_node,
    redis_program,
    secured_redis,
    watched_redis,
)

# Machines are shared: how long an example takes says nothing about the code.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")


KAFKA = {"kafka_version", "newest_kafka_version"}
"""One of these is among the fixtures of every test that needs a Kafka."""

REPLACED = [
    (module, name, getattr(module, name))
    for module, name in [
        (aiokafka.client, "MetadataRequest"),
        (aiokafka.client, "create_conn"),
        (aiokafka.conn, "OAuthAuthenticator"),
        (aiokafka.consumer.fetcher, "MemoryRecords"),
    ]
]
"""What the bridge puts something of its own in place of, as it is before."""

CERTIFICATES = Path(__file__).parent / "fakes" / "tls"

N = TypeVar("N", bound=node.Node)


class Nodes(Generic[N]):
    """The nodes of this worker, by version and use."""

    def __init__(self, make: Callable[[str], N]) -> None:
        self._make = make
        self._nodes: dict[tuple[str, str], N] = {}

    def get(self, version: str, use: str) -> N:
        """Return the node for this use, started with its settings as they were at first, and new if it has gone bad."""
        found = self._nodes.get((version, use))
        if found is None:
            found = self._nodes[version, use] = self._make(version)
        try:
            found.start()
        except CommandError:
            self._nodes.pop((version, use)).close()
            raise
        return found

    def close(self) -> None:
        for each in self._nodes.values():
            each.close()


@pytest.fixture(scope="session")
def _nodes() -> Iterator[Nodes[Node]]:
    nodes = Nodes(rabbitmq.private_node)
    yield nodes
    nodes.close()


@pytest.fixture(scope="session", params=rabbitmq.VERSIONS, ids=lambda version: f"rabbitmq-{version}")
def broker_version(request: pytest.FixtureRequest) -> str:
    """The RabbitMQ version of this run of the test."""
    return str(request.param)


@pytest.fixture
def broker(_nodes: Nodes[Node], broker_version: str) -> Node:
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
def fresh_broker(_nodes: Nodes[Node], broker_version: str) -> Iterator[Node]:
    """A running, empty node that nobody else uses during this test, for whatever a broker may suffer."""
    node = _nodes.get(broker_version, "fresh")
    yield node
    node.start()
    node.alarm(False)
    node.close_all_connections()
    for name in node.vhosts():
        node.delete_vhost(name)
    node.add_vhost("/")


@pytest.fixture(scope="session")
def _kafkas() -> Iterator[Nodes[KafkaNode]]:
    nodes = Nodes(kafkas.private_node)
    yield nodes
    nodes.close()


@pytest.fixture(scope="session", params=kafkas.VERSIONS, ids=lambda version: f"kafka-{version}")
def kafka_version(request: pytest.FixtureRequest) -> str:
    """The Kafka version of this run of the test."""
    return str(request.param)


@pytest.fixture(scope="session")
def newest_kafka_version() -> str:
    """The Kafka version of tests that one version must do for."""
    return kafkas.NEWEST


@pytest.fixture
def kafka(_kafkas: Nodes[KafkaNode], kafka_version: str) -> KafkaNode:
    """A running node that other tests use too: look, but do not stop it. Names of topics and groups are `unique`."""
    return _kafkas.get(kafka_version, "shared")


@pytest.fixture
def newest_kafka(_kafkas: Nodes[KafkaNode], newest_kafka_version: str) -> KafkaNode:
    """The same, of the newest version only."""
    return _kafkas.get(newest_kafka_version, "shared")


@pytest.fixture
def bootstrap(kafka: KafkaNode) -> str:
    """The address of `kafka`: "127.0.0.1:port"."""
    return kafka.bootstrap


@pytest.fixture
def fresh_kafka(_kafkas: Nodes[KafkaNode], kafka_version: str) -> Iterator[KafkaNode]:
    """A running, empty node that nobody else uses during this test, for whatever a broker may suffer."""
    found = _kafkas.get(kafka_version, "fresh")
    yield found
    _put_right(found)


@pytest.fixture
def fresh_newest_kafka(_kafkas: Nodes[KafkaNode], newest_kafka_version: str) -> Iterator[KafkaNode]:
    """The same, of the newest version only."""
    found = _kafkas.get(newest_kafka_version, "fresh")
    yield found
    _put_right(found)


@pytest.fixture(scope="session")
def _secured_kafkas() -> Iterator[Nodes[KafkaNode]]:
    nodes = Nodes(partial(kafkas.secured_node, certificates=CERTIFICATES))
    yield nodes
    nodes.close()


@pytest.fixture
def secured_kafka(_secured_kafkas: Nodes[KafkaNode], kafka_version: str) -> KafkaNode:
    """A running node with TLS, users and rights (devtools.kafka_security) that other tests use too."""
    return _secured_kafkas.get(kafka_version, "shared")


def _put_right(kafka: KafkaNode) -> None:
    """Let it run and be empty. Where a consumer that was killed still counts as a member, its data go altogether."""
    kafka.thaw()
    kafka.start()
    with ThreadPoolExecutor(1) as pool:  # the event loop of this thread belongs to the test
        swept = pool.submit(kafka_lab.sweep, kafka.bootstrap).result()
    if not swept:
        kafka.close()
        kafka.start()


@pytest.fixture(autouse=True)
def _alone_with_the_client(request: pytest.FixtureRequest) -> Iterator[None]:
    """
    Let no test with a Kafka depend on those before it.

    It finds the client as that comes, whatever the bridge has replaced in it, and a connection that is never closed
    strikes the test that made it, not one that comes later.
    """
    if not KAFKA & set(request.fixturenames):
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        for module, name, original in REPLACED:
            patch.setattr(module, name, original)
        yield
    gc.collect()  # warnings become errors when the teardown ends, which this is the last part of


@pytest.fixture
def unique() -> str:
    """A name that no other test has, for queues, namespaces and ids."""
    return f"t{secrets.token_hex(6)}"


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The program file of a Chromium, for `playwright.chromium.launch(executable_path=...)`."""
    return browser.chromium()


@pytest.fixture(scope="session")
def prometheus_programs() -> prometheus.Programs:
    """`prometheus` and `promtool`; each test that starts one of them asks for this, directly or not."""
    return prometheus.programs()


def pytest_itemcollected(item: pytest.Item) -> None:
    needs = set(getattr(item, "fixturenames", ()))
    if "broker_version" in needs:
        item.add_marker("rabbitmq")
    if needs & KAFKA:
        item.add_marker("kafka")
    if "redis_program" in needs:
        item.add_marker("redis")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Install what the chosen tests need before the first begins, outside of its time limit."""
    gc.collect()
    gc.freeze()  # thousands of tests and modules, which `_alone_with_the_client` need not look through each time
    needs = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    machine.prepare(
        rabbitmq="broker_version" in needs,
        kafka=bool(needs & KAFKA),
        redis="redis_program" in needs,
        chromium="chromium" in needs,
        prometheus="prometheus_programs" in needs,
    )
