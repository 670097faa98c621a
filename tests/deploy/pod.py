"""
One pod, run as a kubelet runs it: all that a manifest says of its containers is read from there and used.

The order is that of https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/: init containers in their
order; the next begins when the startup probe of a sidecar has passed; the containers come after all of them; at the end
these are told to stop first, the sidecars last, and together they have the grace period.
"""

from __future__ import annotations

import http
import json
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from devtools.image import Image
from devtools.oci import Container, Mount, Rights
from devtools.pod_network import PodNetwork
from devtools.scratch import folder
from tests.asking import get

Entry = Mapping[str, Any]

DOCKERS = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_NET_BIND_SERVICE",
    "CAP_KILL",
)
"""Some of what a container has whose manifest drops nothing."""


class ProbeError(AssertionError):
    """A probe has failed as often as its manifest allows."""


@dataclass
class Pod:
    """
    A pod of `spec`, as a context manager.

    `files` are its ConfigMaps and Secrets, by name: file name and text of each. `outward` are the ports of 127.0.0.1 in
    the pod that lead to ports of this machine.
    """

    spec: Entry
    image: Image
    files: Mapping[str, Mapping[str, str]]
    outward: Mapping[int, int]
    running: dict[str, Container] = field(default_factory=dict)
    history: list[tuple[str, str]] = field(default_factory=list)  # what happened to which container

    def __post_init__(self) -> None:
        self._volumes = {volume["name"]: self._volume(volume) for volume in self.spec.get("volumes", ())}
        self._network = PodNetwork(self.outward)
        self._ports = {
            (entry["name"], port["containerPort"]): self._network.enterable(port["containerPort"])
            for entry in self._entries()
            for port in entry.get("ports", ())
        }
        self._held = ExitStack()

    def __enter__(self) -> Self:
        self._held.enter_context(self._network)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for container in self.running.values():
            container.close()
        self._held.close()

    def start(self) -> None:
        """Start everything in its order. Raises ProbeError where a sidecar does not come up; the rest stays down."""
        for entry in self.spec["initContainers"]:
            assert entry["restartPolicy"] == "Always", (
                f"{entry['name']} is no sidecar: nothing would start before it ends"
            )
            self.start_container(entry["name"])
            self.await_startup(entry["name"])
        for entry in self.spec["containers"]:
            self.start_container(entry["name"])

    def start_container(self, name: str) -> Container:
        """Start a container, or start it again: its volumes are as old as the pod."""
        entry = self._entry(name)
        config = self.image.facts["config"]
        own = entry.get("securityContext", {})
        mounts = [
            Mount(self._volumes[each["name"]], each["mountPath"], read_only=each.get("readOnly", False))
            for each in entry.get("volumeMounts", ())
        ]
        image_environment = dict(pair.split("=", 1) for pair in config["Env"])
        container = self.running[name] = Container(
            self.image.root,
            [*entry.get("command", config["Entrypoint"]), *entry.get("args", ())],
            {**image_environment, **{each["name"]: each["value"] for each in entry.get("env", ())}},
            mounts=mounts,
            home=config["WorkingDir"],
            network=self._network.path,
            rights=_rights({**self.spec.get("securityContext", {}), **own}, config["User"]),
        )
        container.start()
        self.history.append(("started", name))
        return container

    def await_startup(self, name: str) -> None:
        """Ask the startup probe as often as it says, and as far apart. Raises ProbeError."""
        entry = self._entry(name)
        probe = entry["startupProbe"]
        answers: list[str] = []
        for _ in range(probe.get("failureThreshold", 3)):
            good, said = self.probe(name, "startupProbe")
            if good:
                self.history.append(("up", name))
                return
            answers.append(said)
            time.sleep(probe.get("periodSeconds", 10))
        raise ProbeError(f"{name}: {answers[-1]}\n{self.running[name].log}")

    def probe(self, name: str, kind: str) -> tuple[bool, str]:
        """Ask a probe once, as its manifest says, from outside of the pod; with what came back."""
        entry = self._entry(name)
        asked = entry[kind]["httpGet"]
        ports = {each["name"]: each["containerPort"] for each in entry["ports"]}
        port = ports.get(asked["port"], asked["port"])
        status, said = get(self._ports[name, port], asked["path"], patience=entry[kind].get("timeoutSeconds", 1))
        good = http.HTTPStatus.OK <= status < http.HTTPStatus.BAD_REQUEST
        return good, f"{asked['path']} of port {port} says {status} {said[:200]}"

    def ask(self, name: str, path: str) -> tuple[int, str]:
        """GET a path from the first port of a container, from outside of the pod."""
        return get(self._ports[name, self._entry(name)["ports"][0]["containerPort"]], path)

    def stop(self) -> dict[str, int]:
        """End the pod within its grace period, the sidecars last; exit codes. Raises TimeoutError."""
        deadline = time.monotonic() + self.spec["terminationGracePeriodSeconds"]
        names = [entry["name"] for entry in self.spec["containers"]]
        for name in names:
            self._tell(name)
        codes = {name: self._await_end(name, deadline) for name in names}
        for entry in reversed(self.spec["initContainers"]):
            self._tell(entry["name"])
            codes[entry["name"]] = self._await_end(entry["name"], deadline)
        return codes

    def _tell(self, name: str) -> None:
        self.running[name].send("TERM")
        self.history.append(("told", name))

    def _await_end(self, name: str, deadline: float) -> int:
        code = self.running[name].wait(deadline - time.monotonic())
        self.history.append(("ended", name))
        return code

    def _entries(self) -> list[Entry]:
        return [*self.spec["initContainers"], *self.spec["containers"]]

    def _entry(self, name: str) -> Entry:
        return next(entry for entry in self._entries() if entry["name"] == name)

    def _volume(self, volume: Entry) -> Path:
        """Make it as a kubelet does: an emptyDir is everybody's, the files of others belong to root and can be read."""
        made = folder("volume")
        if "emptyDir" in volume:
            made.chmod(0o777)
            return made
        name = volume["configMap"]["name"] if "configMap" in volume else volume["secret"]["secretName"]
        made.chmod(0o755)
        for file, text in self.files[f"{'configMap' if 'configMap' in volume else 'secret'}/{name}"].items():
            (made / file).write_text(text)
            (made / file).chmod(0o644)
        return made


def _rights(context: Entry, user: str) -> Rights:
    """Read a securityContext; `user` is that of the image."""
    uid, _, gid = user.partition(":")
    runs_as = context.get("runAsUser", int(uid))
    assert not (context.get("runAsNonRoot") and runs_as == 0), "a kubelet refuses to start it"
    dropped = context.get("capabilities", {}).get("drop", [])
    added = context.get("capabilities", {}).get("add", [])
    return Rights(
        uid=runs_as,
        gid=context.get("runAsGroup", int(gid)),
        capabilities=tuple(f"CAP_{name}" for name in added) if dropped == ["ALL"] else DOCKERS,
        new_privileges=context.get("allowPrivilegeEscalation", True),
        writes_root=not context.get("readOnlyRootFilesystem", False),
    )


def published(log: str) -> list[str]:
    """Return the ids that the application says the broker has confirmed."""
    said = (json.loads(line) for line in log.splitlines() if line.startswith("{"))
    return [line["published"] for line in said if "published" in line]
