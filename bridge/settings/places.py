"""Where values may stand: the settings models as a tree of names, read off their annotations."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, JsonValue, SecretStr
from pydantic_core import PydanticUndefined


@dataclass(slots=True, frozen=True, kw_only=True)
class Place:
    """One place for a value. Alternatives of a union are laid on top of each other."""

    fields: Mapping[str, Place] = field(default_factory=dict)  # the names below it
    variants: Mapping[str, Mapping[str, Place]] = field(default_factory=dict)  # the same for each `type`
    each: Place | None = None  # what stands below any name (a mapping)
    many: bool = False  # a list
    plain: bool = False  # text or a number
    secret: bool = False

    def below(self, name: str) -> Place | None:
        """Find the place of this name, or None where there is none."""
        return self.fields.get(name) or self.each

    def names(self, kind: object = None) -> tuple[str, ...]:
        """Names that may stand below; with the value of `type`, only those of that kind."""
        return tuple(self.variants.get(kind, self.fields) if isinstance(kind, str) else self.fields)

    def walk(self, trail: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Place]]:
        """All places below with the way to them; `*` stands for any name."""
        for name, place in (*self.fields.items(), *((("*", self.each),) if self.each else ())):
            yield (*trail, name), place
            yield from place.walk((*trail, name))


def place_of(annotation: Any) -> Place:
    """Read a type as pydantic would."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        before = [meta for meta in args[1:] if isinstance(meta, BeforeValidator)]
        wider = [meta.json_schema_input_type for meta in before if meta.json_schema_input_type is not PydanticUndefined]
        return _laid_together([place_of(args[0]), *map(place_of, wider)])
    if origin in (Union, types.UnionType):
        return _laid_together([place_of(arg) for arg in args if arg is not type(None)])
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return Place(each=place_of(args[1]))
    if origin in (list, tuple, set, frozenset):
        return Place(many=True)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _model(annotation)
    return Place(plain=True, secret=annotation is SecretStr, many=annotation is JsonValue)


def _model(model: type[BaseModel]) -> Place:
    fields = {
        name: place_of(Annotated[info.annotation, None, *info.metadata]) for name, info in model.model_fields.items()
    }
    kind = model.model_fields.get("type")
    tags = get_args(kind.annotation) if kind and get_origin(kind.annotation) is Literal else ()
    return Place(fields=fields, variants=dict.fromkeys(tags, fields))


def _laid_together(places: list[Place]) -> Place:
    names = dict.fromkeys(name for place in places for name in place.fields)
    return Place(
        fields={
            name: _laid_together([place.fields[name] for place in places if name in place.fields]) for name in names
        },
        variants={tag: fields for place in places for tag, fields in place.variants.items()},
        each=next((place.each for place in places if place.each), None),
        many=any(place.many for place in places),
        plain=any(place.plain for place in places),
        secret=any(place.secret for place in places),
    )
