"""Brokers in containers, where a Docker engine of this machine answers."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devtools.node import STOP_LIMIT, Node
from devtools.processes import CommandError

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer


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


def frame(image: str) -> DockerContainer:
    """Return a container of an image, not created yet, for a `ContainedNode` to fill in."""
    from testcontainers.core.container import DockerContainer

    return DockerContainer(image)


class ContainedNode(Node):
    """The life of a node in a container; its data live in there, so they survive stop, kill and start."""

    _frame: DockerContainer
    _folder: Path
    _created = False

    def __repr__(self) -> str:
        return f"<{self._frame.image} in a container, on port {self.port}>"

    @property
    def logs(self) -> Path:
        path = self._folder / "broker.log"
        path.write_bytes(self._container.logs() if self._created else b"")
        return path

    @property
    def running(self) -> bool:
        return self._status in {"running", "paused"}

    @property
    def _status(self) -> str:
        if not self._created:
            return "absent"
        self._container.reload()
        return str(self._container.status)

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

    def _publish(self, inside: int, outside: int) -> None:
        # The library's own `with_bind_ports` opens the port to the network; Docker itself takes an address too.
        self._frame.ports[f"{inside}/tcp"] = ("127.0.0.1", outside)  # type: ignore[assignment]

    def _run(self, *command: str) -> str:
        """Run a program in there and return its output. Raises CommandError when it fails."""
        code, output = self._container.exec_run(list(command))
        if code:
            raise CommandError(f"exit code {code} of {' '.join(command)}\n{output.decode()}")
        return str(output.decode())

    def _last_words(self) -> str:
        return self.logs.read_text(errors="replace")[-3000:]
