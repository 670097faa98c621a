"""
Containers under runc: an unpacked image run read-only, without rights, in the network of this machine or a private one.

What Kubernetes' restricted profile asks for is asked for here: a user that is not root, no capability, no way to new
privileges, a read-only root.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devtools.processes import end, launch, run, wait_until
from devtools.scratch import folder

UID = 10_001
VERSION = "1.0.2"  # of the runtime specification

_MASKED = ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/sys/firmware"]
_READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]


@dataclass
class Container:
    """One container. `network` is the path of a network namespace; None is that of this machine."""

    root: Path
    command: Sequence[str]
    environment: Mapping[str, str]
    state: Path | None = None  # what stands at /var/lib/event-bridge, writable
    network: Path | None = None
    uid: int = UID
    name: str = field(default_factory=lambda: f"event-bridge-{secrets.token_hex(4)}")

    def __post_init__(self) -> None:
        self._folder = folder("container")
        self._runs = folder("runc")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """All that it wrote."""
        return (self._folder / "log").read_text(errors="replace")

    @property
    def pid(self) -> int:
        """The process on this machine that is number 1 in the container."""
        return int(json.loads(self._runc("state", self.name))["pid"])

    def start(self) -> None:
        """Start it, and wait until number 1 runs. Raises ChildProcessError when it has ended before."""
        self._process = self._launched()
        wait_until(self._runs_by_now, within=30, what=f"the container {self.command[0]} runs")

    def run_to_end(self, within: float) -> int:
        """Start it, wait for its end and return its exit code. Raises TimeoutExpired."""
        self._process = self._launched()
        return self._process.wait(within)

    def _launched(self) -> subprocess.Popen[bytes]:
        (self._folder / "config.json").write_text(json.dumps(self._settings()))
        command = ["runc", "--root", str(self._runs), "run", "--bundle", str(self._folder), self.name]
        return launch(command, env=dict(os.environ), output=self._folder / "log")

    def run(self, *command: str) -> str:
        """Run something inside and return its output. Raises CommandError when it fails."""
        return self._runc("exec", self.name, *command)

    def stop(self, within: float) -> int:
        """Send SIGTERM to number 1, and return its exit code. Raises TimeoutError, and kills it, if it stays."""
        process = self._process
        assert process is not None
        if process.poll() is None:
            self._runc("kill", self.name, "TERM")
        try:
            return process.wait(within)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"still there {within} s after SIGTERM:\n{self.log}") from None
        finally:
            self.close()

    def close(self) -> None:
        """End it, whatever it does."""
        if self._process is not None and self._process.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            end(self._process, patience=10)

    def _runs_by_now(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise ChildProcessError(f"it ended with code {self._process.returncode}:\n{self.log}")
        return self.name in self._runc("list", "--quiet").split()

    def _runc(self, *arguments: str) -> str:
        return run(["runc", "--root", str(self._runs), *arguments])

    def _settings(self) -> dict[str, Any]:
        """The bundle's config.json (OCI runtime specification 1.0)."""
        kinds = ["pid", "ipc", "uts", "mount"]
        spaces: list[dict[str, str]] = [{"type": kind} for kind in kinds]
        if self.network is not None:
            spaces.append({"type": "network", "path": str(self.network)})
        none: dict[str, list[str]] = {kind: [] for kind in ("bounding", "effective", "permitted", "ambient")}
        return {
            "ociVersion": VERSION,
            "hostname": self.name,
            "root": {"path": str(self.root), "readonly": True},
            "process": {
                "user": {"uid": self.uid, "gid": self.uid},
                "args": list(self.command),
                "env": [f"{name}={value}" for name, value in self.environment.items()],
                "cwd": "/var/lib/event-bridge" if self.state else "/",
                "capabilities": none,
                "noNewPrivileges": True,
            },
            "mounts": self._mounts(),
            "linux": {"namespaces": spaces, "maskedPaths": _MASKED, "readonlyPaths": _READ_ONLY},
        }

    def _mounts(self) -> list[dict[str, Any]]:
        safe = ["nosuid", "noexec", "nodev"]
        mounts: list[dict[str, Any]] = [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"]},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": [*safe, "mode=1777", "size=16m"]},  # noqa: S108  the container's own
            *(_bound(Path(f"/etc/{name}"), read_only=True) for name in ("resolv.conf", "hosts")),
        ]
        if self.state is not None:
            mounts.append(_bound(self.state, at="/var/lib/event-bridge"))
        return mounts


def _bound(source: Path, *, at: str | None = None, read_only: bool = False) -> dict[str, Any]:
    options = ["rbind", "ro" if read_only else "rw", "nosuid", "nodev"]
    return {"destination": at or str(source), "type": "bind", "source": str(source), "options": options}
