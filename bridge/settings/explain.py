"""Turn pydantic's report into problems that people can act on: place, field, cure; and never a value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bridge.settings.layers import Stack
from bridge.settings.places import Place
from bridge.settings.problems import Problem, did_you_mean, one_of
from bridge.settings.texts import PREFIX
from bridge.settings.yamlfile import Trail

_PROBLEMS = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be text",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
}


def explain(error: ValidationError, stack: Stack, root: Place) -> list[Problem]:
    """Give a problem for each error, in the order of the settings."""
    details = error.errors(include_url=False, include_input=False)
    # A default that is made from another field, and that one is wrong: one report is enough.
    return [_explain(detail, stack, root) for detail in details if detail["type"] != "default_factory_not_called"]


def _explain(detail: ErrorDetails, stack: Stack, root: Place) -> Problem:
    trail = visible(detail["loc"], stack.tree, missing=detail["type"] == "missing")
    context = detail.get("ctx", {})
    match detail["type"]:
        case "missing":
            branch = bool((place := _place(root, trail)) and place.fields)
            variable = _variable((*trail, "type") if branch else trail)
            problem, cure = "is missing", f"Set it in the file, or as {variable}{' and so on' if branch else ''}"
        case "union_tag_not_found":
            kinds = (_place(root, trail) or Place()).variants
            trail = (*trail, "type")
            problem, cure = "is missing", f"Write {one_of(kinds)}"
        case "too_short":
            problem, cure = f"must have at least {context['min_length']} of what it lists", "Add what is missing"
        case "union_tag_invalid":
            trail = (*trail, "type")
            problem, cure = _choice(_quoted(context), stack.value(trail))
        case "literal_error" | "enum":
            secret = (place := _place(root, trail)) is not None and place.secret
            problem, cure = _choice(_quoted(context), None if secret else stack.value(trail))
        case "extra_forbidden":
            problem, cure = "is not a setting", _unknown(trail, stack, root)
        case "value_error":
            problem, cure = str(context["error"]), "Correct it"
        case kind:
            problem = _PROBLEMS.get(kind) or detail["msg"].replace("Input should", "must", 1).replace(
                "Value", "value", 1
            )
            cure = "Correct it"
    return Problem(".".join(map(str, trail)) or "settings", problem, cure, where=stack.where(trail))


def visible(location: Iterable[str | int], tree: Any, *, missing: bool) -> Trail:
    """
    Give the way to a value as it was written.

    pydantic adds the names of union members on the way; what is not in the tree is dropped, save for the last name of
    something missing. In flat settings the route `default` is not in the tree either.
    """
    steps = list(location)
    if isinstance(tree, Mapping) and "routes" not in tree and steps[:2] == ["routes", "default"]:
        del steps[:2]
    trail: list[str | int] = []
    for index, step in enumerate(steps):
        known = step in tree if isinstance(tree, Mapping) else isinstance(tree, list) and isinstance(step, int)
        if known:
            tree = tree[step]
        if known or (missing and index == len(steps) - 1):
            trail.append(step)
    return tuple(trail)


def _choice(words: list[str], given: object) -> tuple[str, str]:
    close = did_you_mean(given, words) if isinstance(given, str) else None
    return f"must be {one_of(words)}", f'Did you mean "{close}"?' if close else "Write one of them"


def _unknown(trail: Trail, stack: Stack, root: Place) -> str:
    *way, name = trail
    parent = _place(root, way) or Place()
    kind = stack.value((*way, "type"))
    names = parent.names(kind)
    if close := did_you_mean(str(name), names):
        return f'Did you mean "{close}"?'
    if owners := [other for other, fields in parent.variants.items() if name in fields]:
        return f"Remove it; only the type {one_of(owners)} has it"
    return f"Remove it; there is {one_of(names)}" if names else "Remove it"


def _place(root: Place, trail: Iterable[str | int]) -> Place | None:
    place: Place | None = root
    for step in trail:
        place = place.below(str(step)) if place else None
    return place


def _quoted(context: Mapping[str, object]) -> list[str]:
    """Read the words out of pydantic's "'a', 'b' or 'c'"."""
    return re.findall(r"'([^']*)'", str(context.get("expected_tags") or context.get("expected")))


def _variable(trail: Trail) -> str:
    return PREFIX + "__".join(str(step).upper().replace("-", "_") for step in trail)
