"""Values that cannot work are refused when the chart is rendered, by name; planted errors do not slip through."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from devtools import crds
from devtools.processes import CommandError
from tests.deploy.chart import (
    BUILDING,
    CHART,
    KUBERNETES,
    breaches,
    complaint,
    helm,
    only,
    ours,
    pod_specs,
    refusal,
    render,
    workload,
)

pytestmark = BUILDING

COMBINATIONS = [
    ("minimal", ["replicas=3"], "replicas: is 3, but `config.store.type: sqlite` is of one process"),
    ("minimal", ["replicas=2", 'config.store={"type": "memory"}'], "replicas: is 2, but `config.store.type: memory`"),
    ("minimal", ["autoscaling.enabled=true"], "autoscaling.enabled: needs a store that the pods share"),
    ("rabbitmq", ["autoscaling.minReplicas=9"], "autoscaling.minReplicas: is above autoscaling.maxReplicas"),
    ("rabbitmq", ["secrets={}"], "secrets.source.url: is missing, and KEDA takes it from there"),
    ("kafka", ['config.source.sasl.mechanism="OAUTHBEARER"'], "autoscaling.authenticationRef: is needed for"),
    ("minimal", ['autoscaling.authenticationRef={"name": "x"}'], "autoscaling.authenticationRef: does nothing"),
    ("minimal", ['config.source={"type": "memory"}'], "config.source.type: memory is for trying things out"),
    ("routes", ['config.routes.orders.source={"type": "memory"}'], "config.routes.orders.source.type: memory"),
    ("minimal", ["config.admin.enabled=false"], "config.admin.enabled: the probes need the admin port"),
    ("minimal", ['config.admin.host="127.0.0.1"'], "config.admin.host: the kubelet asks from outside of the pod"),
    ("minimal", ["config.admin.port=0"], "config.admin.port: has to be known to the probes"),
    ("rabbitmq", ["serviceMonitor.enabled=true"], "serviceMonitor.enabled: podMonitor.enabled is set too"),
    ("rabbitmq", ['persistence.existingClaim="keys"'], "persistence.existingClaim: would not be used"),
    ("minimal", ["terminationGracePeriodSeconds=15"], "terminationGracePeriodSeconds: is shorter than"),
    ("minimal", ['existingSecret=""'], "existingSecret: is empty, and secrets.source.url is a key of it"),
    ("rabbitmq", ['prometheusRule.disabled=["NoSuchAlert"]'], "prometheusRule.disabled: there is no rule NoSuchAlert"),
]


@pytest.mark.parametrize(("scenario", "settings", "reason"), COMBINATIONS)
def test_what_cannot_work_is_refused_by_name(scenario: str, settings: list[str], reason: str) -> None:
    assert reason in refusal(scenario, *settings)


UNKNOWN = [
    ("replica=2", "additional properties 'replica' not allowed"),
    ('podMonitor.intervall="15s"', "at '/podMonitor': additional properties 'intervall' not allowed"),
    ('config.source.queuee="x"', "at '/config/source': additional properties 'queuee' not allowed"),
    ('config.target.http={"concurrency": "many"}', "at '/config/target/http/concurrency': got string, want integer"),
    ('config.source.type="rabbit"', "at '/config/source/type': value must be one of 'kafka', 'memory', 'rabbitmq'"),
    ('kind="DaemonSet"', "at '/kind': value must be one of 'Deployment', 'StatefulSet'"),
    ("autoscaling.minReplicas=0", "at '/autoscaling/minReplicas': minimum: got 0, want 1"),
]


@pytest.mark.parametrize(("setting", "reason"), UNKNOWN)
def test_helm_refuses_values_that_nobody_knows(setting: str, reason: str) -> None:
    assert reason in refusal("minimal", setting)


def test_more_pods_are_taken_with_a_store_that_they_share() -> None:
    shared = render("minimal", "replicas=3", 'config.store={"type": "redis", "url": "redis://redis:6379"}')
    assert workload(shared)["spec"]["replicas"] == 3
    assert workload(shared)["spec"]["strategy"]["type"] == "RollingUpdate"
    assert only(shared, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def planted(folder: Path, template: str, right: str, wrong: str) -> Path:
    """Give a copy of the chart with an error in one of its templates."""
    chart = folder / CHART.name
    shutil.copytree(CHART, chart)
    path = chart / "templates" / template
    text = path.read_text()
    assert right in text
    path.write_text(text.replace(right, wrong))
    return chart


@pytest.mark.parametrize(
    ("template", "right", "wrong"),
    [
        ("workload.yaml", "apiVersion: apps/v1", "apiVersion: apps/v1beta1"),
        ("_pod.tpl", "topologySpreadConstraints:\n    {{", "topologySpreadConstraint:\n    {{"),
        ("_pod.tpl", "automountServiceAccountToken: false", "automountServiceAccountTokn: false"),
        ("_pod.tpl", "httpGet", "httpGett"),
        ("disruption.yaml", "maxUnavailable:", "maxUnavailble:"),
        ("network.yaml", "policyTypes: [Ingress, Egress]", "policyTypes: Ingress"),
    ],
)
def test_an_error_in_a_template_is_no_object_of_kubernetes(
    template: str, right: str, wrong: str, tmp_path: Path
) -> None:
    resources = render("rabbitmq", chart=planted(tmp_path, template, right, wrong))
    assert any(complaint(one, "1.33") for one in ours(resources, custom=False))


@pytest.mark.parametrize(
    ("template", "right", "wrong"),
    [
        ("autoscaling.yaml", "pollingInterval:", "polingInterval:"),
        ("autoscaling.yaml", "minReplicaCount: {{", "minReplicaCount: about-{{"),
        ("autoscaling.yaml", "secretTargetRef:", "secretTargetReference:"),
        ("monitors.yaml", "interval: {{", "interval: every-{{"),
        ("monitors.yaml", "path: /metrics", "paths: /metrics"),
        ("rules.yaml", "  groups:", "  group:"),
    ],
)
def test_an_error_in_a_custom_resource_is_found(template: str, right: str, wrong: str, tmp_path: Path) -> None:
    resources = render("rabbitmq", chart=planted(tmp_path, template, right, wrong))
    assert crds.problems_of(ours(resources, custom=True))


def test_without_settings_it_says_where_they_belong() -> None:
    with pytest.raises(CommandError, match=r"config\.source: is missing\. Write the settings"):
        helm("template", "shop", str(CHART), "--kube-version", KUBERNETES)


@pytest.mark.parametrize(
    ("right", "wrong", "breach"),
    [
        (
            "securityContext:\n  {{- toYaml .Values.securityContext",
            "env:\n  {{- toYaml .Values.extraEnv",
            "capabilities",
        ),
        ("automountServiceAccountToken: false", "automountServiceAccountToken: true", "automountServiceAccountToken"),
        ("persistentVolumeClaim:", "hostPath: {path: /var}\n      persistentVolumeClaim:", "hostPath"),
    ],
)
def test_a_pod_that_is_not_restricted_is_found_out(right: str, wrong: str, breach: str, tmp_path: Path) -> None:
    pods = pod_specs(render("minimal", chart=planted(tmp_path, "_pod.tpl", right, wrong)))
    assert any(found.endswith(breach) for _, spec in pods for found in breaches(spec))
