from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from bridge.formats import FormatName, FormatSettings, build_format
from bridge.formats.auto import AutoFormat, AutoSettings
from bridge.formats.cloudevents import CloudEventsFormat
from bridge.formats.inngest import InngestSettings
from bridge.formats.raw import RawFormat, RawSettings
from bridge.formats.shape import JsonFormat, Rules
from bridge.ports import Format

SETTINGS: TypeAdapter[FormatSettings] = TypeAdapter(FormatSettings)
KINDS: dict[FormatName, type] = {
    "auto": AutoFormat,
    "trigger": JsonFormat,
    "sendevent": JsonFormat,
    "zopio": JsonFormat,
    "inngest": JsonFormat,
    "cloudevents": CloudEventsFormat,
    "raw": RawFormat,
}


@pytest.mark.parametrize("name", KINDS)
def test_every_format_is_built_from_its_bare_name(name: FormatName) -> None:
    built: Format = build_format(name)
    assert type(built) is KINDS[name]
    assert SETTINGS.validate_python(name) == SETTINGS.validate_python({"type": name})


def test_a_format_is_built_from_settings_too() -> None:
    assert build_format(RawSettings(type="raw", header="type")) == RawFormat(rules=Rules(), header="type")
    assert isinstance(build_format(AutoSettings()), AutoFormat)


def test_the_defaults_are_those_of_the_settings() -> None:
    usual = Rules(max_event_bytes=3 * 1024 * 1024, max_depth=100, missing_id="derive")
    assert build_format("raw") == RawFormat(rules=usual, header="x-event-name", routing_key=True, name=None)
    assert RawFormat(rules=Rules()) == build_format("raw")


def test_limits_and_the_policy_for_ids_reach_the_format() -> None:
    built = RawSettings(type="raw").build(max_event_bytes=7, max_depth=8, missing_id="reject")
    assert built == RawFormat(rules=Rules(max_event_bytes=7, max_depth=8, missing_id="reject"))


@pytest.mark.parametrize("wrong", ["csv", {"type": "csv"}, {"type": "inngest", "header": "x"}, {}, 5, None])
def test_unknown_formats_and_options_are_refused(wrong: object) -> None:
    with pytest.raises(ValidationError):
        SETTINGS.validate_python(wrong)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        InngestSettings(type="inngest").type = "inngest"  # type: ignore[misc]


def test_every_option_is_described_and_the_schema_knows_bare_names() -> None:
    schema = SETTINGS.json_schema()
    assert {"enum": list(KINDS), "type": "string"} in schema["anyOf"]
    for model in schema["$defs"].values():
        assert all(field["description"] for field in model["properties"].values())
