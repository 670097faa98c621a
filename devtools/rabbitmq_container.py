"""A RabbitMQ node in a container."""

from __future__ import annotations

from devtools.containers import ContainedNode, frame
from devtools.rabbitmq_node import MEMORY_LIMIT_BYTES, RabbitMQNode
from devtools.scratch import folder, free_port


class ContainedRabbitMQNode(ContainedNode, RabbitMQNode):
    """A node from the official image."""

    def __init__(self, version: str) -> None:
        super().__init__(version, free_port())
        self._folder = folder(f"rabbitmq-{version}")
        self._frame = frame(f"rabbitmq:{version}")
        self._frame.with_env("RABBITMQ_NODENAME", "bridge@localhost")
        limits = f"-rabbit vm_memory_high_watermark {{absolute,{MEMORY_LIMIT_BYTES}}} disk_free_limit 50000000"
        self._frame.with_env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", limits)
        self._publish(5672, self.port)

    def ctl(self, *arguments: str) -> str:
        return self._run("rabbitmqctl", "--quiet", *arguments)

    def _evaluate(self, code: str) -> str:
        # What the code prints comes first, then its value, which is that of io:format.
        return self.ctl("eval", code).rstrip().removesuffix("ok")
