"""The chart's values: each is documented, used and checked, and what is generated is up to date. Without Helm."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator  # type: ignore[import-untyped]

from bridge import __version__
from devtools import chart
from tests.unit.markdown import ROOT

CHART = ROOT / chart.CHART
SCENARIOS = sorted((CHART / "ci").glob("*-values.yaml"))


@cache
def _defaults() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
    return found


@cache
def _validator() -> Draft7Validator:
    schema = json.loads((CHART / "values.schema.json").read_text())
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


def _paths(tree: Any, prefix: str = "") -> Iterator[str]:
    """All leaves; a mapping with free names, such as labels, is one."""
    for name, value in tree.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict) and value and path not in documented():
            yield from _paths(value, f"{path}.")
        else:
            yield path


@cache
def documented() -> frozenset[str]:
    return frozenset(value.path for value in chart.values())


@cache
def _templates() -> str:
    return "\n".join(path.read_text() for path in sorted((CHART / "templates").rglob("*.*")))


def test_what_is_generated_is_up_to_date() -> None:
    stale = [
        str(path.relative_to(ROOT))
        for path, text in chart.files().items()
        if not path.exists() or path.read_text() != text
    ]
    assert stale == [], "run `python -m devtools.chart`"


def test_the_chart_carries_nothing_that_is_gone() -> None:
    made = chart.files().keys()
    carried = [path for path in (CHART / "files").rglob("*") if path.is_file()]
    assert set(carried) <= made


def test_every_value_has_a_comment() -> None:
    assert set(_paths(_defaults())) == documented()


@pytest.mark.parametrize("path", sorted(documented()))
def test_every_value_is_used(path: str) -> None:
    section, _, name = path.partition(".")
    spellings = [rf"\.Values\.{re.escape(path)}\b"]
    if section in ("podMonitor", "serviceMonitor"):
        spellings.append(rf"\$monitor\.{name}\b")
    if section == "probes":
        spellings.append(rf'"{name}" "/(livez|readyz)"')
    if path.startswith("networkPolicy.egress."):
        leaf = path.rpartition(".")[2]
        spellings += [rf"\$egress\.{leaf}\b", rf'"{leaf}" \${leaf}\b']
    assert re.search("|".join(spellings), _templates()), f"{path} does nothing"


def test_every_value_that_a_template_reads_is_there() -> None:
    used = set(re.findall(r"\.Values\.([\w.]*\w)", _templates()))
    known = {path[: match.start()] for path in documented() for match in re.finditer(r"\.|$", path)}
    assert {path for path in used if path not in known and path.split(".")[0] != "config"} == set()


def test_the_schema_knows_just_the_values_there_are() -> None:
    properties = set(_validator().schema["properties"]) - {"global"}  # which Helm itself may add
    assert properties == _defaults().keys()


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.name)
def test_the_schema_takes_each_scenario(path: Any) -> None:
    values = yaml.safe_load(path.read_text())
    assert [error.message for error in _validator().iter_errors(_defaults() | values)] == []


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"replica": 2}, "'replica' was unexpected"),
        ({"image": {"repo": "x"}}, "'repo' was unexpected"),
        ({"image": {"digest": "sha256:12"}}, "does not match"),
        ({"autoscaling": {"minReplicas": 0}}, "less than the minimum"),
        ({"autoscaling": {"polling": 1}}, "'polling' was unexpected"),
        ({"podMonitor": {"interval": "fifteen"}}, "does not match"),
        ({"persistence": {"accessModes": ["ReadWriteMany"]}}, "is not one of"),
        ({"networkPolicy": {"egress": {"brokers": {}}}}, "'brokers' was unexpected"),
        ({"secrets": {"source.url": {"name": "x"}}}, "'key' is a required property"),
        ({"secrets": {"url": "key"}}, "does not match"),
        ({"podLabels": {"a": 1}}, "is not of type 'string'"),
        ({"config": {"sourc": {}}}, "'sourc' does not match"),
        ({"config": {"source": {"type": "rabbitmq", "queuee": "x"}}}, "'queuee' was unexpected"),
        ({"config": {"target": {"type": "inngest", "max_batch": "many"}}}, "'many' is not of type 'integer'"),
        ({"config": {"naming": False}}, "is not one of"),
        ({"terminationGracePeriodSeconds": "30s"}, "is not of type"),
    ],
)
def test_the_schema_refuses(values: dict[str, Any], complaint: str) -> None:
    errors = list(_validator().iter_errors(values))
    assert any(complaint in found.message for error in errors for found in [error, *(error.context or [])])


def test_the_version_is_that_of_the_bridge() -> None:
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert about["appVersion"] == __version__


def test_the_table_is_read_from_the_comments() -> None:
    values = {value.path: value for value in chart.values()}
    assert values["persistence.size"].default == '"2Gi"'
    assert values["replicas"].description.startswith("Pods, where")
    assert "`replicas`" in (CHART / "README.md").read_text()
