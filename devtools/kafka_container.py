"""A Kafka node in a container."""

from __future__ import annotations

from collections.abc import Mapping

from devtools.containers import ContainedNode, frame
from devtools.kafka_jars import RELEASES
from devtools.kafka_node import CLUSTER_ID, JVM, SCRAM, KafkaNode, Plan, escaped
from devtools.scratch import folder

CONTROLLER_PORT = 9091

DATA = "/var/lib/kafka/data"

CONFIGS = "/opt/kafka/bin/kafka-configs.sh"


class ContainedKafkaNode(ContainedNode, KafkaNode):
    """A node from the official image."""

    def __init__(self, plan: Plan, *, heap: str = "384m") -> None:
        super().__init__(plan)
        self._folder = folder(f"kafka-{plan.version}")
        self._frame = frame(f"apache/kafka:{RELEASES[plan.version]}")
        # Inside the ports are the same, so that a client in there finds its way too.
        for port in self._ports.values():
            self._publish(port, port)
        listeners = {name: f"0.0.0.0:{port}" for name, port in self._ports.items()}
        settings = plan.properties(listeners, self._advertised, f"127.0.0.1:{CONTROLLER_PORT}", DATA)
        self._frame.env.update(environment(settings, heap))

    def start(self) -> None:
        known = self._created
        super().start()
        if not known:
            self._add_users()

    def freeze(self) -> None:
        self._container.pause()

    def thaw(self) -> None:
        if self._status == "paused":
            self._container.unpause()

    def stop(self) -> None:
        self.thaw()
        super().stop()

    def _add_users(self) -> None:
        """Let SCRAM know its users; the image has no way to say it earlier."""
        for user, password in self._plan.scram.items():
            for mechanism in SCRAM:
                self._run(CONFIGS, *credential(self.bootstrap, user, mechanism, password))


def credential(bootstrap: str, user: str, mechanism: str, password: str) -> list[str]:
    """Return what kafka-configs.sh is told to let SCRAM know a user; it takes one mechanism at a time."""
    where = ["--bootstrap-server", bootstrap, "--entity-type", "users", "--entity-name", user]
    return [*where, "--alter", "--add-config", f"{mechanism}=[password={password}]"]


def environment(settings: Mapping[str, str], heap: str) -> dict[str, str]:
    """Return the variables of which the image makes these settings (by its program kafka.docker.KafkaDockerWrapper)."""
    return {
        **{_variable(name): escaped(value) for name, value in settings.items()},
        "CLUSTER_ID": CLUSTER_ID,
        "KAFKA_HEAP_OPTS": f"-Xmx{heap}",
        "KAFKA_JVM_PERFORMANCE_OPTS": " ".join(JVM),
        "KAFKA_LOG4J_ROOT_LOGLEVEL": "INFO",
    }


def _variable(setting: str) -> str:
    return "KAFKA_" + setting.upper().replace("_", "__").replace("-", "___").replace(".", "_")
