"""The private Prometheus of the tests: it scrapes, answers and alerts, and promtool finds fault."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from devtools.processes import CommandError, wait_until
from devtools.prometheus import Prometheus, promtool, target

pytestmark = pytest.mark.usefixtures("prometheus_programs")

PATIENCE = 60.0

RULES = """
groups:
  - name: own
    rules:
      - {alert: Scraped, expr: up == 1, labels: {severity: warning}, annotations: {summary: "it is {{ $value }}"}}
      - {alert: Waiting, expr: up == 1, for: 1h}
      - {alert: Silent, expr: up == 0}
"""


def test_it_scrapes_answers_and_alerts(tmp_path: Path) -> None:
    rules = tmp_path / "own.rules.yml"
    rules.write_text(RULES)
    began = time.time()
    with Prometheus(rules=[rules]) as idle:
        assert idle.query("vector(2) + 1")[0].value == idle.query("scalar(vector(3))")[0].value == 3
        with Prometheus([target("other", f"127.0.0.1:{idle.port}")], rules=[rules]) as server:
            wait_until(lambda: len(server.alerts()) == 2, within=PATIENCE, what="both alerts")
            assert server.healthy_targets() == 1
            (sample,) = server.query("up")
            assert sample.labels["job"] == "other"
            wait_until(
                lambda: bool(server.query_range("up", start=began, end=time.time())), within=PATIENCE, what="a past"
            )
            (series, *_) = server.query_range("up", start=began, end=time.time())
            assert {value for _, value in series.points} == {1.0}
            assert {alert.name: alert.state for alert in server.alerts()} == {"Scraped": "firing", "Waiting": "pending"}
            (scraped,) = (alert for alert in server.alerts() if alert.name == "Scraped")
            assert scraped.annotations == {"summary": "it is 1"}
    assert not server.running
    assert not server.settings.exists()


def test_it_says_what_is_wrong_with_a_question() -> None:
    with Prometheus() as server, pytest.raises(CommandError, match="parse error"):
        server.query("sum(")


def test_promtool_finds_fault_with_rules(tmp_path: Path) -> None:
    rules = tmp_path / "bad.rules.yml"
    rules.write_text("groups: [{name: bad, rules: [{alert: Bad, expr: 'sum('}]}]")
    with pytest.raises(CommandError, match="could not parse expression"):
        promtool("check", "rules", rules)


def test_a_server_whose_rules_are_wrong_does_not_start(tmp_path: Path) -> None:
    rules = tmp_path / "bad.rules.yml"
    rules.write_text("groups: [{name: bad, rules: [{alert: Bad, expr: 'sum('}]}]")
    server = Prometheus(rules=[rules])
    with pytest.raises(CommandError, match="could not parse expression"):
        server.start()
    server.close()
