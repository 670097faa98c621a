"""
What compose.yaml starts, without a Docker engine: the same programs with the very files that are mounted there.

Names of hosts become loopback, and ports become free ones; nothing else is changed. Grafana cannot be had here.
"""

from __future__ import annotations

import http
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis
import yaml

from devtools import debian
from devtools import redis as redises
from devtools.local_node import LocalNode
from devtools.processes import end, launch, run, wait_until
from devtools.prometheus import Prometheus, promtool
from devtools.scratch import folder, free_port
from tests.asking import get
from tests.composition import environment, file_at, services

PROGRAM = str(Path(sys.executable).with_name("event-bridge"))
COUNT = 20
BROKER = ".".join(services()["rabbitmq"]["image"].partition(":")[2].split(".")[:2])

PLACES = ("rabbitmq:5672", "redis:6379", "events:8288", "bridge:9464")


@dataclass
class Town:
    """Everything that compose.yaml starts without a profile, but Grafana."""

    ports: Mapping[str, int] = field(default_factory=lambda: {place: free_port() for place in PLACES})
    home: Path = field(default_factory=lambda: folder("compose"))
    held: ExitStack = field(default_factory=ExitStack)

    def here(self, text: str) -> str:
        """Return a text with the places of this machine in it."""
        for place, port in self.ports.items():
            text = text.replace(place, f"127.0.0.1:{port}")
        return text.replace("0.0.0.0", "127.0.0.1")  # noqa: S104  the other way round

    def file(self, service: str, path: str) -> Path:
        """Copy what a service sees at a path."""
        copy = self.home / f"{service}-{Path(path).name}"
        copy.write_text(self.here(file_at(service, path).read_text()))
        return copy

    def environment(self, service: str) -> dict[str, str]:
        said = {name: self.here(value) for name, value in environment(service).items()}
        said["BRIDGE_CONFIG"] = str(self.file(service, said["BRIDGE_CONFIG"]))
        return {**os.environ, **said, "BRIDGE_ADMIN__PORT": str(self.ports["bridge:9464"])}

    def launch(self, name: str, command: list[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        process = launch(command, env=env, output=self.home / f"{name}.log")
        self.held.callback(end, process, patience=30)
        return process

    def log(self, name: str) -> str:
        return (self.home / f"{name}.log").read_text(errors="replace")

    def start_broker(self, version: str) -> None:
        node = LocalNode(version, debian.rabbitmq_root(version))
        definitions = "/etc/rabbitmq/definitions.json"
        settings = file_at("rabbitmq", "/etc/rabbitmq/conf.d/20-event-bridge.conf").read_text()
        kept = node.keep("definitions.json", file_at("rabbitmq", definitions).read_text())
        node.configure(settings.replace(definitions, kept))
        self.ports = {**self.ports, "rabbitmq:5672": node.port}
        self.held.enter_context(node)

    def start_store(self) -> None:
        program, path = services()["redis"]["command"]
        assert program == "redis-server"
        port = self.ports["redis:6379"]
        own = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(self.home)]
        self.launch("redis", [redises.program(), str(self.file("redis", path)), *own], {"PATH": "/usr/bin:/bin"})
        wait_until(lambda: _pings(port), within=60, what="Redis answers whoever asks")

    def start_events(self) -> None:
        command = [PROGRAM, *services()["events"]["command"], "--port", str(self.ports["events:8288"])]
        self.launch("events", [self.here(word) for word in command], dict(os.environ))
        wait_until(
            lambda: get(self.ports["events:8288"], "/_/stats")[0] == 200, within=60, what="the event API answers"
        )
        test = services()["events"]["healthcheck"]["test"]
        assert test[:2] == ["CMD", "python"]
        run([sys.executable, *(word.replace(":8288", f":{self.ports['events:8288']}") for word in test[2:])])

    def start_bridge(self) -> None:
        self.launch("bridge", [PROGRAM, "run"], self.environment("bridge"))
        port = self.ports["bridge:9464"]
        wait_until(lambda: get(port, "/readyz")[0] == http.HTTPStatus.OK, within=60, what="the bridge is ready")

    def start_prometheus(self) -> Prometheus:
        settings = self.here(file_at("prometheus", "/etc/prometheus/prometheus.yml").read_text())
        (self.home / "rules").mkdir()
        rules = "/etc/prometheus/rules"
        name = "event-bridge.rules.yml"
        (self.home / "rules" / name).write_text(file_at("prometheus", f"{rules}/{name}").read_text())
        server = Prometheus()
        server.settings.write_text(settings.replace(rules, str(self.home / "rules")).replace("15s", "1s"))
        promtool("check", "config", server.settings)
        return self.held.enter_context(server)

    def arrived(self) -> int:
        return len(json.loads(get(self.ports["events:8288"], "/_/events?limit=1000")[1])["events"])


def _pings(port: int) -> bool:
    try:
        with redis.Redis(port=port, socket_timeout=10) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False


@pytest.fixture
def town() -> Iterator[Town]:
    made = Town()
    with made.held:
        yield made


@pytest.mark.usefixtures("redis_program", "prometheus_programs")
@pytest.mark.parametrize("broker_version", [BROKER])
def test_events_go_through_all_that_compose_starts(town: Town, broker_version: str) -> None:
    town.start_broker(broker_version)
    town.start_store()
    town.start_events()
    assert run([PROGRAM, "check", "--connect"], env=town.environment("bridge"))
    town.start_bridge()
    server = town.start_prometheus()

    entry, command = services()["publish"]["entrypoint"]
    assert entry == "event-bridge"
    order = [PROGRAM, command, "--name", "order.created", "--count", str(COUNT)]
    run(order, env=town.environment("publish"))
    wait_until(lambda: town.arrived() == COUNT, within=60, what="all events arrive")

    accepted = 'bridge_events_total{job="event-bridge", result="accepted"}'
    wait_until(lambda: [s.value for s in server.query(accepted)] == [COUNT], within=60, what="Prometheus counts them")
    rules = yaml.safe_load(file_at("prometheus", "/etc/prometheus/rules/event-bridge.rules.yml").read_text())
    assert {group["name"] for group in server.ask("rules")["groups"]} == {group["name"] for group in rules["groups"]}
    with redis.Redis(port=town.ports["redis:6379"]) as anybody, pytest.raises(redis.exceptions.NoPermissionError):
        anybody.keys("*")
