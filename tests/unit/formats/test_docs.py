"""Every example of the guide page is read by the bridge as the page says."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path
from typing import get_args

import pytest
import yaml

from bridge.core.due import after_delay
from bridge.formats import FormatName, build_format
from bridge.formats.raw import RawSettings
from bridge.model import Envelope
from tests.unit.formats.reading import NOW, delivery, read_all, refusal

PAGE = (Path(__file__).parents[3] / "docs" / "formats.md").read_text()
EXAMPLES = re.findall(r"```json format=(\w+)\n(.*?)```", PAGE, re.DOTALL)
DELAYS = re.findall(r"^\| `([^`]+)` \| ([\d.]+) s \|$", PAGE, re.MULTILINE)
REFUSED = re.findall(r"^\| `(\{\"[^`]+)` \| (.+) \|$", PAGE[PAGE.index("## What is refused") :], re.MULTILINE)
OPTIONS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_every_shape_has_an_example() -> None:
    assert {name for name, _ in EXAMPLES} == set(get_args(FormatName)) - {"auto"}
    assert all(f"### {name}: " in PAGE for name, _ in EXAMPLES)


@pytest.mark.parametrize(("name", "body"), EXAMPLES)
def test_an_example_is_read_by_its_format_and_found_by_auto(name: FormatName, body: str) -> None:
    headers = {"x-event-name": "some.thing"} if name == "raw" else {}
    events = read_all(body.encode(), name, headers)
    assert all(isinstance(event, Envelope) for event in events)
    assert read_all(body.encode(), "auto", headers) == events


def test_there_are_delays_and_refusals_to_check() -> None:
    assert len(DELAYS) >= 9
    assert len(REFUSED) >= 11


@pytest.mark.parametrize(("delay", "seconds"), DELAYS)
def test_a_delay_waits_as_long_as_the_page_says(delay: str, seconds: str) -> None:
    assert after_delay(json.loads(delay), NOW, "delay") == NOW + Fraction(seconds) * 1000


@pytest.mark.parametrize(("body", "reason"), REFUSED)
def test_a_refusal_reads_as_the_page_says(body: str, reason: str) -> None:
    assert refusal(body.encode()) == reason


def test_the_settings_shown_are_settings() -> None:
    bare, written_out = (yaml.safe_load(text)["format"] for text in OPTIONS)
    assert bare == "auto"
    settings = RawSettings(**written_out)
    (event,) = build_format(settings).decode(delivery({}), NOW)
    assert isinstance(event, Envelope)
    assert event.name == "legacy.event"
