"""
Read the settings, from the weakest to the strongest: file, secrets, environment, command line.

    YAML file < secrets directory and *_FILE < environment < --set

Whatever is wrong is found at once, before anything is connected to, and said with its place and its cure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr, ValidationError

from bridge.errors import ConfigError
from bridge.settings.checks import review
from bridge.settings.explain import explain
from bridge.settings.layers import Stack, from_document
from bridge.settings.places import Place, place_of
from bridge.settings.problems import Problem, Problems
from bridge.settings.texts import CONFIG, DEFAULT_SECRETS_DIR, SECRETS_DIR, Reader
from bridge.settings.tree import DEFAULT, Route, Settings
from bridge.settings.yamlfile import Trail, read

DEFAULT_FILE = Path("event-bridge.yaml")


@dataclass(slots=True, frozen=True)
class Loaded:
    """The settings, and where each of them was written."""

    settings: Settings
    stack: Stack
    file: Path | None

    def origin(self, trail: Trail) -> str:
        """Where the value at this place of `settings` was written; "" for a default."""
        if "routes" not in self.stack.tree and trail[:2] == ("routes", DEFAULT):
            trail = trail[2:]
        if trail[-1] == "type" and trail not in self.stack.origins and isinstance(self.stack.value(trail[:-1]), str):
            trail = trail[:-1]  # `format: auto` stands for `format: {type: auto}`
        return self.stack.origins.get(trail, "")

    def located(self, error: ConfigError) -> Problem:
        """Say where the setting stands that an error of a later moment is about."""
        return located(error, self.stack)


def load(*, file: Path | None, environment: Mapping[str, str], assignments: Sequence[str] = ()) -> Loaded:
    """
    Read everything. Raises Problems.

    `file` is what the command line names; else BRIDGE_CONFIG, else ./event-bridge.yaml where that exists.
    """
    root = root_place()
    reader, stack = Reader(root), Stack()
    problems: list[ConfigError] = []
    file = file or _default_file(environment)
    if file:
        try:
            stack.lay(from_document(read(file), file.name), root)
        except Problem as problem:
            problems.append(problem)
    directory = environment.get(SECRETS_DIR)
    mounted = reader.secrets(Path(directory or DEFAULT_SECRETS_DIR), required=bool(directory))
    direct, files = reader.environment(environment)
    for layer in (mounted, files, direct, reader.assignments(assignments)):
        stack.lay(layer, root)
    unread = bool(problems)
    problems += reader.problems
    settings = None if unread else _validated(stack, root, problems)
    if problems or settings is None:
        raise Problems(problems)
    return Loaded(settings, stack, file)


def _default_file(environment: Mapping[str, str]) -> Path | None:
    if named := environment.get(CONFIG):
        return Path(named)
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None


def root_place() -> Place:
    """Give all places: those of the process, and those of a route both at the top and below `routes`."""
    process, route = place_of(Settings), place_of(Route)
    return Place(fields={**process.fields, **route.fields})


def _validated(stack: Stack, root: Place, problems: list[ConfigError]) -> Settings | None:
    """Check the whole tree; what is wrong joins the problems."""
    if mixed := [name for name in Route.model_fields if name in stack.tree and "routes" in stack.tree]:
        cure = "Move it below routes.<name>, or remove `routes`"
        problems += [Problem(name, "stands beside `routes`", cure, where=stack.where((name,))) for name in mixed]
        return None
    try:
        settings = Settings.model_validate(stack.tree)
    except ValidationError as error:
        problems += explain(error, stack, root)
        return None
    problems += [located(found, stack) for found in review(settings)]
    return settings


def located(error: ConfigError, stack: Stack) -> Problem:
    """Name the field as it was written, flat or not, and its place."""
    field = error.field if "routes" in stack.tree else error.field.removeprefix(f"routes.{DEFAULT}.")
    return Problem(field, error.problem, error.cure, where=stack.where(tuple(field.split("."))))


def secrets_of(model: object) -> set[str]:
    """Collect every secret value in the settings, to keep them out of the logs."""
    match model:
        case SecretStr():
            secret = model.get_secret_value()
            return {secret, _password_of(secret)} - {""}
        case BaseModel():
            return {secret for name in type(model).model_fields for secret in secrets_of(getattr(model, name))}
        case Mapping():
            return {secret for value in model.values() for secret in secrets_of(value)}
        case list() | tuple():
            return {secret for value in model for secret in secrets_of(value)}
    return set()


def _password_of(url: str) -> str:
    try:
        return urlsplit(url).password or ""
    except ValueError:
        return ""
