"""A RabbitMQ node that runs from files of this machine: its own, or those of another Debian release in a folder."""

from __future__ import annotations

import itertools
import secrets
import subprocess
from pathlib import Path

from devtools.node import STOP_LIMIT
from devtools.processes import CommandError, end, launch, run
from devtools.rabbitmq_node import MEMORY_LIMIT_BYTES, RabbitMQNode
from devtools.scratch import folder, free_port

BIN = "/usr/lib/rabbitmq/bin"

ENTER = """\
mount --rbind /proc "$0/proc" && mount --rbind /dev "$0/dev" && mount --bind "$1" "$0/srv" || exit 70
root=$0; shift
exec chroot "$root" "$@"
"""
"""Into another Debian release, with our folder as its /srv. The mounts are private: they go with the last process."""

CONFIG = """\
listeners.tcp.1 = 127.0.0.1:{port}
vm_memory_high_watermark.absolute = {memory}
disk_free_limit.absolute = 50MB
log.console = false
log.file = {home}/broker.log
log.file.level = info
"""


class LocalNode(RabbitMQNode):
    """
    A node below `root` (`/` is the machine itself), with its own name, cookie, port mapper and folder.

    Nothing of the machine's own broker is read or written: neither /etc/rabbitmq nor /var/lib/rabbitmq.
    """

    def __init__(self, version: str, root: Path) -> None:
        super().__init__(version, free_port())
        self._root = root
        self._folder = folder(f"rabbitmq-{version}")
        self._home = self._folder if root == Path("/") else Path("/srv")
        self._name = f"bridge-{secrets.token_hex(4)}@localhost"
        self._cookie = secrets.token_hex(16)
        self._mapper_port, self._peer_port = free_port(), free_port()
        self._calls = itertools.count()
        self._mapper: subprocess.Popen[bytes] | None = None
        self._broker: subprocess.Popen[bytes] | None = None
        self._write_settings()

    def __repr__(self) -> str:
        return f"<RabbitMQ {self.version} on port {self.port}, log {self.logs}>"

    @property
    def logs(self) -> Path:
        return self._folder / "broker.log"

    @property
    def running(self) -> bool:
        return self._broker is not None and self._broker.poll() is None

    @property
    def pid(self) -> int:
        """The process id of the Erlang machine."""
        if self._broker is None:
            raise CommandError(f"{self!r} was never started")
        return self._broker.pid

    def start(self) -> None:
        if self.running:
            return
        output = self._folder / "output.log"
        if self._mapper is None:
            mapper = ["epmd", "-port", str(self._mapper_port), "-address", "127.0.0.1"]
            self._mapper = launch(self._inside(mapper), env=self._environment(), output=output)
        self._broker = launch(self._inside([f"{BIN}/rabbitmq-server"]), env=self._environment(), output=output)
        self._await_service()

    def stop(self) -> None:
        if self._broker is not None:
            end(self._broker, patience=STOP_LIMIT)

    def kill(self) -> None:
        if self._broker is not None:
            self._broker.kill()
            self._broker.wait()

    def close(self) -> None:
        self.kill()
        if self._mapper is not None:
            end(self._mapper, patience=STOP_LIMIT)
            self._mapper = None

    def ctl(self, *arguments: str) -> str:
        return run(self._inside([f"{BIN}/rabbitmqctl", "--quiet", *arguments]), env=self._environment())

    def _evaluate(self, code: str) -> str:
        # Calls at the same time need names of their own; those that erl_call makes up (-r) repeat within a second.
        names = ["-sname", self._name, "-h", f"caller{next(self._calls)}", "-c", self._cookie]
        command = ["erl_call", *names, "-fetch_stdout", "-no_result_term", "-e"]
        return run(self._inside(command), env=self._environment(), text=f"{code}\n")

    def _last_words(self) -> str:
        files = (self._folder / "output.log", self.logs)
        return "\n".join(file.read_text(errors="replace")[-3000:] for file in files if file.exists())

    def _inside(self, command: list[str]) -> list[str]:
        if self._root == Path("/"):
            return command
        shell = ["unshare", "--mount", "sh", "-c", ENTER]
        return [*shell, str(self._root), str(self._folder), *command]

    def keep(self, name: str, text: str) -> str:
        """Write a file that the node can read, and return its path as the node sees it."""
        (self._folder / name).write_text(text)
        return str(self._home / name)

    def configure(self, settings: str) -> None:
        """Add lines to its rabbitmq.conf; the next start reads them."""
        with (self._folder / "rabbitmq.conf").open("a") as file:
            file.write(f"{settings}\n")

    def _write_settings(self) -> None:
        cookie = self._folder / ".erlang.cookie"
        cookie.write_text(self._cookie)
        cookie.chmod(0o400)
        (self._folder / "plugins").write_text("[].\n")
        settings = CONFIG.format(port=self.port, memory=MEMORY_LIMIT_BYTES, home=self._home)
        (self._folder / "rabbitmq.conf").write_text(settings)

    def _environment(self) -> dict[str, str]:
        home = str(self._home)
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "HOME": home,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._mapper_port),
            "RABBITMQ_NODENAME": self._name,
            "RABBITMQ_DIST_PORT": str(self._peer_port),
            "RABBITMQ_CONFIG_FILE": f"{home}/rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE": f"{home}/none",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{home}/plugins",
            "RABBITMQ_MNESIA_BASE": f"{home}/data",
            "RABBITMQ_LOG_BASE": home,
            "RABBITMQ_PID_FILE": f"{home}/pid",
            # The start script then becomes the Erlang machine, and its pid is the one to send signals to.
            "RUNNING_UNDER_SYSTEMD": "true",
            # Several nodes share few cores: no busy waiting, no scheduler bound to a core.
            "RABBITMQ_SCHEDULER_BIND_TYPE": "u",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}"
            ),
        }
