"""A small settings tree with one of everything, to test the machinery without the real settings."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from bridge.settings.base import Frozen
from bridge.settings.places import place_of
from bridge.units import Duration


class Rabbit(Frozen):
    type: Literal["rabbit"] = "rabbit"
    url: SecretStr
    queue: str
    prefetch: int = Field(256, ge=1)


class Memory(Frozen):
    type: Literal["memory"] = "memory"
    size: int = 10


class Hook(Frozen):
    type: Literal["hook"] = "hook"
    key: SecretStr | None = None
    key_file: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    tags: tuple[str, ...] = ()


class Auto(Frozen):
    type: Literal["auto"] = "auto"
    name: str = ""


class Limits(Frozen):
    batch: int = 1
    linger: Duration = 0.0
    mode: Literal["fast", "safe"] = "fast"


class Route(Frozen):
    source: Annotated[Rabbit | Memory, Field(discriminator="type")]
    target: Hook = Hook()
    format: Auto | Literal["auto", "raw"] = "auto"
    limits: Limits = Limits()


class Toy(Route):
    routes: dict[str, Route] = Field(default_factory=dict)
    drain: Duration = 20.0


ROOT = place_of(Toy)
