"""The guide names what there is."""

from __future__ import annotations

import re
from pathlib import Path

from bridge.core.ladder import LEVELS, LONGEST, Ladder
from bridge.rabbitmq import connection, publisher, topology
from bridge.sources.rabbitmq import RabbitMQSourceSettings
from tests.unit.markdown import ROOT, paper

GUIDE = paper("docs/rabbitmq.md")


def test_names_are_those_of_the_ladder() -> None:
    ladder = Ladder("bridge")
    named = [ladder.level(0), f".{LEVELS - 1:02d}", ladder.out, ladder.due, ladder.dead]
    assert [name for name in named if f"`{name}`" not in GUIDE.text] == []
    assert f"{LONGEST // 86_400} days" in GUIDE.text


def test_log_lines_and_settings_are_there() -> None:
    source = "".join(path.read_text("utf-8") for path in Path(ROOT, "bridge").rglob("*.py"))
    lines = set(re.findall(r"log line(?: is)?\s+`(\w+)`", GUIDE.text))
    assert len(lines) == 4
    assert {line for line in lines if f'"{line}"' not in source} == set()
    settings = set(re.findall(r"`source\.(\w+)`", GUIDE.text))
    assert settings <= RabbitMQSourceSettings.model_fields.keys()


def test_limits_are_those_of_the_code() -> None:
    assert f"within {connection.CALL_LIMIT:g} s" in GUIDE.text
    assert f"within {publisher.CONFIRM_LIMIT:g} s" in GUIDE.text
    assert topology.NEWBORN == 2
    assert "waits two seconds" in GUIDE.text
