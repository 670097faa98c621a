"""Every alert has its tests, its page and its words, and the pages ask for what is there."""

from __future__ import annotations

import re
from typing import Any

import pytest

from bridge.telemetry import metrics as telemetry
from tests.unit.markdown import ROOT, Paper, paper, papers, ticked
from tests.unit.rules import ALERTS, FILE, RECORDS, RULES, TESTS, cases, metrics, recorded
from tests.unit.test_docs_metrics import METRICS, OF_WORKERS

NAMES = [rule["alert"] for rule in ALERTS]
PAGES = [one for one in papers() if one.name.startswith("docs/runbooks/") and not one.name.endswith("README.md")]
GUIDES = [*PAGES, paper("docs/tuning.md"), paper("docs/upgrading.md")]
SECTIONS = ["What it means", "Is anything lost", "How to look", "How to mend", "When to wait"]

KNOWN = {**METRICS, **OF_WORKERS}

DEAD_LETTERING = {
    f"rabbitmq_global_messages_dead_lettered_{what}_total": {"dead_letter_strategy", "queue_type"}
    for what in ("expired", "confirmed")
}
"""RabbitMQ's own, as its exporter shows them on 3.10 and 4.0; see `prometheus/test_frozen_level.py`."""

OTHERS = {"process_start_time_seconds", "process_resident_memory_bytes", "process_cpu_seconds_total", "up"}

SCRAPED = {"namespace", "job", "instance"}

HEALTHY = "A bridge that delivers has no alert"


def _told() -> dict[str, tuple[bool, bool, bool]]:
    """For each alert: whether a test makes it fire, one keeps it silent, and it is asked for in the healthy one."""
    fires: set[tuple[str, str]] = set()
    silent: set[tuple[str, str]] = set()
    healthy: set[tuple[str, str]] = set()
    for case in (case for path in TESTS for case in cases(path)):
        for check in case["alert_rule_test"]:
            where = healthy if case["name"] == HEALTHY else fires if check["exp_alerts"] else silent
            where.add((check["alertname"], case["name"]))
    near = {name for name, title in silent if " is silent " in title}
    return {
        name: (name in {each for each, _ in fires}, name in near, name in {each for each, _ in healthy})
        for name in NAMES
    }


@pytest.mark.parametrize("alert", NAMES)
def test_an_alert_is_seen_firing_and_silent_at_a_near_miss_and_in_health(alert: str) -> None:
    assert _told()[alert] == (True, True, True)


def test_tests_are_of_alerts_that_are_there() -> None:
    asked = {check["alertname"] for path in TESTS for case in cases(path) for check in case["alert_rule_test"]}
    assert asked == {*NAMES}


def test_each_file_of_tests_is_of_these_rules() -> None:
    for path in TESTS:
        assert "rule_files: [../event-bridge.rules.yml]" in path.read_text("utf-8")


def test_alert_names_are_unique() -> None:
    assert len({*NAMES}) == len(NAMES)


@pytest.mark.parametrize("rule", ALERTS, ids=NAMES)
def test_an_alert_says_how_bad_it_is_and_what_it_means(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert len(rule["annotations"]["summary"]) > 20
    assert metrics(rule["expr"]) | recorded(rule["expr"])


@pytest.mark.parametrize("rule", ALERTS, ids=NAMES)
def test_an_alert_says_what_and_how_much_and_where_to_read_on(rule: dict[str, Any]) -> None:
    notes = rule["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url"}
    assert notes["runbook_url"] == f"docs/runbooks/{rule['alert']}.md"
    assert "{{" not in notes["summary"], "it stands for all instances of the alert"
    assert rule["alert"] == "BridgeGone" or re.search(r"\{\{ \$(value|labels\.)", notes["description"])


def test_labels_that_a_description_names_are_those_of_its_alert() -> None:
    for rule in ALERTS:
        named = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["description"]))
        grouped = {label.strip() for group in re.findall(r"by \(([^)]*)\)", rule["expr"]) for label in group.split(",")}
        if "by (" in rule["expr"]:
            assert named <= grouped | {"route"}, rule["alert"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_asks_for_metrics_and_labels_that_are_there(rule: dict[str, Any]) -> None:
    known = {**KNOWN, **DEAD_LETTERING}
    assert _unknown(rule["expr"], known) == set()
    assert recorded(rule["expr"]) <= RECORDS
    grouped = {
        label.strip() for group in re.findall(r"(?:by|on) \(([^)]*)\)", rule["expr"]) for label in group.split(",")
    }
    names = {_base(name) for name in metrics(rule["expr"])}
    assert grouped - {""} <= SCRAPED | {"route", "le"}.union(*(known[name] for name in names))
    for name, selector in re.findall(r"\b((?:bridge|rabbitmq)_\w+)\{([^}]*)\}", rule["expr"]):
        assert set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector)) <= {*known[_base(name)]}


def _unknown(expression: str, known: dict[str, Any]) -> set[str]:
    return {name for name in metrics(expression) if _base(name) not in known}


def _base(name: str) -> str:
    ends = (name.removesuffix(end) for end in ("_bucket", "_sum", "_count"))
    return next((base for base in ends if base != name and base in KNOWN), name)


def test_the_label_values_that_rules_choose_are_there() -> None:
    text = FILE.read_text("utf-8")
    outcomes = {value for each in re.findall(r'outcome(?:=~|!=|=)"([^"]*)"', text) for value in each.split("|")}
    assert outcomes
    assert outcomes <= {*telemetry.OUTCOMES}


def test_every_record_is_asked_for() -> None:
    asked = set().union(*(recorded(rule["expr"]) for rule in RULES))
    assert asked == RECORDS


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    assert sorted(one.path.stem for one in PAGES) == sorted(NAMES)


@pytest.mark.parametrize("one", PAGES, ids=lambda one: one.path.stem)
def test_a_page_answers_the_five_questions(one: Paper) -> None:
    assert one.text.startswith(f"# {one.path.stem}\n")
    assert re.findall(r"^## (.+)$", one.text, re.MULTILINE) == SECTIONS
    assert all(len(part.strip()) > 2 for part in re.split(r"^## .+$", one.text, flags=re.MULTILINE)[1:])


@pytest.mark.parametrize("one", PAGES, ids=lambda one: one.path.stem)
def test_a_page_asks_for_metrics_and_log_lines_that_are_there(one: Paper) -> None:
    fences = [fence for fence in one.fences if fence.language == "promql"]
    known = {**KNOWN, **dict.fromkeys(OTHERS, frozenset[str]())}
    for fence in fences:
        assert _unknown(fence.text, known) == set()
        assert recorded(fence.text) <= RECORDS
    source = "".join(path.read_text("utf-8") for path in (ROOT / "bridge").rglob("*.py"))
    lines = {
        event for told in re.findall(r"log lines? (`\w+`(?:(?:,| and| or) `\w+`)*)", one.text) for event in ticked(told)
    }
    assert {event for event in lines if f'"{event}"' not in source} == set()


def test_commands_on_pages_say_who_runs_them() -> None:
    marks = {(fence.language, fence.mark) for one in PAGES for fence in one.fences}
    assert marks == {("sh", "broker"), ("promql", "")}


@pytest.mark.parametrize("one", GUIDES, ids=lambda one: one.path.stem)
def test_settings_that_a_page_names_are_there(one: Paper) -> None:
    told = {name for row in _rows(paper("docs/configuration.md")) for name in ticked(row)}
    named = {name for name in ticked(one.prose) if re.fullmatch(SETTING, name)}
    assert {
        name for name in named if name not in told and not any(each.startswith(f"{name}.") for each in told)
    } == set()


SETTING = r"(source|target|limits|dedup|timing|store|retry|delay|dead_letters|ordering|breaker|admin|filter)\.[a-z_.]+"


def _rows(one: Paper) -> list[str]:
    return [line.split("|")[1] for line in one.prose.splitlines() if line.startswith("| `")]


def test_the_operations_page_lists_every_alert_as_bad_as_it_is() -> None:
    rows = paper("docs/operations.md").table("alert")
    told = {re.sub(r"\[(\w+)\].*", r"\1", row[0]): row[1] for row in rows}
    assert told == {rule["alert"]: rule["labels"]["severity"] for rule in ALERTS}
    assert {row[0] for row in rows} == {f"[{name}](runbooks/{name}.md)" for name in NAMES}
