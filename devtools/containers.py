"""RabbitMQ nodes in containers, where a Docker engine of this machine answers."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from devtools.node import STOP_LIMIT
from devtools.processes import CommandError
from devtools.rabbitmq_node import MEMORY_LIMIT_BYTES, RabbitMQNode
from devtools.scratch import folder, free_port


def engine_answers() -> bool:
    """Whether a Docker engine of this machine (not a remote one: we need its loopback ports) answers a ping."""
    address = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    if not address.startswith("unix://"):
        return False
    with socket.socket(socket.AF_UNIX) as engine:
        engine.settimeout(10)
        try:
            engine.connect(address.removeprefix("unix://"))
            engine.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            return engine.recv(64).split(b" ")[1:2] == [b"200"]
        except OSError:
            return False


class ContainerNode(RabbitMQNode):
    """A node from the official image; its data live in the container, so they survive stop, kill and start."""

    def __init__(self, version: str) -> None:
        from testcontainers.core.container import DockerContainer

        super().__init__(version, free_port())
        self._folder = folder(f"rabbitmq-{version}")
        self._frame = DockerContainer(f"rabbitmq:{version}")
        self._frame.with_env("RABBITMQ_NODENAME", "bridge@localhost")
        limits = f"-rabbit vm_memory_high_watermark {{absolute,{MEMORY_LIMIT_BYTES}}} disk_free_limit 50000000"
        self._frame.with_env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", limits)
        # The library's own `with_bind_ports` opens the port to the network; Docker itself takes an address too.
        self._frame.ports["5672/tcp"] = ("127.0.0.1", self.port)  # type: ignore[assignment]
        self._created = False

    def __repr__(self) -> str:
        return f"<RabbitMQ {self.version} in a container, on port {self.port}>"

    @property
    def logs(self) -> Path:
        path = self._folder / "broker.log"
        path.write_bytes(self._container.logs() if self._created else b"")
        return path

    @property
    def running(self) -> bool:
        if not self._created:
            return False
        self._container.reload()
        return bool(self._container.status == "running")

    @property
    def _container(self) -> Any:  # docker-py carries no types
        return self._frame.get_wrapped_container()

    def start(self) -> None:
        if self.running:
            return
        if self._created:
            self._container.start()
        else:
            self._frame.start()
            self._created = True
        self._await_service()

    def stop(self) -> None:
        if self.running:
            self._container.stop(timeout=STOP_LIMIT)

    def kill(self) -> None:
        if self.running:
            self._container.kill()
            self._container.wait()

    def close(self) -> None:
        self._frame.stop()
        self._created = False

    def ctl(self, *arguments: str) -> str:
        code, output = self._container.exec_run(["rabbitmqctl", "--quiet", *arguments])
        if code:
            raise CommandError(f"exit code {code} of rabbitmqctl {' '.join(arguments)}\n{output.decode()}")
        return str(output.decode())

    def _evaluate(self, code: str) -> str:
        # What the code prints comes first, then its value, which is that of io:format.
        return self.ctl("eval", code).rstrip().removesuffix("ok")

    def _last_words(self) -> str:
        return self.logs.read_text(errors="replace")[-3000:]
