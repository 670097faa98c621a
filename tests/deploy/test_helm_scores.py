"""kube-score's opinion of the chart, and our answer to each of its findings."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from devtools import gotools
from tests.deploy.chart import BUILDING, SCENARIOS, render, written

pytestmark = BUILDING

ALWAYS = {
    "container-image-pull-policy": "IfNotPresent: a tag is never given to another image, and a registry that is "
    "away must not keep a pod from coming back; image.pullPolicy is there for those who think otherwise",
    "container-resources": "no CPU limit: throttling makes events late and saves nothing",
}
ACCEPTED = {
    "minimal": {
        **ALWAYS,
        "pod-networkpolicy": "off unless asked for: only who installs it knows where the broker listens",
    },
    "routes": {
        **ALWAYS,
        "pod-networkpolicy": "as above",
        "deployment-replicas": "one pod, since its store is a file of one process",
    },
    "rabbitmq": {
        **ALWAYS,
        "deployment-has-host-podantiaffinity": "topologySpreadConstraints do that, and for zones too",
    },
    "kafka": {**ALWAYS, "statefulset-has-host-podantiaffinity": "topologySpreadConstraints do that"},
}
"""The findings of each scenario, with the reason why it stays as it is."""

FINE = 10
"""The grade of a check that found nothing (kube-score, scorecard.GradeAllOK)."""


def findings(manifests: str, folder: Path) -> dict[str, str]:
    """Give the checks that found something, with what they said first."""
    path = folder / "manifests.yaml"
    path.write_text(manifests)
    command = [
        str(gotools.built(gotools.KUBE_SCORE)),
        "score",
        "--kubernetes-version",
        "v1.33",
        "-o",
        "json",
        str(path),
    ]
    said = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)  # 1 with any finding
    assert said.returncode in (0, 1), said.stderr
    checks = [check for one in json.loads(said.stdout) for check in one["checks"]]
    assert len(checks) > 20
    found = [check for check in checks if not check["skipped"] and check["grade"] < FINE]
    return {check["check"]["id"]: check["comments"][0]["summary"] for check in found}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_findings_are_those_that_we_accept(scenario: str, tmp_path: Path) -> None:
    found = findings(written(render(scenario)), tmp_path)
    assert found.keys() == ACCEPTED[scenario].keys(), found


def test_a_planted_carelessness_is_found(tmp_path: Path) -> None:
    careless = render("minimal", 'securityContext={"readOnlyRootFilesystem": false}', "resources.limits.memory=null")
    found = findings(written(careless), tmp_path)
    assert found.keys() - ACCEPTED["minimal"].keys() == {"container-security-context-readonlyrootfilesystem"}
    assert "container-resources" in found
