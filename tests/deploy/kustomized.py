"""What kustomize makes of our bases, as far as they use it: resources, labels, generated ConfigMaps, merged patches."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

BASES = Path(__file__).parents[2] / "deploy/kubernetes"
KNOWN = {"apiVersion", "kind", "labels", "resources", "configMapGenerator", "patches"}

Resource = dict[str, Any]


def deployment() -> list[Resource]:
    """Render the base of a deployment, its ConfigMap without the hash behind its name."""
    rules = _rules("deployment")
    made = [_read("deployment", name) for name in rules["resources"]]
    for each in rules["configMapGenerator"]:
        data = {name: (BASES / "deployment" / name).read_text() for name in each["files"]}
        made.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": each["name"]}, "data": data})
    for each in rules["labels"]:
        assert each["includeSelectors"]
        for resource in made:
            _label(resource, each["pairs"])
    return made


def beside(application: Resource) -> Resource:
    """Put the component with the sidecar into a Deployment that has the label for it."""
    made = copy.deepcopy(application)
    for patch in _rules("sidecar")["patches"]:
        name, _, value = patch["target"]["labelSelector"].partition("=")
        if made["kind"] == patch["target"]["kind"] and made["metadata"]["labels"].get(name) == value:
            spec = _read("sidecar", patch["path"])["spec"]["template"]["spec"]
            pod = made["spec"]["template"]["spec"]
            for key, found in spec.items():
                pod[key] = [*found, *pod.get(key, [])] if isinstance(found, list) else found
    return made


def _rules(base: str) -> Resource:
    rules = _read(base, "kustomization.yaml")
    assert set(rules) <= KNOWN, "kustomize is asked for something that is not rendered here"
    return rules


def _read(base: str, name: str) -> Resource:
    found = yaml.safe_load((BASES / base / name).read_text())
    assert isinstance(found, dict)
    return found


def _label(resource: Resource, pairs: Resource) -> None:
    for labels in _labels(resource):
        labels.update(pairs)


def _labels(resource: Resource) -> Iterator[Resource]:
    yield resource["metadata"].setdefault("labels", {})
    if resource["kind"] == "Deployment":
        yield resource["spec"].setdefault("selector", {}).setdefault("matchLabels", {})
        yield resource["spec"]["template"].setdefault("metadata", {}).setdefault("labels", {})
    if resource["kind"] == "NetworkPolicy" and "matchLabels" in resource["spec"]["podSelector"]:
        yield resource["spec"]["podSelector"]["matchLabels"]
