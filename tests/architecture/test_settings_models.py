"""Every settings model is frozen, strict, discreet, and explains each of its fields but `type`, its own name."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from tests.architecture.source import modules

STRICT = {"frozen": True, "extra": "forbid", "hide_input_in_errors": True}
SECRETS = frozenset({"key", "keys", "password", "secret", "secrets", "token"})


class _Planted(BaseModel):
    """A model that breaks every rule."""

    secret: str = ""


class _Sound(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    token: SecretStr | None = Field(None, description="What opens the door.")


def _models() -> list[type[BaseModel]]:
    for module in modules():
        if module.without_client:
            importlib.import_module(module.name)
    return sorted(_below(BaseModel), key=lambda model: f"{model.__module__}.{model.__name__}")


def _below(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for child in model.__subclasses__():
        if child.__module__.startswith("bridge."):
            yield child
        yield from _below(child)


def _complaints(model: type[BaseModel]) -> Iterator[str]:
    config: dict[str, Any] = dict(model.model_config)
    for name, value in STRICT.items():
        if config.get(name) != value:
            yield f"{model.__name__}: model_config needs {name}={value!r}"
    for name, field in model.model_fields.items():
        if name != "type" and not (field.description or "").rstrip().endswith((".", "?", ")")):
            yield f"{model.__name__}.{name}: needs a description, a sentence"
        if name in SECRETS and "SecretStr" not in str(field.annotation):
            yield f"{model.__name__}.{name}: a secret is a SecretStr"


def test_settings_models_are_strict_and_explain_themselves() -> None:
    complaints = [complaint for model in _models() for complaint in _complaints(model)]
    assert complaints == [], "\n" + "\n".join(complaints)


def test_there_are_models_to_look_at() -> None:
    assert {"RetrySettings", "SqliteSettings", "WebhookSettings"} <= {model.__name__ for model in _models()}


def test_a_planted_model_is_found_out() -> None:
    assert len(list(_complaints(_Planted))) == len(STRICT) + 2


def test_a_sound_model_is_left_alone() -> None:
    assert list(_complaints(_Sound)) == []
