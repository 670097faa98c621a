"""The Kubernetes manifests: what they say of the bridge is true of it, and they ask for as few rights as can be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.settings.load import load
from bridge.settings.process import AdminSettings
from tests.unit.markdown import ROOT

BASES = ROOT / "deploy/kubernetes"
POD = {
    "deployment": lambda spec: (spec["containers"][0], spec["securityContext"]),
    "sidecar": lambda spec: (spec["initContainers"][0], spec["initContainers"][0]["securityContext"]),
}


def _spec(base: str) -> dict[str, Any]:
    file = "deployment.yaml" if base == "deployment" else "sidecar.yaml"
    found = yaml.safe_load((BASES / base / file).read_text())["spec"]["template"]["spec"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("base", POD)
def test_it_asks_for_no_right(base: str) -> None:
    container, around = POD[base](_spec(base))
    own = container["securityContext"]
    assert around["runAsNonRoot"] is True
    assert around["runAsUser"] == 10001
    assert around["seccompProfile"] == {"type": "RuntimeDefault"}
    assert own["allowPrivilegeEscalation"] is False
    assert own["readOnlyRootFilesystem"] is True
    assert own["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("base", POD)
def test_what_is_mounted_is_there(base: str) -> None:
    spec = _spec(base)
    container, _ = POD[base](spec)
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in spec["volumes"]}


@pytest.mark.parametrize("base", POD)
def test_it_has_time_to_drain_and_is_asked_at_the_right_port(base: str) -> None:
    spec = _spec(base)
    container, _ = POD[base](spec)
    assert spec["terminationGracePeriodSeconds"] > 20
    assert [port["containerPort"] for port in container["ports"]] == [AdminSettings().port]
    assert {container[probe]["httpGet"]["port"] for probe in ("startupProbe", "livenessProbe")} == {
        container["ports"][0]["name"]
    }


def test_the_sidecar_is_a_native_one_that_waits_for_nobody() -> None:
    container, _ = POD["sidecar"](_spec("sidecar"))
    assert container["restartPolicy"] == "Always"
    assert container["startupProbe"]["httpGet"]["path"] == "/livez"
    assert "readinessProbe" not in container


def test_the_settings_are_valid(tmp_path: Path) -> None:
    container, _ = POD["deployment"](_spec("deployment"))
    environment = {each["name"]: each["value"] for each in container["env"]}
    secret = tmp_path / "amqp-url"
    secret.write_text("amqp://guest:guest@rabbitmq:5672/")
    environment["BRIDGE_SOURCE__URL_FILE"] = str(secret)
    del environment["BRIDGE_CONFIG"]
    settings = load(file=BASES / "deployment/event-bridge.yaml", environment=environment, assignments=[]).settings
    assert settings.admin.host == "0.0.0.0"  # noqa: S104  for the kubelet
    assert settings.drain_timeout < _spec("deployment")["terminationGracePeriodSeconds"]


def test_every_file_of_a_base_exists() -> None:
    for base in POD:
        kustomization = yaml.safe_load((BASES / base / "kustomization.yaml").read_text())
        files = [*kustomization.get("resources", ()), *(patch["path"] for patch in kustomization.get("patches", ()))]
        files += [file for made in kustomization.get("configMapGenerator", ()) for file in made["files"]]
        assert [file for file in files if not (BASES / base / file).exists()] == []
