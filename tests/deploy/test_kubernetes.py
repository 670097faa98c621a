"""The kustomize bases as a cluster gets them: valid in each version of Kubernetes, within the restricted standard."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.deploy import kustomized
from tests.deploy.kustomized import Resource
from tests.unit.markdown import paper

kubernetes_validate: Any = importlib.import_module(
    "kubernetes_validate"
)  # has no types, and is not in each environment

VERSIONS = [f"1.{minor}" for minor in range(29, int(kubernetes_validate.latest_version().split(".")[1]) + 1)]
"""From the first with sidecars on to the newest that has a schema here."""

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}

SHOP: Resource = yaml.safe_load(next(each for each in paper("docs/quickstart.md").fences if each.mark == "shop").text)


def _all() -> list[Resource]:
    return [*kustomized.deployment(), kustomized.beside(SHOP)]


def _pod(resource: Resource) -> Resource:
    found = resource["spec"]["template"]["spec"]
    assert isinstance(found, dict)
    return found


def _bridges() -> Iterator[tuple[Resource, Resource]]:
    """Both pods, with the bridge's container in each."""
    for resource in _all():
        if resource["kind"] == "Deployment":
            pod = _pod(resource)
            every = [*pod.get("initContainers", ()), *pod["containers"]]
            yield pod, next(each for each in every if each["name"] == "event-bridge")


def _breaches(pod: Resource, container: Resource) -> list[str]:
    """Name what the restricted standard forbids (kubernetes.io/docs/concepts/security/pod-security-standards)."""
    own = container.get("securityContext", {})
    both = {**pod.get("securityContext", {}), **own}
    found = [name for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name)]
    found += sorted({kind for volume in pod["volumes"] for kind in volume if kind != "name"} - VOLUMES)
    found += ["hostPort" for port in container["ports"] if "hostPort" in port]
    wanted: dict[str, Any] = {
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    found += [name for name, value in wanted.items() if both.get(name) != value]
    return found + [name for name in ("privileged", "procMount", "seLinuxOptions", "sysctls") if name in both]


@pytest.mark.parametrize("version", VERSIONS)
def test_each_resource_is_valid(version: str) -> None:
    for resource in _all():
        kubernetes_validate.validate(resource, version, strict=True)


def test_a_misspelt_field_is_seen() -> None:
    wrong = copy.deepcopy(kustomized.beside(SHOP))
    sidecar = _pod(wrong)["initContainers"][0]
    sidecar["restartPolicyy"] = sidecar.pop("restartPolicy")
    with pytest.raises(kubernetes_validate.ValidationError, match="restartPolicyy"):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_both_keep_to_the_restricted_standard() -> None:
    assert [_breaches(*each) for each in _bridges()] == [[], []]


@pytest.mark.parametrize("name", ["runAsNonRoot", "allowPrivilegeEscalation", "capabilities", "seccompProfile"])
def test_a_right_too_many_is_seen(name: str) -> None:
    for pod, container in _bridges():
        for context in (pod.get("securityContext", {}), container["securityContext"]):
            context.pop(name, None)
        assert _breaches(pod, container) == [name]


def test_the_network_policy_is_about_the_bridge_alone() -> None:
    kinds = _by_kind(kustomized.deployment())
    selector = kinds["NetworkPolicy"]["spec"]["podSelector"]
    assert selector == kinds["Deployment"]["spec"]["selector"] != {}


def test_the_label_decides_who_gets_a_sidecar() -> None:
    without = copy.deepcopy(SHOP)
    without["metadata"]["labels"] = {"event-bridge": "elsewhere"}
    assert kustomized.beside(without) == without
    assert [each["name"] for each in _pod(kustomized.beside(SHOP))["initContainers"]] == ["event-bridge"]


def _by_kind(resources: Any) -> dict[str, Resource]:
    return {each["kind"]: each for each in resources}
