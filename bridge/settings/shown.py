"""The settings as people may see them: complete, with secrets masked and the place where each was written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from bridge.settings.document import writer_of
from bridge.settings.load import Loaded
from bridge.settings.yamlfile import Trail
from bridge.telemetry.redaction import MASK, redact

_TELLING = re.compile(r"(?i)key|token|secret|password|auth|cookie|signature")  # names of headers that hold secrets
_PLAIN = re.compile(r"[A-Za-z_][\w-]*")
_COLUMN = 60  # where comments begin


def masked(value: object, *, in_words: bool = False) -> Any:
    """
    Give plain values, with every secret masked. Of a broker's URL the user and the host stay.

    `in_words` writes durations and sizes as people do, "1h30m"; otherwise they are numbers.
    """
    if isinstance(value, BaseModel):
        fields = type(value).model_fields.items()
        return {name: _field(getattr(value, name), info, in_words=in_words) for name, info in fields}
    if isinstance(value, Mapping):
        shown = {str(key): masked(inner, in_words=in_words) for key, inner in value.items()}
        return {key: MASK if _TELLING.search(key) and isinstance(inner, str) else inner for key, inner in shown.items()}
    if isinstance(value, list | tuple):
        return [masked(inner, in_words=in_words) for inner in value]
    if isinstance(value, SecretStr):
        return _broker_url(value.get_secret_value()) or MASK
    if isinstance(value, Enum):
        return value.value
    return redact(str(value)) if isinstance(value, str | Path) else value


def _field(value: object, info: FieldInfo, *, in_words: bool) -> Any:
    write = writer_of(info)
    return write(value) if in_words and write and isinstance(value, int | float) else masked(value, in_words=in_words)


def _broker_url(secret: str) -> str | None:
    """Mask the password only, where that can be told apart for sure."""
    try:
        parts = urlsplit(secret)
        host = f"{parts.hostname or ''}:{parts.port}" if parts.port else parts.hostname or ""
    except ValueError:
        return None
    if parts.scheme not in ("amqp", "amqps") or "@" in parts.path:
        return None
    user = f"{parts.username}:{MASK}@" if parts.username else ""
    return f"{parts.scheme}://{user}{host}{parts.path}"


def as_yaml(loaded: Loaded) -> str:
    """Give all settings as YAML; those that were written somewhere say where."""
    return "\n".join(_lines(masked(loaded.settings, in_words=True), (), loaded)) + "\n"


def _lines(tree: Mapping[str, Any], trail: Trail, loaded: Loaded) -> Iterator[str]:
    indent = "  " * len(trail)
    for name, value in tree.items():
        here, key = (*trail, name), name if _PLAIN.fullmatch(name) else _scalar(name)
        if isinstance(value, Mapping) and value:
            yield f"{indent}{key}:"
            yield from _lines(value, here, loaded)
        else:
            line = f"{indent}{key}: {_scalar(value)}"
            origin = loaded.origin(here)
            yield f"{line:<{_COLUMN}} # {origin}" if origin else line


def _scalar(value: object) -> str:
    """Write a value as JSON, which is YAML too."""
    return orjson.dumps(value).decode()
