"""A Kafka node that runs natively, from jars."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

from devtools.kafka_jars import jars, java
from devtools.kafka_node import CLUSTER_ID, JVM, SCRAM, KafkaNode, Plan, escaped
from devtools.node import STOP_LIMIT
from devtools.processes import CommandError, end, launch, run, stands_still, wait_until
from devtools.scratch import folder, free_port

LOGGING = ("defaultLogLevel=info", "showDateTime=true", "dateTimeFormat=HH:mm:ss.SSS", "showShortLogName=true")


class LocalKafkaNode(KafkaNode):
    """A node with a folder of its own; nothing else of this machine is written to."""

    def __init__(self, plan: Plan, *, heap: str = "384m") -> None:
        super().__init__(plan)
        options = [f"-Dorg.slf4j.simpleLogger.{option}" for option in LOGGING]
        self._java = [java(), f"-Xmx{heap}", *JVM, *options, "-cp", f"{jars(plan.version)}/*"]
        self._folder = folder(f"kafka-{plan.version}")
        self._settings = self._folder / "server.properties"
        self._process: subprocess.Popen[bytes] | None = None
        self._write_settings()

    def __repr__(self) -> str:
        return f"<Kafka {self.version} on port {self.port}, log {self.logs}>"

    @property
    def logs(self) -> Path:
        return self._folder / "broker.log"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id of the Java machine."""
        if self._process is None:
            raise CommandError(f"{self!r} was never started")
        return self._process.pid

    def start(self) -> None:
        if self.running:
            return
        if not self._data.exists():
            self._format()
        command = [*self._java, "kafka.Kafka", str(self._settings)]
        self._process = launch(command, env=self._environment(), output=self.logs)
        self._await_service()

    def stop(self) -> None:
        if self._process is not None:
            self.thaw()
            end(self._process, patience=STOP_LIMIT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._data, ignore_errors=True)

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)
        wait_until(lambda: stands_still(self.pid), within=10, what=f"process {self.pid} stands still")

    def thaw(self) -> None:
        if self.running:
            os.kill(self.pid, signal.SIGCONT)

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _format(self) -> None:
        command = [*self._java, "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(self._settings)]
        for user, password in self._plan.scram.items():
            for mechanism in SCRAM:
                command += ["--add-scram", f"{mechanism}=[name={user},password={password}]"]
        try:
            run(command, env=self._environment())
        except CommandError:
            shutil.rmtree(self._data, ignore_errors=True)
            raise

    def _write_settings(self) -> None:
        controller = f"127.0.0.1:{free_port()}"
        settings = self._plan.properties(self._listeners, self._advertised, controller, str(self._data))
        self._settings.write_text("".join(f"{name}={escaped(value)}\n" for name, value in settings.items()))

    def _environment(self) -> dict[str, str]:
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": str(self._folder)}

    def _last_words(self) -> str:
        return self.logs.read_text(errors="replace")[-3000:] if self.logs.exists() else ""
