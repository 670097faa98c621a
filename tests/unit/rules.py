"""Reads the rules for Prometheus and their tests."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from tests.unit.markdown import ROOT

FOLDER = ROOT / "deploy" / "prometheus"
FILE = FOLDER / "event-bridge.rules.yml"
TESTS = sorted((FOLDER / "tests").glob("*.yml"))

GROUPS: list[dict[str, Any]] = yaml.safe_load(FILE.read_text("utf-8"))["groups"]
RULES: list[dict[str, Any]] = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]
RECORDS = {rule["record"] for rule in RULES if "record" in rule}

_NAME = re.compile(r"[a-zA-Z_:][\w:]*")


def cases(path: Path) -> list[dict[str, Any]]:
    """The tests in a file for promtool."""
    found: list[dict[str, Any]] = yaml.safe_load(path.read_text("utf-8"))["tests"]
    return found


def metrics(expression: str) -> set[str]:
    """The names of ours and of RabbitMQ's that an expression asks for, without what the rules record."""
    bare = re.sub(r"\"[^\"]*\"", '""', expression)
    found = {name for name in _NAME.findall(bare) if ":" in name or name.startswith(("bridge_", "rabbitmq_"))}
    return found - RECORDS


def recorded(expression: str) -> set[str]:
    """The names with a colon that an expression asks for: those of records."""
    return {name for name in _NAME.findall(re.sub(r"\"[^\"]*\"", '""', expression)) if ":" in name}
