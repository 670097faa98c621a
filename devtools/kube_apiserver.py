"""
A private Kubernetes API server for tests: a real kube-apiserver with its etcd, and nothing else of a cluster.

No controller and no kubelet runs, so no pod is ever made of a Deployment, and nothing is scheduled. kube-apiserver is
built from its Go modules (devtools.gotools: a quarter of an hour of one core, once); etcd comes from PATH, or from
Debian's package, which is unpacked into the cache and never installed: no service starts. Both listen on 127.0.0.1
only, on ports of their own, and keep what they have in a folder of their own. All calls block.
"""

from __future__ import annotations

import http.client
import json
import re
import secrets
import shutil
import ssl
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from devtools import debian, gotools
from devtools.node import START_LIMIT, STOP_LIMIT, Node
from devtools.processes import CommandError, MissingError, end, launch, wait_until
from devtools.scratch import folder, free_port

ANSWER_LIMIT = 60.0
"""Seconds for an answer of the server."""

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}

APPLY = "application/apply-patch+yaml"
"""The content type of a server-side apply, with the method PATCH."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said: `warnings` are for who asked, and keep it from nothing."""

    status: int
    body: dict[str, Any]
    warnings: list[str]

    @property
    def reason(self) -> str:
        """Why it refused, "" where it did not."""
        return str(self.body.get("message", "")) if self.status >= http.HTTPStatus.BAD_REQUEST else ""


@cache
def etcd() -> str:
    """Return the program, fetched from Debian's package if need be. Raises MissingError."""
    found = shutil.which("etcd")
    if found:
        return found
    if not shutil.which("apt-get"):
        raise MissingError("etcd is not at hand, which kube-apiserver keeps everything in; install it")
    try:
        return str(debian.fetched("etcd-server") / "usr/bin/etcd")
    except CommandError as error:
        raise MissingError(f"etcd could not be fetched: {error}") from error


class ApiServer(Node):
    """
    The two programs, as a context manager. Whoever has `kubeconfig` may do everything.

    >>> with ApiServer(certificates) as server:
    ...     server.call("GET", "/api/v1/namespaces")
    """

    def __init__(self, certificates: Path) -> None:
        """`certificates` is a folder with ca.pem and server.pem, the latter with its private key."""
        super().__init__(gotools.KUBE_APISERVER.version.removeprefix("v").rpartition(".")[0], free_port())
        self._certificates = certificates
        self._etcd_port, self._peer_port = free_port(), free_port()
        self.home = folder("kube-apiserver")
        """The folder of this server; what clients remember about it belongs here too."""
        self._token = secrets.token_hex(16)
        self._processes: list[subprocess.Popen[bytes]] = []
        (self.home / "tokens.csv").write_text(f'{self._token},admin,admin,"system:masters"\n')
        self.kubeconfig.write_text(json.dumps(self._access()))  # JSON is YAML

    def __repr__(self) -> str:
        return f"<kube-apiserver {self.version} on port {self.port}, log {self.logs}>"

    @property
    def kubeconfig(self) -> Path:
        """The file that lets Helm and kubectl in."""
        return self.home / "kubeconfig"

    @property
    def logs(self) -> Path:
        return self.home / "kube-apiserver.log"

    @property
    def running(self) -> bool:
        return bool(self._processes) and all(process.poll() is None for process in self._processes)

    def start(self) -> None:
        if self.running:
            return
        self.kill()  # whichever is left of the two
        program = str(gotools.built(gotools.KUBE_APISERVER))
        self._launch([etcd(), *self._etcd_options()], self.home / "etcd.log")
        wait_until(self._etcd_is_well, within=START_LIMIT, what=f"the etcd of {self!r} serves")
        self._launch([program, *self._options()], self.logs)
        self._await_service()

    def stop(self) -> None:
        while self._processes:
            end(self._processes.pop(), patience=STOP_LIMIT)

    def kill(self) -> None:
        while self._processes:
            process = self._processes.pop()
            process.kill()
            process.wait()

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        content: str = "application/json",
        **query: str,
    ) -> Answer:
        """Ask the API, as somebody who may do everything. Raises CommandError where there is no answer."""
        address = f"{path}?{'&'.join(f'{name}={value}' for name, value in query.items())}" if query else path
        status, text, warned = self._exchange(method, address, json.dumps(body) if body else None, content)
        return Answer(status, json.loads(text) if text.startswith("{") else {"message": text}, warned)

    def path_of(self, resource: Mapping[str, Any], namespace: str) -> str:
        """Return where objects of its kind are, those of the namespace if they belong to one. Raises CommandError."""
        version = resource["apiVersion"]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        for each in self.call("GET", root).body.get("resources", ()):
            if each["kind"] == resource["kind"] and "/" not in each["name"]:
                return (
                    f"{root}/namespaces/{namespace}/{each['name']}" if each["namespaced"] else f"{root}/{each['name']}"
                )
        raise CommandError(f"{self!r} has no {resource['kind']} of {version}")

    def _access(self) -> dict[str, Any]:
        cluster = {"server": f"https://127.0.0.1:{self.port}", "certificate-authority": str(self._authority)}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "here", "cluster": cluster}],
            "users": [{"name": "admin", "user": {"token": self._token}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "admin"}}],
            "current-context": "here",
        }

    @property
    def _authority(self) -> Path:
        return self._certificates.resolve() / "ca.pem"

    def _etcd_options(self) -> list[str]:
        clients, peers = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{self._peer_port}"
        return [
            f"--data-dir={self.home / 'etcd'}",
            f"--listen-client-urls={clients}",
            f"--advertise-client-urls={clients}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
        ]

    def _options(self) -> list[str]:
        pair = self._certificates.resolve() / "server.pem"
        return [
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.port}",
            "--endpoint-reconciler-type=none",
            "--service-cluster-ip-range=10.0.0.0/24",
            f"--cert-dir={self.home / 'certificates'}",
            f"--tls-cert-file={pair}",
            f"--tls-private-key-file={pair}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={pair}",
            f"--service-account-signing-key-file={pair}",
            f"--token-auth-file={self.home / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--allow-privileged=true",  # whether a namespace takes such pods is its own matter
        ]

    def _launch(self, command: list[str], log: Path) -> None:
        self._processes.append(launch(command, env=ENVIRONMENT, output=log))

    def _etcd_is_well(self) -> bool:
        if not self.running:
            raise CommandError(f"the etcd of {self!r} did not start:\n{self._last_words()}")
        connection = http.client.HTTPConnection("127.0.0.1", self._etcd_port, timeout=ANSWER_LIMIT)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _ready(self) -> bool:
        return self._exchange("GET", "/readyz", None, "text/plain")[0] == http.HTTPStatus.OK

    def _exchange(self, method: str, address: str, body: str | None, content: str) -> tuple[int, str, list[str]]:
        trust = ssl.create_default_context(cafile=self._authority)
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=ANSWER_LIMIT, context=trust)
        try:
            headers = {"Authorization": f"Bearer {self._token}", "Content-Type": content, "Accept": "application/json"}
            connection.request(method, address, body, headers)
            response = connection.getresponse()
            return response.status, response.read().decode(), _warnings(response)
        except (OSError, http.client.HTTPException) as error:
            raise CommandError(f"{self!r}: {error!r}") from error
        finally:
            connection.close()

    def _last_words(self) -> str:
        files = (self.home / "etcd.log", self.logs)
        return "\n".join(file.read_text(errors="replace")[-3000:] for file in files if file.exists())


def _warnings(response: http.client.HTTPResponse) -> list[str]:
    """Read the Warning headers (RFC 7234, 5.5), which all have the code 299."""
    return [re.sub(r'^299 \S+ "(.*)"$', r"\1", text) for text in response.headers.get_all("Warning", [])]
