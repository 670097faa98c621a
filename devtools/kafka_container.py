"""A Kafka node in a container."""

from __future__ import annotations

from collections.abc import Mapping

from devtools.containers import ContainedNode, frame
from devtools.kafka_jars import RELEASES
from devtools.kafka_node import CLUSTER_ID, JVM, SCRAM, KafkaNode, Plan, escaped
from devtools.scratch import folder

CONTROLLER_PORT = 9091

FIRST_PORT = 9092
"""Inside; the second listener has the next one, and so on."""

DATA = "/var/lib/kafka/data"

CONFIGS = "/opt/kafka/bin/kafka-configs.sh"


class ContainedKafkaNode(ContainedNode, KafkaNode):
    """A node from the official image."""

    def __init__(self, plan: Plan, *, heap: str = "384m") -> None:
        super().__init__(plan)
        self._folder = folder(f"kafka-{plan.version}")
        self._frame = frame(f"apache/kafka:{RELEASES[plan.version]}")
        inside = {name: FIRST_PORT + index for index, name in enumerate(self._ports)}
        for name, port in inside.items():
            self._publish(port, self._ports[name])
        settings = plan.properties(
            {name: f"0.0.0.0:{port}" for name, port in inside.items()},
            self._advertised,
            f"127.0.0.1:{CONTROLLER_PORT}",
            DATA,
        )
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
            added = ",".join(f"{mechanism}=[password={password}]" for mechanism in SCRAM)
            where = ["--bootstrap-server", f"127.0.0.1:{FIRST_PORT}", "--entity-type", "users", "--entity-name", user]
            self._run(CONFIGS, *where, "--alter", "--add-config", added)


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
