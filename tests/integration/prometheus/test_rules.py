"""The rules for Prometheus pass promtool's checks and their own tests, and a real Prometheus takes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from devtools.processes import CommandError
from devtools.prometheus import Prometheus, promtool
from tests.unit.rules import FILE, FOLDER, RULES, TESTS

pytestmark = pytest.mark.usefixtures("prometheus_programs")


def test_nothing_is_wrong_with_them() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", FILE)


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_alerts_fire_and_stay_silent(path: Path) -> None:
    promtool("test", "rules", path)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        pytest.param(
            "increase(bridge_worker_restarts_total[15m])) > 3", "bridge_worker_restarts_total) > 5", id="figure"
        ),
        pytest.param("bridge_faults_total", "bridge_fault_total", id="name"),
        pytest.param("for: 5m", "for: 6m", id="patience"),
    ],
)
def test_an_error_in_a_rule_is_found_out(tmp_path: Path, right: str, wrong: str) -> None:
    text = FILE.read_text("utf-8")
    assert right in text
    (tmp_path / "tests").mkdir()
    (tmp_path / FILE.name).write_text(text.replace(right, wrong))
    copy = tmp_path / "tests" / "process.test.yml"
    copy.write_text((FOLDER / "tests" / "process.test.yml").read_text("utf-8"))
    with pytest.raises(CommandError, match="FAILED"):
        promtool("test", "rules", copy)


def test_a_server_takes_them() -> None:
    with Prometheus(rules=[FILE]) as server:
        groups = server.ask("rules")["groups"]
    assert sum(len(group["rules"]) for group in groups) == len(RULES)
