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


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder or file of this machine that a container sees."""

    source: Path
    at: str  # absolute, in the container
    read_only: bool = True


@dataclass(frozen=True, slots=True)
class Rights:
    """What a container may do; by default as little as can be."""

    uid: int = UID
    gid: int = UID
    capabilities: tuple[str, ...] = ()  # as capabilities(7) names them
    new_privileges: bool = False
    writes_root: bool = False


@dataclass
class Container:
    """One container. `network` is the path of a network namespace; None is that of this machine."""

    root: Path
    command: Sequence[str]
    environment: Mapping[str, str]
    mounts: Sequence[Mount] = ()
    home: str = "/"  # the working directory
    network: Path | None = None
    rights: Rights = field(default_factory=Rights)
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
        self.send("TERM")
        try:
            return self.wait(within)
        except TimeoutError as error:
            raise TimeoutError(f"{error} after SIGTERM:\n{self.log}") from None
        finally:
            self.close()

    def send(self, signal_name: str) -> None:
        """Send a signal ("TERM", "KILL") to number 1, if it is still there."""
        if self.running:
            self._runc("kill", self.name, signal_name)

    def wait(self, within: float) -> int:
        """Wait for its end, and return its exit code. Raises TimeoutError."""
        assert self._process is not None
        try:
            return self._process.wait(within)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.name}: still there after {within} s") from None

    @property
    def running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def close(self) -> None:
        """End it, whatever it does."""
        if self._process is not None and self.running:
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
        rights = self.rights
        held = {kind: list(rights.capabilities) for kind in ("bounding", "effective", "permitted")}
        return {
            "ociVersion": VERSION,
            "hostname": self.name,
            "root": {"path": str(self.root), "readonly": not rights.writes_root},
            "process": {
                "user": {"uid": rights.uid, "gid": rights.gid},
                "args": list(self.command),
                "env": [f"{name}={value}" for name, value in self.environment.items()],
                "cwd": self.home,
                "capabilities": held,
                "noNewPrivileges": not rights.new_privileges,
            },
            "mounts": self._mounts(),
            "linux": {"namespaces": spaces, "maskedPaths": _MASKED, "readonlyPaths": _READ_ONLY},
        }

    def _mounts(self) -> list[dict[str, Any]]:
        own = [Mount(Path(f"/etc/{name}"), f"/etc/{name}") for name in ("resolv.conf", "hosts")]
        return [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"]},
            *(_bound(mount) for mount in (*own, *self.mounts)),
        ]


def _bound(mount: Mount) -> dict[str, Any]:
    options = ["rbind", "ro" if mount.read_only else "rw", "nosuid", "nodev"]
    return {"destination": mount.at, "type": "bind", "source": str(mount.source), "options": options}
