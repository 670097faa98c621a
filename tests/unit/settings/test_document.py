"""The reference page and the JSON schema say what the settings are, today."""

import json
import re
from pathlib import Path

import pytest

from bridge.settings.document import duration, reference, size
from bridge.settings.load import root_place
from bridge.settings.schema import as_json, schema
from bridge.units import octets, seconds

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "configuration.md"


def test_the_page_is_current() -> None:
    _, _, written = PAGE.read_text().partition(
        "<!-- What follows is written by `event-bridge schema --markdown`. -->\n\n"
    )
    assert written == reference(), "write it again: event-bridge schema --markdown"


def test_the_schema_is_current() -> None:
    assert (ROOT / "config" / "schema.json").read_text() == as_json(), "write it again: event-bridge schema"


def test_the_reference_has_every_setting() -> None:
    rows = set(re.findall(r"^\| `([^`]+)` \|", reference(), re.MULTILINE))
    trails = {trail for trail, _ in root_place().walk() if "*" not in trail and trail[0] != "routes"}
    assert rows == {".".join(trail) for trail in trails}


def test_every_object_of_the_schema_refuses_unknown_names() -> None:
    made = schema()
    objects = [made, *(part for part in made["$defs"].values() if "properties" in part)]
    assert len(objects) > 20
    assert all(part["additionalProperties"] is False for part in objects)


def test_the_schema_lets_secrets_be_elsewhere_and_durations_be_text() -> None:
    parts = schema()["$defs"]
    assert parts["Route"].get("required") is None
    (linger,) = [part for part in parts["LimitsSettings"]["properties"]["linger"]["anyOf"] if part["type"] == "string"]
    assert re.search(linger["pattern"], "1h30m")
    assert not re.search(linger["pattern"], "1 fortnight")


def test_the_schema_knows_both_ways_to_write_routes() -> None:
    made = schema()
    assert {"routes", "source", "target", "store"} <= set(made["properties"])
    assert made["not"]["required"] == ["routes"]
    json.dumps(made)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0s"),
        (0.02, "20ms"),
        (3, "3s"),
        (90, "1m30s"),
        (5400, "1h30m"),
        (86_400, "1d"),
        (31_536_000, "365d"),
        (1.5, "1s500ms"),
    ],
)
def test_durations_are_written_as_they_are_read(value: float, text: str) -> None:
    assert duration(value) == text
    assert seconds(text) == pytest.approx(value)


@pytest.mark.parametrize(
    ("value", "text"), [(1, "1B"), (1500, "1500B"), (3 << 20, "3MiB"), (1 << 30, "1GiB"), (64 << 10, "64KiB")]
)
def test_sizes_are_written_as_they_are_read(value: int, text: str) -> None:
    assert size(value) == text
    assert octets(text) == value
