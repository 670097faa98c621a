"""What a Kafka node for tests, the demo or the bench can do, however it is run."""

from __future__ import annotations

import socket
import struct
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from devtools.node import Node
from devtools.scratch import free_port
from devtools.wire import Wire

PLAIN = "PLAINTEXT"
"""The listener, and the protocol, without TLS and without users. Every node has it."""

WIRE = "WIRE"
"""A listener for `KafkaNode.wire`. Every node has it."""

CLUSTER_ID = "bridgebridgebridgebrid"
"""16 bytes in base64; nodes share nothing, so they may have the same."""

JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")
"""A quick start and little memory, at the price of some of the speed that a long-lived broker gets to."""

SCRAM = ("SCRAM-SHA-256", "SCRAM-SHA-512")

QUICK: dict[str, str] = {
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "3",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "broker.heartbeat.interval.ms": "400",
    "broker.session.timeout.ms": "2000",
    "log.initial.task.delay.ms": "500",
    "log.retention.check.interval.ms": "1000",
    "log.segment.delete.delay.ms": "100",
    "log.cleaner.dedupe.buffer.size": "4194304",
    "num.network.threads": "2",
    "num.io.threads": "4",
}
"""
A lone broker with little memory that does at once what others put off; all else is as Kafka has it by default.

Until the broker's session of before a SIGKILL has ended, its controller refuses the broker that is started anew.
"""

METADATA_REQUEST = struct.pack("!hhihi", 3, 1, 7, -1, 0)
"""Metadata, version 1, no client name, of no topic (kafka.apache.org/protocol)."""

ANSWER = struct.Struct("!iii")
"""Its beginning: the length, the number of the request, and how many brokers there are."""


@dataclass(frozen=True)
class Plan:
    """What a node is to be, however it is run."""

    version: str
    settings: Mapping[str, str] = field(default_factory=dict)
    """The broker's own (server.properties); they win over ours."""
    protocols: tuple[str, ...] = (PLAIN,)
    """A listener each, under the same name."""
    scram: Mapping[str, str] = field(default_factory=dict)
    """Passwords of the users that SCRAM knows."""

    def properties(
        self, listeners: Mapping[str, str], advertised: Mapping[str, str], controller: str, data: str
    ) -> dict[str, str]:
        """Return the broker's settings, given the host:port of each listener and the folder of its data."""
        protocols = {name: name for name in self.protocols} | {WIRE: PLAIN, "CONTROLLER": PLAIN}
        own = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": _joined({**listeners, "CONTROLLER": controller}, "://"),
            "advertised.listeners": _joined(advertised, "://"),
            "listener.security.protocol.map": _joined(protocols, ":"),
            "inter.broker.listener.name": PLAIN,
            "log.dirs": data,
        }
        return {**own, **QUICK, **self.settings}


def _joined(pairs: Mapping[str, str], between: str) -> str:
    return ",".join(f"{name}{between}{value}" for name, value in pairs.items())


def escaped(value: str) -> str:
    """Return a value as a file of properties has it (java.util.Properties)."""
    return value.replace("\\", r"\\").replace("\n", r"\n")


class KafkaNode(Node):
    """A broker that is its own controller (KRaft), on ports of its own."""

    def __init__(self, plan: Plan) -> None:
        self._ports = {name: free_port() for name in (*plan.protocols, WIRE)}
        self._wire_port = free_port()
        super().__init__(plan.version, self._ports[PLAIN])
        self._plan = plan

    @property
    def bootstrap(self) -> str:
        """Where clients begin, without TLS or a user: "127.0.0.1:port"."""
        return self.address(PLAIN)

    def address(self, protocol: str) -> str:
        """Return where clients begin that use one of the plan's protocols, for instance "SASL_SSL"."""
        return f"127.0.0.1:{self._ports[protocol]}"

    def wire(self) -> Wire:
        """
        Return a wire to this node, not open yet; clients that begin at its `address` know of no other way.

        There is one at a time. Others that begin at `bootstrap` notice nothing of what happens to it.
        """
        return Wire(self._wire_port, self._ports[WIRE])

    @property
    def _listeners(self) -> dict[str, str]:
        return {name: self.address(name) for name in self._ports}

    @property
    def _advertised(self) -> dict[str, str]:
        """Where the node sends its clients, by the listener that they ask at."""
        return {**self._listeners, WIRE: f"127.0.0.1:{self._wire_port}"}

    @abstractmethod
    def freeze(self) -> None:
        """Let its process stand still (SIGSTOP): connections stay, and nothing answers."""

    @abstractmethod
    def thaw(self) -> None:
        """Let a frozen process go on (SIGCONT). Nothing happens if it is not frozen."""

    def _ready(self) -> bool:
        """Whether a client is told of a broker that it may use, namely this one."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as client:
                client.sendall(struct.pack("!i", len(METADATA_REQUEST)) + METADATA_REQUEST)
                answer = client.recv(ANSWER.size, socket.MSG_WAITALL)
        except OSError:
            return False
        return len(answer) == ANSWER.size and ANSWER.unpack(answer)[2] > 0
