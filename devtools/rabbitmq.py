"""
Private RabbitMQ nodes for tests, the demo and the bench.

`private_node("3.10")` finds a way to run that version (a Docker engine, the Debian package, a Debian release unpacked
into a folder, in this order) and returns a node that nobody else uses, on ports of its own, on 127.0.0.1 only. All
calls block, so code in a running event loop uses `await asyncio.to_thread(node.restart)`.
"""

from __future__ import annotations

from devtools import containers, debian
from devtools.local_node import LocalNode
from devtools.rabbitmq_container import ContainedRabbitMQNode
from devtools.rabbitmq_node import RabbitMQNode as Node

__all__ = ["VERSIONS", "Node", "private_node"]

VERSIONS = ("3.10", "4.0")
"""What the suite runs on: the oldest that we support and a current one."""


def private_node(version: str) -> Node:
    """
    Return a node of one of VERSIONS, not started. What it takes to run it is installed, where that is possible.

    Raises MissingError, with what to install, where there is no way to run this version.
    """
    if containers.engine_answers():
        return ContainedRabbitMQNode(version)
    return LocalNode(version, debian.rabbitmq_root(version))
