"""
Private Kafka nodes for tests, the demo and the bench.

`private_node("4.1")` finds a way to run that version (a Docker engine, or jars by Maven) and returns a node that nobody
else uses, on ports of its own, on 127.0.0.1 only. All calls block, so code in a running event loop uses
`await asyncio.to_thread(node.restart)`; what a broker holds is looked at with `devtools.kafka_lab`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from devtools import containers, kafka_security
from devtools.kafka_container import ContainedKafkaNode
from devtools.kafka_local import LocalKafkaNode
from devtools.kafka_node import KafkaNode, Plan

__all__ = ["NEWEST", "VERSIONS", "KafkaNode", "private_node", "secured_node"]

VERSIONS = ("3.9", "4.1")
"""What the suite runs on: the last one of the oldest series that we support and a current one."""

NEWEST = VERSIONS[-1]
"""What the long tests run on, which one version suffices for."""


def private_node(version: str, settings: Mapping[str, str] | None = None) -> KafkaNode:
    """
    Return a node of one of VERSIONS, not started. What it takes to run it is installed, where that is possible.

    `settings` are the broker's own (server.properties) and win over ours, for instance
    {"auto.create.topics.enable": "false"}. Raises MissingError, with what to install, where there is no way to run this
    version.
    """
    return _node(Plan(version, settings or {}))


def secured_node(version: str, certificates: Path, settings: Mapping[str, str] | None = None) -> KafkaNode:
    """
    Return the same with four listeners, users and rights, as `devtools.kafka_security` says.

    `certificates` is a folder with ca.pem and server.pem, the latter with its private key.
    """
    return _node(kafka_security.plan(version, certificates, settings or {}))


def _node(plan: Plan) -> KafkaNode:
    return ContainedKafkaNode(plan) if containers.engine_answers() else LocalKafkaNode(plan)
