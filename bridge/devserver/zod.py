"""Just enough of zod to refuse a body in the words of the Trigger.dev servers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(slots=True, frozen=True)
class Issue:
    """One thing wrong. `dirty`: the type is right and only the value is not, which matters inside a union."""

    code: str
    path: str
    text: str
    dirty: bool = False


class Undefined:
    """A key that is not there, which is something else than null."""


UNDEFINED = Undefined()
Schema = Callable[[Any, str], list[Issue]]


def explain(issues: list[Issue]) -> str:
    """Write issues as `generateErrorMessage` of zod-error does."""
    return " | ".join(f"Code: {issue.code} ~ Path: {issue.path} ~ Message: {issue.text}" for issue in issues)


def typename(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def _wrong(value: object, wanted: str, path: str) -> list[Issue]:
    text = "Required" if value is UNDEFINED else f"Expected {wanted}, received {typename(value)}"
    return [Issue("invalid_type", path, text)]


def string(value: Any, path: str) -> list[Issue]:
    return [] if isinstance(value, str) else _wrong(value, "string", path)


def integer(value: Any, path: str) -> list[Issue]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _wrong(value, "number", path)
    if isinstance(value, float) and not value.is_integer():
        return [Issue("invalid_type", path, "Expected integer, received float", dirty=True)]
    return []


def anything(value: Any, path: str) -> list[Issue]:  # noqa: ARG001  the shape of a Schema
    return []


def json_value(value: Any, path: str) -> list[Issue]:
    """Accept every JSON value; a missing one is not JSON."""
    return [Issue("invalid_union", path, "Invalid input")] if value is UNDEFINED else []


def instant(value: Any, path: str) -> list[Issue]:
    """Accept zod's `datetime()`: ISO 8601 that ends in Z; an offset, even +00:00, is refused."""
    if not isinstance(value, str):
        return _wrong(value, "string", path)
    return [] if epoch_z(value) is not None else [Issue("invalid_string", path, "Invalid datetime", dirty=True)]


def date(value: Any, path: str) -> list[Issue]:
    """Accept what `new Date(value)` makes a date of (`z.coerce.date()`)."""
    return [] if coerced(value) is not None else [Issue("invalid_date", path, "Invalid date", dirty=True)]


def literal(*wanted: str) -> Schema:
    def check(value: Any, path: str) -> list[Issue]:
        return [] if value in wanted else [Issue("invalid_union", path, "Invalid input")]

    return check


def optional(schema: Schema) -> Schema:
    return lambda value, path: [] if value is UNDEFINED else schema(value, path)


def array(schema: Schema) -> Schema:
    def check(value: Any, path: str) -> list[Issue]:
        if not isinstance(value, list):
            return _wrong(value, "array", path)
        return [issue for index, item in enumerate(value) for issue in schema(item, f"{path}[{index}]")]

    return check


def fields(**schemas: Schema) -> Schema:
    """Accept an object; keys nobody asked for are stripped, so they are no issue."""

    def check(value: Any, path: str) -> list[Issue]:
        if not isinstance(value, dict):
            return _wrong(value, "object", path)
        prefix = f"{path}." if path else ""
        return [
            issue for name, schema in schemas.items() for issue in schema(value.get(name, UNDEFINED), f"{prefix}{name}")
        ]

    return check


def union(*schemas: Schema) -> Schema:
    """Take the first that fits, else the issues of the first that is merely dirty, else one of its own."""

    def check(value: Any, path: str) -> list[Issue]:
        found = [schema(value, path) for schema in schemas]
        if not all(found):
            return []
        dirty = next((issues for issues in found if all(issue.dirty for issue in issues)), None)
        return dirty or [Issue("invalid_union", path, "Invalid input")]

    return check


def first_fit(value: Any, schemas: Mapping[str, Schema]) -> str | None:
    """Return the name of the union member that zod takes."""
    return next((name for name, schema in schemas.items() if not schema(value, "")), None)


def epoch_z(text: str) -> float | None:
    """Read `YYYY-MM-DDTHH:MM:SS[.fraction]Z` as epoch ms, or None."""
    head, dot, fraction = text.removesuffix("Z").partition(".")
    if not text.endswith("Z") or (dot and not (fraction.isascii() and fraction.isdigit())):
        return None
    try:
        moment = datetime.strptime(head, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return moment.timestamp() * 1000 + (float(f"0.{fraction}") * 1000 if fraction else 0)


def coerced(value: Any) -> float | None:
    """Return what `new Date(value)` is in epoch ms (null is 1970, numbers are ms, dates without time are UTC)."""
    if value is None or isinstance(value, bool | int | float):
        return float(value or 0)
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000
