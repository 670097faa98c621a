"""The tables of the papers say what the code says."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any, get_args

import pytest
from pydantic import BaseModel, TypeAdapter

from bridge.apis import HttpSettings, TargetSettings
from bridge.cli import main as cli
from bridge.formats import FormatName, FormatSettings, build_format, envelope
from bridge.model import Delivery, Envelope
from bridge.settings.tree import Route, Settings
from bridge.units import octets, seconds
from tests.unit.markdown import ROOT, paper, ticked

NOW = 1_763_690_000_000
DAY_MS = 86_400_000
README = paper("README.md")

FORMATS = README.table("format")
TARGETS = README.table("target")
LIMITS = [row for row in README.table("") if len(row) == 3]

MINIMAL: dict[str, dict[str, Any]] = {
    "`trigger`, version v1": {"type": "trigger", "version": "v1", "key": "k"},
    "`trigger`, version v2": {"type": "trigger", "version": "v2", "key": "k"},
    "`trigger`, version tasks": {"type": "trigger", "version": "tasks", "key": "k"},
    "`inngest`": {"type": "inngest", "key": "k"},
    "`zopio`": {"type": "zopio"},
    "`webhook`": {"type": "webhook"},
    "`cloudevents`": {"type": "cloudevents"},
}


def test_every_format_has_a_row() -> None:
    named = {name for row in FORMATS for name in ticked(row[0])}
    assert named | {"auto"} == set(get_args(FormatName))


@pytest.mark.parametrize("row", [row for row in FORMATS if ticked(row[1])[0][0] in "[{"], ids=lambda row: row[1])
@pytest.mark.parametrize("by_name", [False, True], ids=["auto", "by-name"])
def test_every_body_is_read_as_its_row_says(row: list[str], by_name: bool) -> None:
    (body,) = ticked(row[1])
    settings: FormatSettings = TypeAdapter(FormatSettings).validate_python(ticked(row[0])[0] if by_name else "auto")
    decoded = build_format(settings).decode(Delivery(body=body.encode()), NOW)
    names = [event.name for event in decoded if isinstance(event, Envelope)]
    assert names[0] == "user.created"
    assert len(names) == (len(json.loads(body)) if body.startswith("[") else 1)
    first = decoded[0]
    assert isinstance(first, Envelope)
    assert (first.due_at is not None and first.due_at >= NOW + 300_000) is ("delay" in body or "deliver" in body)


def test_every_target_has_a_row() -> None:
    named = {name for row in TARGETS for name in ticked(row[0])[:1]}
    assert named == {
        get_args(model.model_fields["type"].annotation)[0] for model in (*get_args(HttpSettings), _memory())
    }


def _memory() -> type[BaseModel]:
    return type(TypeAdapter(TargetSettings).validate_python({"type": "memory"}))


@pytest.mark.parametrize("row", [row for row in TARGETS if row[0] in MINIMAL], ids=lambda row: row[0])
def test_a_target_holds_and_remembers_as_its_row_says(row: list[str]) -> None:
    settings: Any = TypeAdapter(TargetSettings).validate_python({**MINIMAL[row[0]], "url": "http://127.0.0.1:1"})
    api = settings.build_api()
    held = re.search(r"up to (\d+) d", row[1])
    assert api.max_delay_ms == (int(held[1]) * DAY_MS if held else 0)
    assert api.dedups_by_id is not row[2].startswith("no")
    assert api.batch_limit == int(row[3].split(", or")[0].replace(",", ""))


def test_every_http_target_row_was_looked_at() -> None:
    assert {row[0] for row in TARGETS} == {*MINIMAL, "`memory`"}


def test_the_exit_codes_are_those_of_the_command_line() -> None:
    told = {int(row[0]) for row in README.table("exit code")}
    argparse_and_interrupt = {2, 130}
    assert told == {cli.OK, cli.FAULT, cli.CONFIG} | argparse_and_interrupt


@pytest.mark.parametrize("row", LIMITS, ids=lambda row: row[0])
def test_a_limit_is_what_the_settings_have(row: list[str]) -> None:
    told = [_number(value) for value in row[1].split(", ")]
    assert told == [_default(path) for path in ticked(row[2])]


def _number(text: str) -> float:
    if re.fullmatch(r"[\d,]+", text):
        return int(text.replace(",", ""))
    return float(str(octets(text) if text.endswith("iB") else seconds(text)))


def _default(path: str) -> float:
    part, name = path.split(".")
    owner = Route if part in Route.model_fields else Settings
    value: float = getattr(owner.model_fields[part].default, name)
    return value


def test_the_commands_of_dev_are_those_it_offers() -> None:
    offered = subprocess.run(["./dev", "help"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    verbs = set(re.findall(r"^  ([\w-]+) .*  \w", offered, re.MULTILINE))
    lines = [line for name in ("README.md", "CONTRIBUTING.md") for line in paper(name).marked("dev").lines]
    used = {line.split()[1] for line in lines}
    assert {"demo", "test"} <= used <= verbs
    assert used | {"help"} == verbs


def test_the_envelope_of_a_single_event_is_read_by_auto_as_the_runbook_says() -> None:
    event = Envelope(id="e1", name="user.created", data={"n": 1}, user={"id": 7}, ts=NOW, v="2")
    (read,) = build_format("auto").decode(Delivery(body=envelope.encode(event)), NOW)
    assert read == event
