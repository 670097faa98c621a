"""A road for a bridge in a container: a real broker behind it, the local event API before it, all on loopback."""

from __future__ import annotations

import http.client
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devtools.processes import end, launch, run, wait_until
from devtools.rabbitmq import Node
from devtools.scratch import folder, free_port
from tests.asking import get

PROGRAM = str(Path(sys.executable).with_name("event-bridge"))


@dataclass(frozen=True, slots=True)
class Road:
    """Where events come from, and where they go to."""

    broker: Node
    vhost: str
    api: int  # port of the local event API
    admin: int  # port on which the bridge is to say how it is

    @property
    def environment(self) -> Mapping[str, str]:
        """The settings of the bridge, as a deployment gives them."""
        return {
            "PATH": "/opt/event-bridge/bin:/usr/local/bin:/usr/bin:/bin",
            "BRIDGE_SOURCE__TYPE": "rabbitmq",
            "BRIDGE_SOURCE__URL": self.broker.url_of(self.vhost),
            "BRIDGE_SOURCE__QUEUE": "orders",
            "BRIDGE_SOURCE__TOPOLOGY": "declare",
            "BRIDGE_TARGET__TYPE": "inngest",
            "BRIDGE_TARGET__URL": f"http://127.0.0.1:{self.api}",
            "BRIDGE_TARGET__KEY": "local",
            "BRIDGE_ADMIN__PORT": str(self.admin),
            "BRIDGE_LOG__FORMAT": "json",
        }

    def publish(self, count: int, name: str) -> None:
        environment = {**os.environ, **self.environment, "PATH": os.environ["PATH"]}
        run([PROGRAM, "publish", "--name", name, "--count", str(count)], env=environment)

    def arrived(self, name: str) -> int:
        """How many events of this name the API has, each id once."""
        return sum(event["name"] == name for event in self.arrivals().values())

    def arrivals(self) -> dict[str, dict[str, Any]]:
        """Return what the API says of each event, by id."""
        _, body = get(self.api, "/_/events?limit=10000")
        return {event["id"]: event for event in json.loads(body)["events"]}

    def fault(self, **fault: object) -> None:
        """Let the API misbehave (docs/devserver.md)."""
        self._order("POST", json.dumps(fault))

    def heal(self) -> None:
        """Let it behave again."""
        self._order("DELETE")

    def _order(self, method: str, body: str | None = None) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.api, timeout=10)
        try:
            connection.request(method, "/_/faults", body, {"content-type": "application/json"})
            answer = connection.getresponse()
            assert answer.status < 300, answer.read()
        finally:
            connection.close()

    def ready(self) -> bool:
        return get(self.admin, "/readyz")[0] == http.HTTPStatus.OK

    def settled(self) -> bool:
        """Whether the broker has nothing left, neither waiting nor handed out."""
        return self.broker.depths(self.vhost).get("orders") == (0, 0)


@contextmanager
def road(broker: Node) -> Iterator[Road]:
    port, home = free_port(), folder("api")
    api = launch([PROGRAM, "devserver", "--port", str(port)], env=dict(os.environ), output=home / "log")
    try:
        wait_until(lambda: get(port, "/_/events")[0] == http.HTTPStatus.OK, within=60, what="the event API answers")
        vhost = broker.add_vhost()
        yield Road(broker, vhost, port, free_port())
        broker.delete_vhost(vhost)
    finally:
        end(api, patience=10)
