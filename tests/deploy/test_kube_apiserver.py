"""The chart and the kustomize bases on a real API server: `./dev deploy-test --kube-apiserver`."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import pytest
import yaml

from devtools.kube_apiserver import ApiServer
from devtools.processes import CommandError
from tests.deploy import kustomized
from tests.deploy.chart import BUILDING, CHART, SCENARIOS, Resource, of_kind, only, render, workload
from tests.deploy.cluster import RELEASE, Namespace, differences, pods_of, restricted
from tests.unit.markdown import paper

pytestmark = BUILDING

SHOP: Resource = yaml.safe_load(paper("docs/quickstart.md").marked("shop").text)

ALONE = {
    "runAsNonRoot": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""What a container needs to keep to the restricted standard by itself."""


@pytest.fixture
def namespace(cluster: ApiServer, unique: str) -> Namespace:
    return restricted(cluster, unique)


def settings_of(namespace: Namespace) -> tuple[str, str]:
    """The settings file as it is stored, and the sum of it that makes new pods."""
    released = namespace.released()
    template = namespace.there(workload(released))["spec"]["template"]
    (settings,) = [one for one in of_kind(released, "ConfigMap") if "event-bridge.yaml" in one["data"]]
    return namespace.there(settings)["data"]["event-bridge.yaml"], template["metadata"]["annotations"][
        "checksum/config"
    ]


def identity(namespace: Namespace, resource: Resource) -> tuple[str, int | None]:
    """What another object, or another specification of the same, would have another one of."""
    metadata = namespace.there(resource)["metadata"]
    return metadata["uid"], metadata.get("generation")


def leaving(namespace: Namespace, resource: Resource) -> bool:
    """Whether an object is gone, or on its way."""
    stored = namespace.stored(resource)
    return stored is None or "deletionTimestamp" in stored["metadata"]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_all_that_is_installed_is_there_as_it_was_sent(namespace: Namespace, scenario: str) -> None:
    namespace.install(scenario)
    released = namespace.released()
    rendered = [
        one for one in render(scenario) if one["kind"] != "Pod"
    ]  # that of `helm test` comes when it is asked for
    assert sorted(names(released)) == sorted(names(rendered))
    assert [said for one in released for said in differences(one, namespace.stored(one), one["kind"])] == []


def names(resources: list[Resource]) -> list[tuple[str, str]]:
    return [(one["kind"], one["metadata"]["name"]) for one in resources]


def test_what_the_server_would_drop_or_change_is_seen() -> None:
    sent = {"kind": "Service", "spec": {"ports": [{"port": 80, "prot": "TCP"}], "type": "NodePort"}}
    stored = {"kind": "Service", "spec": {"ports": [{"port": 80, "nodePort": 1}], "type": "ClusterIP"}, "status": {}}
    assert list(differences(sent, stored)) == [
        ".spec.ports[0].prot: 'TCP' was sent, None is there",
        ".spec.type: 'NodePort' was sent, 'ClusterIP' is there",
    ]
    assert list(differences([1], [1, 2])) != []
    assert list(differences(sent, None)) != []


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_its_pods_are_admitted(namespace: Namespace, scenario: str) -> None:
    namespace.install(scenario)
    pods = list(pods_of([*namespace.released(), only(render(scenario), "Pod")]))
    assert len(pods) == 2  # the bridge's, and that of `helm test`
    for pod in pods:
        answer = namespace.ask(pod)
        assert (answer.status, answer.reason, answer.warnings) == (201, "", [])
    assert [namespace.apply(one).warnings for one in of_kind(namespace.released(), "Deployment", "StatefulSet")] == [[]]


RIGHTS = [
    ('securityContext={"privileged": true, "allowPrivilegeEscalation": true}', "privileged"),
    ("securityContext.allowPrivilegeEscalation=true", "allowPrivilegeEscalation != false"),
    ('securityContext.capabilities={"drop": [], "add": ["NET_ADMIN"]}', "unrestricted capabilities"),
    ("podSecurityContext.runAsUser=0", "runAsUser=0"),
    ("podSecurityContext.runAsNonRoot=false", "runAsNonRoot != true"),
    ('podSecurityContext.seccompProfile={"type": "Unconfined"}', "seccompProfile"),
    ('extraVolumes=[{"name": "node", "hostPath": {"path": "/"}}]', "restricted volume types"),
]


@pytest.mark.parametrize(("setting", "breach"), RIGHTS, ids=[breach for _, breach in RIGHTS])
def test_a_right_too_many_is_refused(namespace: Namespace, setting: str, breach: str) -> None:
    namespace.install("minimal", setting, "securityContext.readOnlyRootFilesystem=false")
    (pod,) = pods_of(namespace.released())
    answer = namespace.ask(pod)
    assert answer.status == 403
    assert 'violates PodSecurity "restricted:latest"' in answer.reason
    assert breach in answer.reason
    (warning,) = namespace.apply(workload(namespace.released())).warnings
    assert breach in warning


def test_what_schemas_let_through_the_server_refuses(namespace: Namespace) -> None:
    ports = 'extraContainers=[{"name": "x", "image": "x", "ports": [{"containerPort": 99999}]}]'
    with pytest.raises(CommandError, match="must be between 1 and 65535"):
        namespace.install("minimal", ports)


def test_an_upgrade_brings_other_settings_and_a_rollback_the_old_ones(namespace: Namespace) -> None:
    namespace.install("minimal")
    before, sum_before = settings_of(namespace)
    volume = identity(namespace, only(namespace.released(), "PersistentVolumeClaim"))
    namespace.install("minimal", 'config.source.queue="other"', verb="upgrade")
    after, sum_after = settings_of(namespace)
    assert (yaml.safe_load(before)["source"]["queue"], yaml.safe_load(after)["source"]["queue"]) == ("events", "other")
    assert sum_after != sum_before
    namespace.helm("rollback", RELEASE, "1")
    assert settings_of(namespace) == (before, sum_before)
    assert identity(namespace, only(namespace.released(), "PersistentVolumeClaim")) == volume
    assert [entry["status"] for entry in yaml.safe_load(namespace.helm("history", RELEASE, "-o", "json"))] == [
        "superseded",
        "superseded",
        "deployed",
    ]


def test_an_upgrade_from_one_pod_to_many_is_taken(namespace: Namespace) -> None:
    namespace.install("minimal")
    many = ["replicas=3", 'config.store={"type": "redis", "url": "redis://redis:6379/0"}']
    volume = only(namespace.released(), "PersistentVolumeClaim")
    namespace.install("minimal", *many, verb="upgrade")
    spec = namespace.there(workload(namespace.released()))["spec"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (3, "RollingUpdate")
    assert not leaving(namespace, volume)


@pytest.mark.parametrize("scenario", ["minimal", "kafka"])
def test_a_new_version_of_the_chart_restarts_nothing_by_itself(
    namespace: Namespace, scenario: str, tmp_path: Path
) -> None:
    namespace.install(scenario)
    before = identity(namespace, workload(namespace.released()))
    newer = shutil.copytree(CHART, tmp_path / "event-bridge")
    chart = yaml.safe_load((newer / "Chart.yaml").read_text())
    (newer / "Chart.yaml").write_text(yaml.safe_dump({**chart, "version": "9.9.9"}))
    namespace.install(scenario, verb="upgrade", chart=str(newer))
    released = workload(namespace.released())
    assert "9.9.9" in released["metadata"]["labels"]["helm.sh/chart"]
    assert identity(namespace, released) == before


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_an_uninstallation_leaves_the_volume_alone(namespace: Namespace, scenario: str) -> None:
    namespace.install(scenario)
    released = namespace.released()
    namespace.helm("uninstall", RELEASE)
    left = [one["kind"] for one in released if not leaving(namespace, one)]
    assert left == (["PersistentVolumeClaim"] if scenario == "minimal" else [])


def test_a_volume_that_is_not_to_be_kept_goes_too(namespace: Namespace) -> None:
    namespace.install("minimal", "persistence.keep=false")
    volume = only(namespace.released(), "PersistentVolumeClaim")
    namespace.helm("uninstall", RELEASE)
    assert leaving(namespace, volume)  # a controller, which is not here, takes it away once no pod uses it


def test_a_new_release_takes_the_volume_up_again(namespace: Namespace) -> None:
    namespace.install("minimal")
    volume = only(namespace.released(), "PersistentVolumeClaim")
    kept = identity(namespace, volume)
    namespace.helm("uninstall", RELEASE)
    namespace.install("minimal", f'persistence.existingClaim="{volume["metadata"]["name"]}"')
    assert of_kind(namespace.released(), "PersistentVolumeClaim") == []
    assert identity(namespace, volume) == kept


def test_the_base_of_a_deployment_is_taken(namespace: Namespace) -> None:
    base = kustomized.deployment()
    for resource in base:
        answer = namespace.apply(resource)
        assert (answer.status, answer.reason, answer.warnings) == (201, "", [])
    account = only(base, "ServiceAccount")
    assert namespace.server.call("POST", namespace.server.path_of(account, namespace.name), account).status == 201
    (pod,) = pods_of(base)
    answer = namespace.ask(pod)
    assert (answer.status, answer.reason, answer.warnings) == (201, "", [])


def test_the_sidecar_is_admitted_beside_an_application_that_keeps_to_the_standard(namespace: Namespace) -> None:
    together = kustomized.beside(SHOP)
    (pod,) = pods_of([together])
    careless = namespace.ask(pod)
    assert careless.status == 403
    assert '"shop"' in careless.reason
    assert '"event-bridge"' not in careless.reason
    (shop,) = together["spec"]["template"]["spec"]["containers"]
    shop["securityContext"] = ALONE
    for answer in (namespace.ask(pod), namespace.apply(together)):
        assert (answer.status, answer.reason, answer.warnings) == (201, "", [])


def test_a_misspelt_field_of_a_base_is_refused(namespace: Namespace) -> None:
    wrong = copy.deepcopy(kustomized.beside(SHOP))
    sidecar = wrong["spec"]["template"]["spec"]["initContainers"][0]
    sidecar["restartPolicyy"] = sidecar.pop("restartPolicy")
    assert "restartPolicyy" in namespace.apply(wrong).reason
