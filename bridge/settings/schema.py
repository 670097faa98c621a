"""The JSON schema of the settings, for editors: every name, every choice, every description."""

from __future__ import annotations

import json
from typing import Any

from bridge.settings.tree import Route, Settings

SCHEMA = "https://json-schema.org/draft/2020-12/schema"

_AS_THE_SOURCE = ("delay", "dead_letters")

Json = dict[str, Any]


def as_json() -> str:
    """Give the schema as the text of config/schema.json."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def schema() -> Json:
    """
    Give the schema of a settings file.

    A file need not be complete, since values may come from the environment too: so nothing is required but the `type`
    that says what the names beside it mean.
    """
    tree = Settings.model_json_schema()
    definitions: Json = tree.pop("$defs")
    route: Json = definitions["Route"]
    for model in (tree, *definitions.values()):
        _relax(model)
    for name in _AS_THE_SOURCE:
        _without_type(route["properties"][name], definitions)
    return {
        "$schema": SCHEMA,
        "title": "Settings of event-bridge",
        "description": "Either `routes`, or the fields of one route at the top.",
        "type": "object",
        "properties": tree["properties"] | {name: _one_route(field) for name, field in route["properties"].items()},
        "patternProperties": {"^x-": {"description": "A place for YAML anchors; ignored."}},
        "additionalProperties": False,
        "not": {"required": ["routes"], "anyOf": [{"required": [name]} for name in Route.model_fields]},
        "$defs": definitions,
    }


def _without_type(field: Json, definitions: Json) -> None:
    """Let the type be left out, where it follows the source's."""
    field["anyOf"] = field.pop("oneOf")
    for choice in field["anyOf"]:
        definitions[choice["$ref"].rpartition("/")[2]].pop("required", None)


def _one_route(field: Json) -> Json:
    described = field.get("description", "")
    return field | {"description": f"{described} (of the only route)".strip()}


def _relax(model: Json) -> None:
    required = [name for name in model.pop("required", []) if name == "type"]
    if required:
        model["required"] = required
    for name, field in model.get("properties", {}).items():
        field.pop("title", None)
        if name == "type" and "const" in field:
            field.pop("default", None)
    model.pop("title", None)
