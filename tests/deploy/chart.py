"""The chart, rendered by Helm, and what its objects mean to the bridge in the pod."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from devtools import gotools
from devtools.processes import CommandError, run

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy/helm/event-bridge"
SCENARIOS = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))
KUBERNETES = "1.33.0"
OPERATORS = ("monitoring.coreos.com", "keda.sh")
WORKLOADS = ("Deployment", "StatefulSet")

BUILDING = pytest.mark.timeout(3600)
"""For tests that may be the first to need a program that has to be built."""

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
"""Of the restricted Pod Security Standard."""

MOUNTED = "/etc/event-bridge/"

Resource = dict[str, Any]


def helm(*arguments: str) -> str:
    return run([str(gotools.built(gotools.HELM)), *arguments], timeout=120)


def render(scenario: str, *settings: str, chart: Path = CHART) -> list[Resource]:
    """Render a scenario of ci/, with values set on the command line besides. Raises CommandError."""
    return [document for document in yaml.safe_load_all(_rendered(scenario, settings, chart)) if document]


@cache
def _rendered(scenario: str, settings: tuple[str, ...], chart: Path) -> str:
    values = ["-f", str(CHART / f"ci/{scenario}-values.yaml")]
    sets = [argument for setting in settings for argument in ("--set-json", setting)]
    return helm("template", "shop", str(chart), "--namespace", "events", "--kube-version", KUBERNETES, *values, *sets)


@cache
def schemas() -> Any:
    """kubernetes-validate, which has no types, and is installed for these tests only."""
    return importlib.import_module("kubernetes_validate.utils")


def complaint(resource: Resource, version: str) -> str:
    """Give what the strict schema of a version of Kubernetes says about one of its own objects, "" where it is fine."""
    try:
        schemas().validate(resource, version, strict=True)
    except schemas().SchemaNotFoundError:
        return f"{resource['apiVersion']} {resource['kind']} is not known to {version}"
    except schemas().ValidationError as error:
        return str(error)
    return ""


def ours(resources: list[Resource], *, custom: bool) -> list[Resource]:
    """Give the custom resources, or all others."""
    return [one for one in resources if (one["apiVersion"].split("/")[0] in OPERATORS) == custom]


def refusal(scenario: str, *settings: str) -> str:
    """Give what Helm says about values that it has to refuse."""
    try:
        rendered = render(scenario, *settings)
    except CommandError as error:
        return str(error)
    pytest.fail(f"{settings} of {scenario} were taken: {[one['kind'] for one in rendered]}")


def of_kind(resources: list[Resource], *kinds: str) -> list[Resource]:
    return [one for one in resources if one["kind"] in kinds]


def only(resources: list[Resource], *kinds: str) -> Resource:
    (found,) = of_kind(resources, *kinds)
    return found


def workload(resources: list[Resource]) -> Resource:
    return only(resources, *WORKLOADS)


def pod_specs(resources: list[Resource]) -> Iterator[tuple[str, Resource]]:
    """Every pod that comes of them, with its name."""
    for one in resources:
        if one["kind"] in WORKLOADS:
            yield one["metadata"]["name"], one["spec"]["template"]["spec"]
        elif one["kind"] == "Pod":
            yield one["metadata"]["name"], one["spec"]


def breaches(spec: Resource) -> Iterator[str]:
    """Name what the restricted Pod Security Standard, and a root that cannot be written to, do not allow in a pod."""
    context = spec.get("securityContext", {})
    yield from (name for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name))
    if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
        yield "runAsNonRoot"
    if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "seccompProfile"
    if spec.get("automountServiceAccountToken") is not False:
        yield "automountServiceAccountToken"
    yield from sorted({kind for volume in spec["volumes"] for kind in volume if kind != "name"} - VOLUMES)
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        yield from (f"{container['name']}: {breach}" for breach in _breaches(container))


def _breaches(container: Resource) -> Iterator[str]:
    context = container.get("securityContext", {})
    wanted = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "privileged": None,
        "procMount": None,
    }
    yield from (name for name, value in wanted.items() if context.get(name) != value)
    if any("hostPort" in port for port in container.get("ports", [])):
        yield "hostPort"


@dataclass(frozen=True)
class Inside:
    """What the bridge finds in its pod: a folder that stands for the root of its files, and its environment."""

    root: Path
    environment: Mapping[str, str]

    @classmethod
    def of(cls, resources: list[Resource], secrets: Mapping[str, str], root: Path) -> Inside:
        """Lay out the volumes below `root` as the kubelet would; `secrets` by the names of the files they are in."""
        spec = workload(resources)["spec"]["template"]["spec"]
        container = spec["containers"][0]
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        maps = {one["metadata"]["name"]: one.get("data", {}) for one in of_kind(resources, "ConfigMap")}
        for mount in container["volumeMounts"]:
            folder = root / mount["mountPath"].lstrip("/")
            folder.mkdir(parents=True)
            for name, text in _files_of(volumes[mount["name"]], maps, secrets).items():
                (folder / name).write_text(text)
        environment = {entry["name"]: entry.get("value", "shop-event-bridge-0") for entry in container["env"]}
        return cls(root, {name: _moved(text, root) for name, text in environment.items()})

    def check(self, **more: str) -> str:
        """Run `event-bridge check` there. Raises CommandError."""
        for path in (self.root / MOUNTED.lstrip("/") / "settings").iterdir():
            path.write_text(_moved(path.read_text(), self.root))
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return run(
            [str(Path(sys.executable).with_name("event-bridge")), "check"],
            env={**kept, **self.environment, **more},
        )


def _moved(text: str, root: Path) -> str:
    return text.replace(MOUNTED, f"{root}{MOUNTED}")


def _files_of(volume: Resource, maps: Mapping[str, Any], secrets: Mapping[str, str]) -> dict[str, str]:
    if "configMap" in volume:
        return dict(maps.get(volume["configMap"]["name"], {}))
    items = [item for source in volume.get("projected", {}).get("sources", []) for item in source["secret"]["items"]]
    return {item["path"]: secrets[item["path"]] for item in items}


def written(resources: list[Resource]) -> str:
    return yaml.safe_dump_all(resources)
