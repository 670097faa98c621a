"""What a Kafka node for tests, the demo or the bench can do, however it is run."""

from __future__ import annotations

import socket
import struct
from abc import abstractmethod

from devtools.node import Node

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


class KafkaNode(Node):
    """A broker that is its own controller (KRaft), on ports of its own."""

    @property
    def bootstrap(self) -> str:
        """Where clients begin, without TLS or a user: "127.0.0.1:port"."""
        return f"127.0.0.1:{self.port}"

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
