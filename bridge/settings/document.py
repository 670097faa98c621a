"""The reference of the settings as Markdown, written from the settings themselves."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, BeforeValidator, SecretStr
from pydantic.fields import FieldInfo

from bridge.settings.tree import Route, Settings
from bridge.units import octets, seconds

_SECONDS = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))
_BYTES = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))
_NAMES = {bool: "true or false", int: "number", float: "number", str: "text", SecretStr: "secret", Path: "path"}


def reference() -> str:
    """Give a section with a table for each part of the settings."""
    seen: set[str] = set()
    return "\n".join([*_model("", Route, "A route", seen), *_model("", Settings, "The process", seen)])


def _model(path: str, model: type[BaseModel], title: str, seen: set[str]) -> Iterator[str]:
    """Describe a model and what lies below it. What several types share below the same name stands there once."""
    fields = {name: info for name, info in model.model_fields.items() if (model, name) != (Settings, "routes")}
    yield f"### {title}\n"
    yield f"{' '.join((model.__doc__ or '').split())}\n"
    yield "| Setting | Value | Default | |\n|---|---|---|---|"
    yield from (_row(f"{path}{name}", info) for name, info in fields.items())
    yield ""
    for name, info in fields.items():
        for inner in _models(_full(info)):
            heading = _title(f"{path}{name}", inner)
            if heading not in seen:
                seen.add(heading)
                yield from _model(f"{path}{name}.", inner, heading, seen)


def _title(path: str, model: type[BaseModel]) -> str:
    kind = model.model_fields.get("type")
    tags = get_args(kind.annotation) if kind and get_origin(kind.annotation) is Literal else ()
    return f"`{path}` of type `{tags[0]}`" if tags else f"`{path}`"


def _row(path: str, info: FieldInfo) -> str:
    default = "**required**" if info.is_required() else _default(info)
    cells = (f"`{path}`", value_of(_full(info)), default, info.description or "")
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _full(info: FieldInfo) -> Any:
    return Annotated[info.annotation, None, *info.metadata]


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Find the models that a value of this type may be."""
    if isinstance(annotation, type):
        return [annotation] if issubclass(annotation, BaseModel) else []
    if get_origin(annotation) in (Annotated, Union, types.UnionType):
        inner = get_args(annotation)[:1] if get_origin(annotation) is Annotated else get_args(annotation)
        return list(dict.fromkeys(model for arg in inner for model in _models(arg)))
    return []


def value_of(annotation: Any) -> str:
    """Say what may be written."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _annotated(args[0], args[1:])
    if origin in (Union, types.UnionType):
        return ", or ".join(dict.fromkeys(value_of(arg) for arg in args if arg is not type(None)))
    if origin is Literal:
        return " or ".join(f"`{arg}`" for arg in args)
    if isinstance(origin, type):
        return f"mapping to {value_of(args[1])}" if issubclass(origin, Mapping) else f"list of {value_of(args[0])}"
    return _class(annotation)


def _class(annotation: Any) -> str:
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(f"`{member.value}`" for member in annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "see below"
    return _NAMES.get(annotation, "any JSON")


def _annotated(annotation: Any, metadata: tuple[Any, ...]) -> str:
    functions = {meta.func for meta in metadata if isinstance(meta, BeforeValidator)}
    word, show = value_of(annotation), _number
    if seconds in functions:
        word, show = "duration", duration
    elif octets in functions:
        word, show = "size", size
    return " ".join([word, *(bound for meta in metadata if (bound := _bound(meta, show)))])


def _bound(meta: Any, show: Callable[[Any], str]) -> str:
    match meta:
        case Ge(ge=limit):
            return f"from {show(limit)}"
        case Gt(gt=limit):
            return f"above {show(limit)}"
        case Le(le=limit):
            return f"to {show(limit)}"
        case Lt(lt=limit):
            return f"below {show(limit)}"
    return ""


def _default(info: FieldInfo) -> str:
    if info.default_factory:
        return "like the source" if _models(_full(info)) else "none"
    write = writer_of(info)
    return f"`{write(info.default)}`" if write and info.default is not None else _plain(info.default)


def writer_of(info: FieldInfo) -> Callable[[float], str] | None:
    """Find how a duration or a size is written; None for everything else."""
    functions = {meta.func for meta in info.metadata if isinstance(meta, BeforeValidator)}
    if seconds in functions:
        return duration
    return size if octets in functions else None


def _plain(value: object) -> str:
    if value is None or value in ((), "", {}):
        return "none"
    match value:
        case bool():
            text = str(value).lower()
        case Enum():
            text = str(value.value)
        case list() | tuple():
            text = f"[{', '.join(map(str, value))}]"
        case BaseModel():
            text = getattr(value, "type", "...")
        case _:
            text = str(value)
    return f"`{text}`"


def duration(value: float) -> str:
    """Write seconds as people do: 5400 is "1h30m", 0.5 is "500ms"."""
    if 0 < value < 1:
        return f"{value * 1000:g}ms"
    parts, left = [], value
    for unit, worth in _SECONDS:
        count, left = divmod(left, worth)
        parts.append(f"{count:g}{unit}" if count else "")
    if left:
        parts.append(f"{left * 1000:g}ms")
    return "".join(parts) or "0s"


def size(value: float) -> str:
    """Write bytes as people do: 3145728 is "3MiB"."""
    for unit, worth in _BYTES:
        if value >= worth and value % worth == 0:
            return f"{value // worth:g}{unit}"
    return f"{value:g}B"


def _number(value: float) -> str:
    return f"{value:,}"
