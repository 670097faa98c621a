"""What the chart renders for each file of ci/: valid, restricted, and understood by the bridge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from devtools import crds, gotools
from devtools.processes import run
from tests.deploy.chart import (
    BUILDING,
    CHART,
    KUBERNETES,
    ROOT,
    SCENARIOS,
    Inside,
    Resource,
    breaches,
    complaint,
    helm,
    of_kind,
    only,
    ours,
    pod_specs,
    render,
    schemas,
    workload,
)

pytestmark = BUILDING

VERSIONS = [f"1.{minor}" for minor in range(29, 38)]
SECRETS = {
    "url": "amqp://bridge:secret@rabbitmq.shop.svc:5672/0",
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "username": "bridge",
}


def secrets_of(resources: list[Resource]) -> dict[str, str]:
    """A content that will do for each secret file: what it is for shows in its name."""
    spec = workload(resources)["spec"]["template"]["spec"]
    volumes = [volume["projected"]["sources"] for volume in spec["volumes"] if "projected" in volume]
    paths = [item["path"] for sources in volumes for source in sources for item in source["secret"]["items"]]
    contents = {path: SECRETS.get(path.rpartition("__")[2], "secret") for path in paths}
    return {path: text.replace("amqp", "redis") if "store" in path else text for path, text in contents.items()}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_helm_finds_nothing_to_complain_about(scenario: str) -> None:
    values = str(CHART / f"ci/{scenario}-values.yaml")
    said = helm("lint", "--strict", str(CHART), "-f", values, "--kube-version", KUBERNETES)
    assert "1 chart(s) linted, 0 chart(s) failed" in said


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_object_is_one_of_kubernetes(scenario: str, version: str) -> None:
    objects = ours(render(scenario), custom=False)
    assert len(objects) >= 3
    assert [said for one in objects if (said := complaint(one, version))] == []


def test_the_newest_schemas_at_hand_are_used() -> None:
    assert schemas().latest_version().startswith(f"{VERSIONS[-1]}.")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_custom_resource_is_what_its_operator_takes(scenario: str) -> None:
    assert crds.problems_of(ours(render(scenario), custom=True)) == []


def test_the_scenarios_have_every_kind_of_custom_resource() -> None:
    kinds = {one["kind"] for scenario in SCENARIOS for one in ours(render(scenario), custom=True)}
    assert kinds == {"PodMonitor", "ServiceMonitor", "PrometheusRule", "ScaledObject", "TriggerAuthentication"}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_bridge_takes_the_settings_as_they_lie_in_the_pod(scenario: str, tmp_path: Path) -> None:
    resources = render(scenario)
    resources.append(authorities())
    inside = Inside.of(resources, secrets_of(resources), tmp_path)
    more = {"TRIGGER_API_KEY": "tr_dev_x"} if scenario == "routes" else {}  # what `extraEnvFrom` brings
    said = inside.check(**more)
    assert "valid" in said
    for setting in values_of(scenario)["secrets"]:
        assert setting.removeprefix("routes.").split(".")[-1] in said


def authorities() -> Resource:
    """The ConfigMap that the values speak of."""
    text = (ROOT / "tests/fakes/tls/ca.pem").read_text()
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "authorities"}, "data": {"ca.crt": text}}


def values_of(scenario: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CHART / f"ci/{scenario}-values.yaml").read_text())
    return found


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_pod_keeps_to_the_restricted_standard(scenario: str) -> None:
    pods = list(pod_specs(render(scenario)))
    assert len(pods) == 2  # the bridge's, and that of `helm test`
    assert [breach for _, spec in pods for breach in breaches(spec)] == []


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_everything_is_labelled_and_selected_alike(scenario: str) -> None:
    resources = render(scenario)
    template = workload(resources)["spec"]["template"]
    selector = workload(resources)["spec"]["selector"]["matchLabels"]
    assert selector.items() <= template["metadata"]["labels"].items()
    for one in of_kind(resources, "PodDisruptionBudget", "PodMonitor", "ServiceMonitor"):
        assert one["spec"]["selector"]["matchLabels"] == selector
    for one in of_kind(resources, "NetworkPolicy"):
        (names,) = one["spec"]["podSelector"]["matchExpressions"]
        assert names["values"] == ["event-bridge", "event-bridge-check"]
    for constraint in template["spec"]["topologySpreadConstraints"]:
        assert constraint["labelSelector"]["matchLabels"] == selector
    check = only(resources, "Pod")
    assert not selector.items() <= check["metadata"]["labels"].items()


@pytest.mark.parametrize(
    ("scenario", "drain", "grace"),
    [
        ("minimal", "20s", 30),
        ("minimal", "1m30s", 100),
        ("minimal", "500ms", 11),
        ("minimal", 45, 55),
        ("routes", 90, 120),
    ],
)
def test_a_pod_is_killed_only_after_its_drain(scenario: str, drain: str | int, grace: int) -> None:
    quoted = f'"{drain}"' if isinstance(drain, str) else drain
    spec = workload(render(scenario, f"config.drain_timeout={quoted}"))["spec"]["template"]["spec"]
    assert spec["terminationGracePeriodSeconds"] == grace


def test_other_settings_make_other_pods() -> None:
    def checksum(*settings: str) -> str:
        template = workload(render("minimal", *settings))["spec"]["template"]
        return str(template["metadata"]["annotations"]["checksum/config"])

    assert checksum() == checksum()
    assert checksum() != checksum('config.source.queue="other"')


def test_the_alerts_are_ours() -> None:
    groups = only(render("rabbitmq"), "PrometheusRule")["spec"]["groups"]
    files = sorted((ROOT / "deploy/prometheus").glob("*.rules.yml"))
    shipped = [group for path in files for group in yaml.safe_load(path.read_text())["groups"]]
    assert len(shipped) > 1
    assert groups[:-1] == shipped
    assert groups[-1]["name"] == "shop"


def test_alerts_can_be_left_out() -> None:
    def names(*settings: str) -> list[str]:
        groups = only(render("rabbitmq", *settings), "PrometheusRule")["spec"]["groups"]
        return [rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule]

    everything = names()
    assert names(f'prometheusRule.disabled=["{everything[0]}"]') == everything[1:]


def test_the_dashboard_is_ours() -> None:
    (found,) = [one for one in of_kind(render("rabbitmq"), "ConfigMap") if "dashboard" in one["metadata"]["name"]]
    files = sorted((ROOT / "deploy/grafana").glob("*.json"))
    assert files
    assert found["data"] == {path.name: path.read_text() for path in files}


def test_the_suites_of_the_chart_pass() -> None:
    said = run([str(gotools.built(gotools.HELM_UNITTEST)), "--strict", str(CHART)], timeout=120)
    assert "Test Suites:" in said
    assert "failed, " not in said
