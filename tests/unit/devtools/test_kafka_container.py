"""What Kafka nodes in containers ask of a Docker engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from testcontainers.core.config import testcontainers_config

from devtools import kafka, kafka_security
from devtools.kafka_container import ContainedKafkaNode
from devtools.kafka_node import SCRAM, KafkaNode
from tests.unit.devtools.docker_engine import Engine, serving

TLS = Path(__file__).parents[2] / "fakes" / "tls"


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    path = tmp_path / "docker.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    monkeypatch.setattr(testcontainers_config, "ryuk_disabled", True)
    with serving(path) as engine:
        yield engine


@pytest.fixture
def node(engine: Engine) -> Iterator[KafkaNode]:
    with kafka.private_node("4.1") as node:
        assert engine.state == "running"
        yield node


def test_where_an_engine_answers_a_node_is_a_container_on_the_loopback_only(engine: Engine, node: KafkaNode) -> None:
    assert isinstance(node, ContainedKafkaNode)
    assert engine.asked["Image"] == "apache/kafka:4.1.0"
    bindings = engine.asked["HostConfig"]["PortBindings"]
    assert bindings[f"{node.port}/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": str(node.port)}]
    assert {each["HostIp"] for binding in bindings.values() for each in binding} == {"127.0.0.1"}
    assert f"KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://{node.bootstrap}" in ",".join(engine.asked["Env"])


def test_it_lives_through_whatever_a_broker_may_suffer(engine: Engine, node: KafkaNode) -> None:
    node.start()
    assert engine.done == ["start"], "a node that runs was started again"
    for act, expected in (
        (node.freeze, ["pause"]),
        (node.start, []),
        (node.thaw, ["unpause"]),
        (node.thaw, []),
        (node.kill, ["kill"]),
        (node.kill, []),
        (node.start, ["start"]),
        (node.freeze, ["pause"]),
        (node.restart, ["unpause", "stop", "start"]),
        (node.stop, ["stop"]),
    ):
        engine.done.clear()
        act()
        assert engine.done == expected
        assert node.running == (engine.state in {"running", "paused"})
    assert node.logs.read_text() == "last words"


def test_it_can_be_closed_and_begin_anew(engine: Engine, node: KafkaNode) -> None:
    node.close()
    assert engine.state is None
    assert not node.running
    node.start()
    assert engine.done == ["start", "start"]


def test_the_users_of_scram_are_added_once(engine: Engine) -> None:
    with kafka.secured_node("4.1", TLS) as node:
        node.restart()
    added = [(command[command.index("--entity-name") + 1], command[-1]) for command in engine.executed]
    expected = [(user, mechanism) for user in kafka_security.USERS for mechanism in SCRAM]
    assert [(user, config.partition("=")[0]) for user, config in added] == expected
    assert added[0] == ("alice", "SCRAM-SHA-256=[password=alice-secret]")
