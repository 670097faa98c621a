"""One Redis (or Valkey) server for tests and the bench, on a port of its own."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from devtools.node import STOP_LIMIT, Node
from devtools.processes import CommandError, end, launch, stands_still, wait_until
from devtools.scratch import folder, free_port

ADMIN = "tests"
"""The password of the user `default`, where a server has one at all."""

SETTINGS = {
    "bind": "127.0.0.1",
    "save": '""',
    "appendonly": "yes",  # what was answered survives a kill, for it is written before the answer
    "appendfsync": "no",
    "daemonize": "no",
    "repl-diskless-sync-delay": "0",
    "maxmemory-policy": "noeviction",
}


class RedisNode(Node):
    """A server from a program of this machine, with its own folder and nothing of the machine's own settings."""

    def __init__(self, program: str, settings: Mapping[str, str] | None = None, *, sentinel: bool = False) -> None:
        """`settings` are the server's own (redis.conf) and win over ours."""
        super().__init__(Path(program).name, free_port())
        self._program = program
        self._sentinel = sentinel
        self._folder = folder("redis")
        self._process: subprocess.Popen[bytes] | None = None
        basis = {"bind": "127.0.0.1", "daemonize": "no"} if sentinel else SETTINGS
        self._settings = {**basis, "port": str(self.port), "dir": str(self._folder), **(settings or {})}
        self.write_settings()

    def __repr__(self) -> str:
        return f"<{self.version} on port {self.port}, log {self.logs}>"

    @property
    def url(self) -> str:
        """Where a client finds it; one that speaks TLS too is meant without."""
        return f"redis://127.0.0.1:{self.port}"

    @property
    def logs(self) -> Path:
        return self._folder / "output.log"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def write_settings(self) -> None:
        """Write the file that the next start reads; a Sentinel writes into it too, so it is made anew."""
        lines = [f"{name} {value}\n" for name, value in self._settings.items()]
        (self._folder / "redis.conf").write_text("".join(lines))

    def start(self) -> None:
        if self.running:
            return
        mode = ["--sentinel"] if self._sentinel else []
        command = [self._program, str(self._folder / "redis.conf"), *mode]
        self._process = launch(command, env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}, output=self.logs)
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

    def freeze(self) -> None:
        """Let it fall silent without a word (SIGSTOP)."""
        if self._process is not None and self.running:
            pid = self._process.pid
            self._process.send_signal(signal.SIGSTOP)
            wait_until(lambda: stands_still(pid), within=30, what=f"{self!r} stands still")

    def thaw(self) -> None:
        if self._process is not None and self.running:
            self._process.send_signal(signal.SIGCONT)

    def ask(self, *words: str | int | bytes) -> Any:
        """Return the answer to a command, as an administrator. Raises CommandError."""
        try:
            with self._administrator() as client:
                client.response_callbacks.clear()  # as the server says it
                return client.execute_command(*words)
        except (RedisError, OSError) as error:
            raise CommandError(f"{self!r} on {words[0]!r}: {error}") from error

    def _administrator(self) -> Redis:
        password = ADMIN if "requirepass" in self._settings else None
        port = int(self._settings.get("port", "0")) or self.port
        return Redis(host="127.0.0.1", port=port, password=password, socket_timeout=10, protocol=2)

    def _ready(self) -> bool:
        return bool(self.ask("PING"))

    def _last_words(self) -> str:
        return self.logs.read_text(errors="replace")[-3000:] if self.logs.exists() else ""
