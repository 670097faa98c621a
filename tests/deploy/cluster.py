"""A namespace of a real API server that keeps to the restricted standard, and Helm that installs into it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from devtools import gotools
from devtools.kube_apiserver import APPLY, Answer, ApiServer
from devtools.processes import CommandError, run, wait_until
from tests.deploy.chart import CHART, WORKLOADS, Resource

RELEASE = "shop"
STANDARD = "pod-security.kubernetes.io"
CUSTOM = {
    "monitoring.coreos.com/v1": ("PodMonitor", "ServiceMonitor", "PrometheusRule"),
    "keda.sh/v1alpha1": ("ScaledObject", "TriggerAuthentication"),
}
"""Kinds that operators bring along. Here they have no schema: what is in them is checked by devtools.crds."""


@dataclass(frozen=True)
class Namespace:
    """One namespace, in which pods that break the restricted standard are refused."""

    server: ApiServer
    name: str

    def helm(self, *arguments: str) -> str:
        """Run Helm against the server, apart from whatever else this user has. Raises CommandError."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.server.home)}
        program = str(gotools.built(gotools.HELM))
        where = ["--namespace", self.name, "--kubeconfig", str(self.server.kubeconfig)]
        return run([program, *arguments, *where], env=environment, timeout=300)

    def install(self, scenario: str, *settings: str, verb: str = "install", chart: str = str(CHART)) -> None:
        """Install a scenario of ci/, or upgrade to it, with values set on the command line besides."""
        sets = [argument for setting in settings for argument in ("--set-json", setting)]
        self.helm(verb, RELEASE, chart, "-f", str(CHART / f"ci/{scenario}-values.yaml"), *sets)

    def released(self) -> list[Resource]:
        """Return what Helm has sent to the server, but for its tests."""
        said = self.helm("get", "manifest", RELEASE)
        return [document for document in yaml.safe_load_all(said) if document]

    def stored(self, resource: Resource) -> Resource | None:
        """Return the object as the server has it, None where it is not there."""
        answer = self.server.call("GET", self._address(resource))
        if answer.status == 404:
            return None
        assert answer.status == 200, answer
        return answer.body

    def there(self, resource: Resource) -> Resource:
        """Return the object as the server has it."""
        found = self.stored(resource)
        assert found is not None, f"{resource['kind']} {resource['metadata']['name']} is gone"
        return found

    def ask(self, resource: Resource) -> Answer:
        """Ask whether an object would be taken, and do not create it."""
        where = self.server.path_of(resource, self.name)
        return self.server.call("POST", where, self._here(resource), dryRun="All", fieldValidation="Strict")

    def apply(self, resource: Resource) -> Answer:
        """Ask what a server-side apply would say, and change nothing."""
        query = {"dryRun": "All", "fieldValidation": "Strict", "fieldManager": "tests"}
        return self.server.call("PATCH", self._address(resource), self._here(resource), content=APPLY, **query)

    def _address(self, resource: Resource) -> str:
        return f"{self.server.path_of(resource, self.name)}/{resource['metadata']['name']}"

    def _here(self, resource: Resource) -> Resource:
        return {**resource, "metadata": {**resource["metadata"], "namespace": self.name}}


def restricted(server: ApiServer, name: str) -> Namespace:
    """Make a namespace, with the ServiceAccounts that a controller or somebody else would have made."""
    labels = {f"{STANDARD}/{mode}": "restricted" for mode in ("enforce", "warn")}
    create(server, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    for account in ("default", "bridges"):
        create(server, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}}, name)
    return Namespace(server, name)


def furnish(server: ApiServer) -> None:
    """Put into a new server what the scenarios take for granted."""
    priority = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "important"}}
    create(server, {**priority, "value": 1000})
    wanted = [{"apiVersion": version, "kind": kind} for version, kinds in CUSTOM.items() for kind in kinds]
    for each in wanted:
        create(server, _definition(each["apiVersion"], each["kind"]))
    wait_until(lambda: all(_known(server, each) for each in wanted), within=60, what="custom resources are known")


def _known(server: ApiServer, resource: Resource) -> bool:
    try:
        return server.call("GET", server.path_of(resource, "default")).status == 200
    except CommandError:
        return False


def _definition(version: str, kind: str) -> Resource:
    group, _, name = version.partition("/")
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served = {"name": name, "served": True, "storage": True, "schema": {"openAPIV3Schema": anything}}
    names = {"kind": kind, "plural": f"{kind.lower()}s", "singular": kind.lower(), "listKind": f"{kind}List"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names['plural']}.{group}"},
        "spec": {"group": group, "names": names, "scope": "Namespaced", "versions": [served]},
    }


def create(server: ApiServer, resource: Resource, namespace: str = "default") -> None:
    answer = server.call("POST", server.path_of(resource, namespace), resource)
    assert answer.status == 201, answer


def pods_of(resources: list[Resource]) -> Iterator[Resource]:
    """Every pod that comes of them, as the controller would send it, and those that stand for themselves."""
    for one in resources:
        if one["kind"] in WORKLOADS:
            template = one["spec"]["template"]
            metadata = {**template["metadata"], "name": one["metadata"]["name"]}
            yield {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
        elif one["kind"] == "Pod":
            yield one


def differences(wanted: Any, stored: Any, place: str = "") -> Iterator[str]:
    """Name what was sent and is not there; what the server has added does not count."""
    if isinstance(wanted, dict) and isinstance(stored, dict):
        for key, value in wanted.items():
            yield from differences(value, stored.get(key), f"{place}.{key}")
    elif isinstance(wanted, list) and isinstance(stored, list) and len(wanted) == len(stored):
        for number, (value, found) in enumerate(zip(wanted, stored, strict=True)):
            yield from differences(value, found, f"{place}[{number}]")
    elif wanted != stored:
        yield f"{place}: {wanted!r} was sent, {stored!r} is there"
